"""Asking somebody into a household: by address, by link, once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from tenants import invitations
from tenants.invitations import (
    AlreadyMember,
    NoLongerOpen,
    OtherAddress,
    TooManyInvitations,
    accept,
    decline,
    invitation_of,
    invitations_for,
    invite,
    withdraw,
)
from tenants.memberships import NotMember, hand_over, set_role
from tenants.models import Invitation, Membership, Tenant, User
from tenants.provisioning import delete_household
from tenants.tests.test_memberships import in_public, mirrored


@pytest.fixture
def tenant(home: UUID) -> Tenant:
    return Tenant.objects.get(pk=home)


@pytest.fixture
def bert(new_person: Callable[..., User]) -> User:
    return new_person("bert")


def test_who_accepts_belongs_to_the_household_in_both_places(
    tenant: Tenant, anna: User, bert: User
) -> None:
    _, link = invite(tenant, bert.email.upper(), "viewer", anna)
    found = invitation_of(link)
    assert found is not None
    accept(found, bert)
    assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner", bert.id: "viewer"}
    assert invitation_of(link) is None


def test_only_a_hash_of_the_link_is_kept(tenant: Tenant, anna: User) -> None:
    _, link = invite(tenant, "bert@example.org", "editor", anna)
    secret = link.partition("-")[2]
    with connection.cursor() as cursor:
        cursor.execute("SELECT i::text FROM tenants_invitation i")
        assert all(secret not in row for (row,) in cursor.fetchall())


def test_a_link_works_once_even_if_two_use_it_in_the_same_moment(
    tenant: Tenant, anna: User, new_person: Callable[..., User]
) -> None:
    _, link = invite(tenant, "bert@example.org", "editor", anna)
    found = invitation_of(link)
    assert found is not None
    outcomes: list[str] = []
    barrier = threading.Barrier(4)

    def try_it(person: User) -> None:
        barrier.wait()
        try:
            accept(found, person, at_other_address=True)
            outcomes.append("in")
        except NoLongerOpen:
            outcomes.append("too late")
        finally:
            connection.close()

    threads = [threading.Thread(target=try_it, args=(new_person(str(n)),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["in", "too late", "too late", "too late"]
    assert len(in_public(tenant.pk)) == 2
    assert in_public(tenant.pk) == mirrored(tenant.pk)


@pytest.mark.parametrize("end", ["decline", "withdraw", "expire", "replace", "delete"])
def test_what_has_ended_cannot_be_accepted(
    tenant: Tenant, anna: User, bert: User, end: str
) -> None:
    invitation, link = invite(tenant, bert.email, "editor", anna)
    match end:
        case "decline":
            decline(invitation)
        case "withdraw":
            withdraw(invitation)
        case "expire":
            Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        case "replace":
            invite(tenant, bert.email, "viewer", anna)
        case "delete":
            delete_household(tenant.pk)
    assert invitation_of(link) is None
    if end != "delete":
        with pytest.raises(NoLongerOpen):
            accept(invitation, bert)
        assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner"}
    if end != "replace":
        assert list(invitations_for(bert)) == []
    with pytest.raises(NoLongerOpen):
        decline(invitation)


@pytest.mark.parametrize(
    "spoil", [str.upper, lambda link: link[:-1] + "_", lambda link: link + "x"]
)
def test_a_guess_finds_nothing(tenant: Tenant, anna: User, spoil: Callable[[str], str]) -> None:
    _, link = invite(tenant, "bert@example.org", "editor", anna)
    assert invitation_of(spoil(link)) is None


@pytest.mark.parametrize("link", ["", "-", "x" * 10_000, "\0", "0" * 32 + "-" + "A" * 43])
def test_nonsense_finds_nothing(database: None, link: str) -> None:
    assert invitation_of(link) is None


def test_with_another_address_one_has_to_say_so(
    tenant: Tenant, anna: User, bert: User, new_person: Callable[..., User]
) -> None:
    invitation, _ = invite(tenant, "elsewhere@example.org", "editor", anna)
    with pytest.raises(OtherAddress):
        accept(invitation, bert)
    assert in_public(tenant.pk) == {anna.id: "owner"}
    accept(invitation, bert, at_other_address=True)
    assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner", bert.id: "editor"}


def test_an_address_that_is_only_claimed_opens_nothing(
    tenant: Tenant, anna: User, database: None
) -> None:
    invitation, _ = invite(tenant, "carla@example.org", "editor", anna)
    claims = User.objects.create_user("carla@example.org")
    assert list(invitations_for(claims)) == []
    with pytest.raises(OtherAddress):
        accept(invitation, claims)
    claims.email_verified = True
    claims.save()
    assert list(invitations_for(claims)) == [invitation]


def test_an_invitation_takes_nothing_from_whoever_belongs_already(
    tenant: Tenant, anna: User, bert: User
) -> None:
    invitation, _ = invite(tenant, bert.email, "viewer", anna)
    set_role(tenant, bert, "owner")
    accept(invitation, bert)
    assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner", bert.id: "owner"}
    with pytest.raises(AlreadyMember):
        invite(tenant, bert.email, "viewer", anna)


def test_nobody_can_make_us_send_mail_without_end(
    tenant: Tenant, anna: User, other_home: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invitations, "PER_PERSON_AND_DAY", 3)
    other = Tenant.objects.get(pk=other_home)
    for number in range(3):
        invitation, _ = invite((tenant, other)[number % 2], f"{number}@example.org", "editor", anna)
        withdraw(invitation)
    with pytest.raises(TooManyInvitations):
        invite(tenant, "one-more@example.org", "editor", anna)
    invite(tenant, "one-more@example.org", "editor")  # the operator
    monkeypatch.setattr(invitations, "PER_PERSON_AND_DAY", 99)
    monkeypatch.setattr(invitations, "OPEN_PER_HOUSEHOLD", 1)
    with pytest.raises(TooManyInvitations):
        invite(tenant, "and-more@example.org", "editor", anna)


def test_nothing_is_left_of_an_old_invitation(tenant: Tenant, anna: User) -> None:
    old, _ = invite(tenant, "old@example.org", "editor", anna)
    recent, _ = invite(tenant, "recent@example.org", "editor", anna)
    ended = timezone.now() - timedelta(days=91)
    Invitation.objects.filter(pk=old.pk).update(expires_at=ended)
    new, _ = invite(tenant, "new@example.org", "editor", anna)
    left = set(Invitation.objects.filter(tenant=tenant).values_list("pk", flat=True))
    assert left == {recent.pk, new.pk}


def test_handing_over_changes_two_roles_or_none(
    tenant: Tenant, anna: User, bert: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotMember):
        hand_over(tenant, anna, bert)
    set_role(tenant, bert, "viewer")
    with pytest.raises(NotMember):
        hand_over(tenant, bert, anna)
    hand_over(tenant, anna, anna)
    assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner", bert.id: "viewer"}
    hand_over(tenant, anna, bert)
    assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "editor", bert.id: "owner"}


def test_a_handing_over_that_fails_half_way_changed_nothing(
    tenant: Tenant, anna: User, bert: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_role(tenant, bert, "viewer")
    real = Membership.objects.update_or_create
    calls: list[Any] = []

    def fail_the_second_time(**values: Any) -> Any:
        calls.append(values)
        if len(calls) == 2:
            raise RuntimeError("pulled the plug")
        return real(**values)

    monkeypatch.setattr(Membership.objects, "update_or_create", fail_the_second_time)
    with pytest.raises(RuntimeError):
        hand_over(tenant, anna, bert)
    assert len(calls) == 2
    assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner", bert.id: "viewer"}
