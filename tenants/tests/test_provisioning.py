"""A household is made once, whole, and for whom it belongs to."""

import asyncio
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone

from syncapp import repository
from syncapp.core.errors import (
    Busy,
    CreationLimit,
    DatabaseAway,
    EmailUnverified,
    NotYours,
    SyncError,
)
from tenants import migrating, provisioning, template
from tenants.context import in_tenant, run_in_public
from tenants.models import Membership, TemplateDdl, Tenant, User
from tenants.names import schema_name
from tenants.portrait import portrait
from tenants.provisioning import STEPS, delete_household, needs_migration, provision
from tenants.tests.test_troubles import end_other_sessions


def exists(tenant_id: UUID) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regnamespace(%s) IS NOT NULL", [schema_name(tenant_id)])
        return cursor.fetchone()[0]


def first_rows(tenant_id: UUID) -> tuple[int, list[tuple[UUID, str]]]:
    schema = schema_name(tenant_id)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {schema}.sync_head")
        heads = cursor.fetchone()[0]
        cursor.execute(f"SELECT user_id, role FROM {schema}.sync_member")
        return heads, cursor.fetchall()


def test_a_household_is_ready_with_its_owner_and_its_first_rows(anna: User) -> None:
    tenant_id = uuid.uuid4()
    tenant = provision(tenant_id, "  Home  ", anna.id)
    assert (tenant.name, tenant.status) == ("Home", Tenant.Status.READY)
    assert not needs_migration(tenant)
    assert Membership.objects.get(tenant=tenant).role == "owner"
    assert first_rows(tenant_id) == (1, [(anna.id, "owner")])
    with in_tenant(tenant_id) as inside:
        assert inside.schema_name == schema_name(tenant_id)


def test_a_made_household_equals_a_migrated_one(anna: User) -> None:
    tenant = provision(uuid.uuid4(), "Home", anna.id)
    assert portrait(connection, tenant.schema_name) == portrait(connection, "household_template")
    assert migrating.migrate(tenant.schema_name) == []


def test_again_is_the_same(anna: User) -> None:
    tenant_id = uuid.uuid4()
    first = provision(tenant_id, "Home", anna.id)
    again = provision(tenant_id, "Another name", anna.id)
    assert (again.pk, again.name) == (first.pk, "Home")
    assert first_rows(tenant_id) == (1, [(anna.id, "owner")])


def test_ten_first_connects_at_the_same_moment_make_one_household(anna: User) -> None:
    """M01"""
    tenant_id = uuid.uuid4()
    together = threading.Barrier(10, timeout=20)

    def connect() -> str:
        together.wait()
        try:
            return provision(tenant_id, "Home", anna.id).status
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as devices:
        statuses = [each.result() for each in [devices.submit(connect) for _ in range(10)]]
    assert statuses == ["ready"] * 10
    assert first_rows(tenant_id) == (1, [(anna.id, "owner")])
    assert Tenant.objects.filter(pk=tenant_id).count() == 1


async def test_ten_sockets_of_one_process_make_one_household(anna: User) -> None:
    """M01"""
    tenant_id = uuid.uuid4()
    calls = [run_in_public(provision, tenant_id, "Home", anna.id) for _ in range(10)]
    made = await asyncio.gather(*calls)
    assert [tenant.status for tenant in made] == ["ready"] * 10


def test_progress_is_told(anna: User) -> None:
    told: list[tuple[int, int]] = []
    tenant_id = uuid.uuid4()
    provision(tenant_id, "Home", anna.id, lambda step, of: told.append((step, of)))
    assert told == [(step, STEPS) for step in range(1, STEPS + 1)]
    provision(tenant_id, "Home", anna.id, lambda step, of: told.append((step, of)))
    assert len(told) == STEPS


@pytest.mark.parametrize("step", range(1, STEPS))
def test_who_dies_at_any_step_leaves_nothing_and_the_next_one_succeeds(
    anna: User, step: int
) -> None:
    """M02"""
    tenant_id = uuid.uuid4()

    def die(reached: int, of: int) -> None:
        if reached == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        provision(tenant_id, "Home", anna.id, die)
    assert not exists(tenant_id)
    assert not Tenant.objects.filter(pk=tenant_id).exists()
    assert not Membership.objects.filter(user=anna).exists()
    assert provision(tenant_id, "Home", anna.id).status == "ready"
    assert first_rows(tenant_id) == (1, [(anna.id, "owner")])


@pytest.mark.parametrize("step", range(1, STEPS))
def test_a_connection_killed_at_any_step_leaves_nothing(anna: User, step: int) -> None:
    """M02"""
    tenant_id = uuid.uuid4()

    def kill(reached: int, of: int) -> None:
        if reached == step:
            parameters = connection.get_connection_params() | {"autocommit": True}
            with psycopg.connect(**parameters) as bystander:
                end_other_sessions(bystander)

    with pytest.raises(DatabaseAway):
        provision(tenant_id, "Home", anna.id, kill)
    assert not exists(tenant_id)
    assert provision(tenant_id, "Home", anna.id).status == "ready"


