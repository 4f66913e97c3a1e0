"""A person goes completely or not at all, and no household is left that nobody can manage."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db.models import ProtectedError
from django.test import Client

from tenants.invitations import invite, open_invitations_of
from tenants.memberships import LastOwner, delete_person, set_role
from tenants.models import AuditEntry, Tenant, Token, User
from tenants.tests.test_memberships import in_public, mirrored
from tenants.tokens import create_token


@pytest.fixture
def homes(home: UUID, other_home: UUID) -> tuple[Tenant, Tenant]:
    return Tenant.objects.get(pk=home), Tenant.objects.get(pk=other_home)


@pytest.fixture
def bert(new_person: Callable[..., User]) -> User:
    return new_person("bert")


def test_whoever_nobody_depends_on_goes_from_everywhere(
    homes: tuple[Tenant, Tenant], anna: User, bert: User
) -> None:
    set_role(homes[0], bert, "owner")
    set_role(homes[1], bert, "viewer")
    create_token(bert, "phone")
    invite(homes[0], "dora@example.org", "editor", bert)
    delete_person(bert)
    assert not User.objects.filter(email=bert.email).exists()
    assert not Token.objects.filter(name="phone", user__email=bert.email).exists()
    for tenant in homes:
        assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner"}
    # Not the operator's now, as an invitation without a sender would be.
    assert list(open_invitations_of(homes[0])) == []


def test_the_last_owner_stays_and_is_told_of_which_households(
    homes: tuple[Tenant, Tenant], anna: User, bert: User
) -> None:
    set_role(homes[0], bert, "owner")
    set_role(homes[1], bert, "editor")
    token = create_token(anna, "phone")
    with pytest.raises(LastOwner) as refused:
        delete_person(anna)
    assert "Other home" in str(refused.value) and str(homes[1].id) in str(refused.value)
    assert str(homes[0].id) not in str(refused.value)
    # Nothing was changed in any household, and the person may go on as before.
    assert in_public(homes[0].pk) == mirrored(homes[0].pk) == {anna.id: "owner", bert.id: "owner"}
    assert in_public(homes[1].pk) == mirrored(homes[1].pk) == {anna.id: "owner", bert.id: "editor"}
    assert Token.objects.get(user=anna).revoked_at is None and token
    set_role(homes[1], bert, "owner")
    delete_person(anna)
    for tenant in homes:
        assert in_public(tenant.pk) == mirrored(tenant.pk) == {bert.id: "owner"}


def test_there_is_no_other_way(homes: tuple[Tenant, Tenant], anna: User, bert: User) -> None:
    """A shell, a script, an admin of somebody's own."""
    set_role(homes[0], bert, "viewer")
    for person in (anna, bert):
        with pytest.raises(ProtectedError):
            person.delete()
        with pytest.raises(ProtectedError):
            User.objects.filter(pk=person.pk).delete()
    assert in_public(homes[0].pk) == mirrored(homes[0].pk) == {anna.id: "owner", bert.id: "viewer"}


def delete_user(*arguments: str) -> str:
    said = StringIO()
    call_command("delete_user", *arguments, stdout=said)
    return said.getvalue()


def test_the_operator_deletes_people_by_command(
    homes: tuple[Tenant, Tenant], anna: User, bert: User
) -> None:
    set_role(homes[0], bert, "editor")
    for arguments in ([anna.email, "--yes"], [anna.email, "--dry-run"]):
        with pytest.raises(CommandError, match="Other home") as refused:
            delete_user(*arguments)
        assert refused.value.returncode == 1
    assert not AuditEntry.objects.filter(action="delete_person", detail=str(anna.id)).exists()
    assert "would be deleted" in delete_user(bert.email, "--dry-run")
    assert User.objects.filter(pk=bert.pk).exists()
    with pytest.raises(CommandError, match="--yes"):
        delete_user(bert.email)
    assert str(bert.id) in delete_user(bert.email, "--yes", "--json")
    assert not User.objects.filter(email=bert.email).exists()
    assert in_public(homes[0].pk) == mirrored(homes[0].pk) == {anna.id: "owner"}
    entry = AuditEntry.objects.get(action="delete_person", detail=str(bert.id))
    assert entry.actor_name == "manage.py"
    with pytest.raises(CommandError, match="Nobody signs in"):
        delete_user("nobody@example.org", "--yes")


def test_locking_the_last_owner_out_says_what_nobody_can_manage_then(
    homes: tuple[Tenant, Tenant], anna: User, bert: User, browse: Callable[..., Client]
) -> None:
    set_role(homes[0], bert, "owner")
    operator = User.objects.create_superuser("operator-of-people@example.org")
    page = f"/admin/tenants/user/{anna.pk}/change/"
    sent = {"email": anna.email, "language": "de", "display_name": ""}
    answer = browse(operator, headers={"accept-language": "en"}).post(page, sent, follow=True)
    anna.refresh_from_db()
    assert not anna.is_active
    said = [str(each) for each in answer.context["messages"]]
    assert any("Nobody else can manage Other home" in each for each in said), said
    assert not any(str(homes[0].id) in each for each in said)
