import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest
from django.db import connection, connections

from syncapp.core.errors import Busy, NotYours
from tenants.access import ACCESS_CHANNEL
from tenants.authentication import role_of
from tenants.memberships import LastOwner, end_membership, set_role
from tenants.models import Membership, Tenant, User
from tenants.names import schema_name
from tenants.provisioning import delete_household


def mirrored(tenant_id: UUID) -> dict[UUID, str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT user_id, role FROM {schema_name(tenant_id)}.sync_member")
        return dict(cursor.fetchall())


def in_public(tenant_id: UUID) -> dict[UUID, str]:
    return dict(Membership.objects.filter(tenant_id=tenant_id).values_list("user_id", "role"))


@pytest.fixture
def tenant(home: UUID) -> Tenant:
    return Tenant.objects.get(pk=home)


@pytest.fixture
def bert(new_person: Callable[..., User]) -> User:
    return new_person("bert")


def test_a_role_stands_in_both_places(tenant: Tenant, anna: User, bert: User) -> None:
    for role in ("viewer", "editor", "owner"):
        set_role(tenant, bert, role)
        assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner", bert.id: role}
    assert role_of(bert.id, tenant.pk) == "owner"
    end_membership(tenant, bert)
    assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner"}
    assert role_of(bert.id, tenant.pk) is None
    end_membership(tenant, bert)


def test_an_unknown_role_changes_nothing(tenant: Tenant, anna: User, bert: User) -> None:
    with pytest.raises(ValueError, match="is not a role"):
        set_role(tenant, bert, "admin")
    assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner"}


def test_a_household_keeps_an_owner(tenant: Tenant, anna: User, bert: User) -> None:
    set_role(tenant, bert, "editor")
    for leave in (lambda: set_role(tenant, anna, "viewer"), lambda: end_membership(tenant, anna)):
        with pytest.raises(LastOwner):
            leave()
        assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner", bert.id: "editor"}
    set_role(tenant, bert, "owner")
    end_membership(tenant, anna)
    assert in_public(tenant.pk) == mirrored(tenant.pk) == {bert.id: "owner"}


def test_an_owner_who_may_not_sign_in_is_not_enough(tenant: Tenant, anna: User, bert: User) -> None:
    set_role(tenant, bert, "owner")
    User.objects.filter(pk=bert.pk).update(is_active=False)
    with pytest.raises(LastOwner):
        end_membership(tenant, anna)
    assert in_public(tenant.pk) == {anna.id: "owner", bert.id: "owner"}
    end_membership(tenant, bert)
    assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner"}


def test_two_owners_who_leave_at_the_same_moment_do_not_both_succeed(
    tenant: Tenant, anna: User, bert: User
) -> None:
    set_role(tenant, bert, "owner")
    together = threading.Barrier(2, timeout=20)

    def leave(user: User) -> str:
        together.wait()
        try:
            end_membership(tenant, user)
            return "gone"
        except LastOwner:
            return "stays"
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as people:
        assert sorted(people.map(leave, (anna, bert))) == ["gone", "stays"]
    assert len(in_public(tenant.pk)) == 1
    assert in_public(tenant.pk) == mirrored(tenant.pk)


def test_a_change_waits_for_the_push_that_holds_the_lock(
    tenant: Tenant, bert: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S15: a push either commits before the change, or sees it."""
    parameters = connection.get_connection_params() | {"autocommit": True}
    with psycopg.connect(**parameters) as push, push.transaction():
        push.execute(f"SELECT FROM {tenant.schema_name}.sync_head FOR UPDATE")
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = 20")
        with pytest.raises(Busy):
            set_role(tenant, bert, "editor")
    connection.close()
    assert role_of(bert.id, tenant.pk) is None
    assert bert.id not in mirrored(tenant.pk)
    set_role(tenant, bert, "editor")
    assert mirrored(tenant.pk)[bert.id] == "editor"


def test_every_process_hears_whose_access_changed(tenant: Tenant, anna: User, bert: User) -> None:
    """S13, S14, S15"""
    parameters = connection.get_connection_params() | {"autocommit": True}
    with psycopg.connect(**parameters) as listener:
        listener.execute(f"LISTEN {ACCESS_CHANNEL}")

        def heard() -> list[str]:
            listener.execute("SELECT 1")
            return [each.payload for each in listener.notifies(timeout=0)]

        set_role(tenant, bert, "editor")
        assert heard() == [str(bert.id)]
        end_membership(tenant, bert)
        assert heard() == [str(bert.id)]
        with pytest.raises(LastOwner):
            end_membership(tenant, anna)
        assert heard() == []
        bert.is_active = False
        bert.save()
        assert heard() == [str(bert.id)]
        bert.display_name = "Bert"
        bert.save(update_fields=["display_name"])
        assert heard() == []
        delete_household(tenant.pk)
        assert heard() == [str(anna.id)]


def test_a_deleted_household_takes_no_members(tenant: Tenant, bert: User) -> None:
    delete_household(tenant.pk)
    with pytest.raises(NotYours):
        set_role(tenant, bert, "owner")
    assert in_public(tenant.pk) == {}