def test_a_failure_of_the_first_rows_leaves_nothing(
    anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(repository, "seed", fail)
    tenant_id = uuid.uuid4()
    with pytest.raises(ZeroDivisionError):
        provision(tenant_id, "Home", anna.id)
    assert not exists(tenant_id)
    assert not Tenant.objects.filter(pk=tenant_id).exists()


def test_somebody_elses_and_a_deleted_household_answer_alike(
    anna: User, new_person: Callable[..., User]
) -> None:
    """M03, S12"""
    bert = new_person("bert")
    tenant_id = uuid.uuid4()
    provision(tenant_id, "Home", anna.id)
    answers = []
    with pytest.raises(NotYours) as raised:
        provision(tenant_id, "Mine", bert.id)
    answers.append(str(raised.value))
    delete_household(tenant_id)
    for person in (anna, bert):
        with pytest.raises(NotYours) as raised:
            provision(tenant_id, "Home", person.id)
        answers.append(str(raised.value))
    assert len(set(answers)) == 1
    assert not exists(tenant_id)
    assert Tenant.objects.get(pk=tenant_id).status == Tenant.Status.DELETED


def test_a_deleted_household_cannot_be_entered(anna: User) -> None:
    tenant_id = uuid.uuid4()
    provision(tenant_id, "Home", anna.id)
    delete_household(tenant_id)
    with pytest.raises(NotYours), in_tenant(tenant_id):
        pytest.fail("entered")


def test_a_person_may_make_only_so_many_households_a_day(anna: User, settings: Any) -> None:
    settings.TENANT_CREATIONS_PER_DAY = 2
    made = [provision(uuid.uuid4(), "Home", anna.id) for _ in range(2)]
    with pytest.raises(CreationLimit):
        provision(uuid.uuid4(), "One too many", anna.id)
    provision(made[0].pk, "Home", anna.id)  # those that exist are served
    provision(uuid.uuid4(), "The operator's", anna.id, by_operator=True)
    Tenant.objects.filter(pk=made[0].pk).update(created_at=timezone.now() - timedelta(days=2))
    assert provision(uuid.uuid4(), "The next day", anna.id).status == "ready"


def test_the_limit_holds_for_requests_of_the_same_moment(anna: User, settings: Any) -> None:
    settings.TENANT_CREATIONS_PER_DAY = 1
    together = threading.Barrier(4, timeout=20)

    def connect() -> str:
        together.wait()
        try:
            return provision(uuid.uuid4(), "Home", anna.id).status
        except SyncError as error:
            return error.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as devices:
        answers = [each.result() for each in [devices.submit(connect) for _ in range(4)]]
    assert sorted(answers) == ["creation_limit"] * 3 + ["ready"]


def test_a_confirmed_address_is_needed_where_the_site_says_so(anna: User, settings: Any) -> None:
    settings.TENANT_NEEDS_VERIFIED_EMAIL = True
    User.objects.filter(pk=anna.pk).update(email_verified=False)
    tenant_id = uuid.uuid4()
    with pytest.raises(EmailUnverified):
        provision(tenant_id, "Home", anna.id)
    assert not exists(tenant_id)
    User.objects.filter(pk=anna.pk).update(email_verified=True)
    assert provision(tenant_id, "Home", anna.id).status == "ready"


def test_who_is_not_active_makes_nothing(anna: User) -> None:
    User.objects.filter(pk=anna.pk).update(is_active=False)
    with pytest.raises(NotYours):
        provision(uuid.uuid4(), "Home", anna.id)
    with pytest.raises(NotYours):
        provision(uuid.uuid4(), "Home", uuid.uuid4())


def test_without_a_template_migrations_make_the_same_household(
    anna: User, caplog: pytest.LogCaptureFixture
) -> None:
    kept = list(TemplateDdl.objects.all())
    TemplateDdl.objects.all().delete()
    try:
        tenant = provision(uuid.uuid4(), "Home", anna.id)
    finally:
        TemplateDdl.objects.bulk_create(kept)
    assert "no current template" in caplog.text
    assert tenant.status == "ready"
    assert portrait(connection, tenant.schema_name) == portrait(connection, "household_template")
    assert first_rows(tenant.pk) == (1, [(anna.id, "owner")])


def test_somebody_at_work_in_the_household_delays_its_deletion(home: UUID) -> None:
    parameters = connection.get_connection_params() | {"autocommit": True}
    with psycopg.connect(**parameters) as bystander, bystander.transaction():
        bystander.execute(f"SELECT FROM {schema_name(home)}.sync_head FOR UPDATE")
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = 20")
        with pytest.raises(Busy):
            delete_household(home)
    connection.close()
    assert exists(home)
    delete_household(home)
    assert not exists(home)


def test_a_name_of_any_length_fits(anna: User) -> None:
    assert len(provision(uuid.uuid4(), "n" * 500, anna.id).name) == 200


def test_the_text_is_taken_anew_when_a_migration_changes(
    ready_database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert template.current_text() is not None
    monkeypatch.setattr(migrating, "template_version", lambda: "of tomorrow")
    assert template.current_text() is None


def test_a_household_is_deleted_although_somebody_reads_in_the_other_order(
    home: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL undoes one of the two; the deletion is the one that is repeated."""
    delete, tries = provisioning._delete, []

    def deadlocked(*arguments: object) -> None:
        tries.append(arguments)
        if len(tries) < 3:
            raise OperationalError() from psycopg.errors.DeadlockDetected()
        delete(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(provisioning, "_delete", deadlocked)
    provisioning.delete_household(home)
    assert len(tries) == 3
    assert Tenant.objects.get(pk=home).status == Tenant.Status.DELETED
    tries.clear()
    monkeypatch.setattr(provisioning, "DELETE_ATTEMPTS", 2)
    with pytest.raises(Busy):
        provisioning.delete_household(home)
    assert len(tries) == 2
