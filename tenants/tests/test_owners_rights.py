"""An owner's right is worth what it is worth under the lock, and not a moment longer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection, connections
from django.test import Client

from tenants.invitations import invitation_of, invite, open_invitations_of, withdraw
from tenants.memberships import NotMember, NotOwner, end_membership, hand_over, set_role
from tenants.models import Membership, Tenant, User
from tenants.provisioning import delete_household
from tenants.tests.test_memberships import in_public, mirrored

Browse = Callable[..., Client]
Act = Callable[[Tenant, User, User], Any]


@pytest.fixture
def tenant(home: UUID) -> Tenant:
    return Tenant.objects.get(pk=home)


@pytest.fixture
def bert(tenant: Tenant, new_person: Callable[..., User]) -> User:
    """The second owner."""
    person = new_person("bert")
    set_role(tenant, person, "owner")
    return person


@pytest.fixture
def carla(tenant: Tenant, new_person: Callable[..., User]) -> User:
    """The third owner, who does nothing."""
    person = new_person("carla")
    set_role(tenant, person, "owner")
    return person


@contextmanager
def lock_held(tenant: Tenant) -> Iterator[psycopg.Connection]:
    """A transaction of somebody else's, on a connection of its own, that holds the head's lock."""
    parameters = connection.get_connection_params() | {"autocommit": True}
    with psycopg.connect(**parameters) as other, other.transaction():
        other.execute(f"SELECT FROM {tenant.schema_name}.sync_head FOR UPDATE")
        yield other


def take_the_right(other: psycopg.Connection, tenant: Tenant, person: User) -> None:
    other.execute(
        f"UPDATE {tenant.schema_name}.sync_member SET role = 'editor' WHERE user_id = %s",
        [person.pk],
    )
    other.execute(
        "UPDATE tenants_membership SET role = 'editor' WHERE tenant_id = %s AND user_id = %s",
        [tenant.pk, person.pk],
    )


def wait_until_it_waits(other: psycopg.Connection, pid: int) -> None:
    gives_up_s = time.monotonic() + 30
    waits = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
    while other.execute(waits, [pid]).fetchone() is None:
        other.execute("SELECT pg_stat_clear_snapshot()")
        assert time.monotonic() < gives_up_s, "it never waited"


def meanwhile(pool: ThreadPoolExecutor, job: Callable[[], Any]) -> tuple[int, Future[Any]]:
    """Begin `job` on a thread; returns the process of its connection, and what will come of it."""
    pids: list[int] = []
    begun = threading.Event()

    def run() -> Any:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '30s'")
                cursor.execute("SELECT pg_backend_pid()")
                pids.append(cursor.fetchone()[0])
            begun.set()
            return job()
        finally:
            connections.close_all()

    future = pool.submit(run)
    assert begun.wait(30)
    return pids[0], future


REQUESTS: dict[str, tuple[str, dict[str, str]]] = {
    "invite": ("invite/", {"email": "dora@example.org", "role": "owner"}),
    "withdraw": ("invitations/{invitation}/withdraw/", {}),
    "change a role": ("members/{anna}/role/", {"role": "viewer"}),
    "remove a member": ("members/{anna}/remove/", {}),
    "delete the household": ("remove/", {"name": "Home", "is_saved": "1"}),
}


@pytest.mark.parametrize("what", REQUESTS)
def test_a_right_that_was_taken_while_a_request_waited_does_nothing_any_more(
    what: str, tenant: Tenant, anna: User, bert: User, browse: Browse
) -> None:
    sent, _ = invite(tenant, "emil@example.org", "editor", anna)
    path, values = REQUESTS[what]
    address = path.format(anna=anna.pk, invitation=sent.pk)
    browser = browse(bert)
    with ThreadPoolExecutor(1) as pool:
        with lock_held(tenant) as other:
            pid, answer = meanwhile(
                pool,
                lambda: browser.post(f"/accounts/households/{tenant.pk}/{address}", values),
            )
            wait_until_it_waits(other, pid)
            take_the_right(other, tenant, bert)
        assert answer.result(60).status_code == 403
    assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner", bert.id: "editor"}
    assert [each.pk for each in open_invitations_of(tenant)] == [sent.pk]
    assert Tenant.objects.get(pk=tenant.pk).status == Tenant.Status.READY


def test_handing_over_what_was_taken_meanwhile_changes_nothing(
    tenant: Tenant, anna: User, bert: User, browse: Browse
) -> None:
    browser = browse(bert)
    with ThreadPoolExecutor(1) as pool:
        with lock_held(tenant) as other:
            address = f"/accounts/households/{tenant.pk}/hand-over/"
            pid, answer = meanwhile(pool, lambda: browser.post(address, {"user": str(anna.pk)}))
            wait_until_it_waits(other, pid)
            take_the_right(other, tenant, bert)
        assert answer.result(60).status_code == 302
    assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner", bert.id: "editor"}


def test_two_owners_who_demote_each_other_in_the_same_moment_do_not_both_succeed(
    tenant: Tenant, anna: User, bert: User, carla: User
) -> None:
    """With a third owner, so that it is not the last owner's rule that refuses the second."""
    together = threading.Barrier(2, timeout=30)

    def demote(pair: tuple[User, User]) -> str:
        together.wait()
        try:
            set_role(tenant, pair[1], "viewer", by=pair[0])
            return "done"
        except NotOwner:
            return "owner no more"
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as people:
        outcomes = sorted(people.map(demote, [(anna, bert), (bert, anna)]))
    assert outcomes == ["done", "owner no more"]
    roles = in_public(tenant.pk)
    assert sorted(roles.values()) == ["owner", "owner", "viewer"]
    assert roles == mirrored(tenant.pk)


def test_a_role_for_somebody_who_was_removed_meanwhile_brings_nobody_back(
    tenant: Tenant, anna: User, bert: User, carla: User
) -> None:
    end_membership(tenant, carla, by=bert)
    with pytest.raises(NotMember):
        set_role(tenant, carla, "viewer", by=anna)
    assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner", bert.id: "owner"}


@pytest.mark.parametrize("role", ["editor", "viewer", "nobody", "locked"])
def test_only_an_owner_acts_as_one(
    tenant: Tenant, anna: User, bert: User, new_person: Callable[..., User], role: str
) -> None:
    who = new_person("who")
    if role != "nobody":
        set_role(tenant, who, "owner" if role == "locked" else role)
    if role == "locked":
        User.objects.filter(pk=who.pk).update(is_active=False)
    sent, _ = invite(tenant, "emil@example.org", "editor", anna)
    before = in_public(tenant.pk)
    acts: list[Callable[[], Any]] = [
        lambda: set_role(tenant, bert, "viewer", by=who),
        lambda: end_membership(tenant, bert, by=who),
        lambda: invite(tenant, "dora@example.org", "owner", who),
        lambda: withdraw(sent, by=who),
        lambda: delete_household(tenant.pk, by=who),
    ]
    for act in acts:
        with pytest.raises(NotOwner):
            act()
    assert in_public(tenant.pk) == mirrored(tenant.pk) == before
    assert [each.pk for each in open_invitations_of(tenant)] == [sent.pk]
    assert Tenant.objects.get(pk=tenant.pk).status == Tenant.Status.READY


LOSSES: dict[str, Act] = {
    "demoted": lambda tenant, anna, bert: set_role(tenant, bert, "editor", by=anna),
    "removed": lambda tenant, anna, bert: end_membership(tenant, bert, by=anna),
    "left": lambda tenant, anna, bert: end_membership(tenant, bert),
    "handed over": lambda tenant, anna, bert: hand_over(tenant, bert, anna),
    "changed by the operator": lambda tenant, anna, bert: set_role(tenant, bert, "viewer"),
}


@pytest.mark.parametrize("how", LOSSES)
def test_who_is_no_owner_any_more_has_invited_nobody(
    tenant: Tenant, other_home: UUID, anna: User, bert: User, browse: Browse, how: str,
    new_person: Callable[..., User],
) -> None:  # fmt: skip
    elsewhere = Tenant.objects.get(pk=other_home)
    set_role(elsewhere, bert, "owner")
    dora = new_person("dora")
    _, link = invite(tenant, dora.email, "owner", bert)
    others = [
        invite(tenant, "emil@example.org", "editor", anna)[0].pk,
        invite(tenant, "operator@example.org", "editor")[0].pk,
    ]
    kept, _ = invite(elsewhere, dora.email, "editor", bert)
    LOSSES[how](tenant, anna, bert)
    assert invitation_of(link) is None
    assert {each.pk for each in open_invitations_of(tenant)} == set(others)
    assert [each.pk for each in open_invitations_of(elsewhere)] == [kept.pk]
    # Not even if he becomes one again: what ended has ended.
    set_role(tenant, bert, "owner")
    answer = browse(dora).post(f"/accounts/invitations/{link}/", {"accept": "1"})
    assert answer.status_code == 404
    assert dora.id not in in_public(tenant.pk)


@pytest.mark.parametrize("change", ["demoted", "gone", "locked"])
def test_accepting_asks_whether_the_sender_still_owns_the_household(
    tenant: Tenant, anna: User, bert: User, browse: Browse, change: str,
    new_person: Callable[..., User],
) -> None:  # fmt: skip
    """Also if something took the right and left the invitation: a restored table, an operator."""
    dora = new_person("dora")
    _, link = invite(tenant, dora.email, "editor", bert)
    membership = Membership.objects.filter(tenant=tenant, user=bert)
    if change == "demoted":
        membership.update(role="editor")
    elif change == "gone":
        membership.delete()
    else:
        User.objects.filter(pk=bert.pk).update(is_active=False)
    assert browse(dora).get(f"/accounts/invitations/{link}/").status_code == 404
    assert dora.id not in in_public(tenant.pk)


def test_an_invitation_whose_sender_is_taken_out_while_it_is_being_accepted_lets_nobody_in(
    tenant: Tenant, anna: User, bert: User, browse: Browse, new_person: Callable[..., User]
) -> None:
    dora = new_person("dora")
    _, link = invite(tenant, dora.email, "editor", bert)
    browser = browse(dora)
    with ThreadPoolExecutor(1) as pool:
        with lock_held(tenant) as other:
            pid, answer = meanwhile(
                pool,
                lambda: browser.post(f"/accounts/invitations/{link}/", {"accept": "1"}),
            )
            wait_until_it_waits(other, pid)
            take_the_right(other, tenant, bert)
        assert answer.result(60).status_code == 302
    assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner", bert.id: "editor"}


def test_an_end_that_fails_withdraws_nothing(
    tenant: Tenant, anna: User, bert: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One transaction: the invitations go with the right, or stay with it."""
    sent, _ = invite(tenant, "dora@example.org", "editor", bert)

    def fail(*rest: object) -> None:
        raise RuntimeError("pulled the plug")

    monkeypatch.setattr("tenants.memberships.announce", fail)
    for act in (
        lambda: end_membership(tenant, bert),
        lambda: set_role(tenant, bert, "viewer"),
        lambda: hand_over(tenant, bert, anna),
    ):
        with pytest.raises(RuntimeError):
            act()
    assert [each.pk for each in open_invitations_of(tenant)] == [sent.pk]
    assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner", bert.id: "owner"}
