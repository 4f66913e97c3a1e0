"""One thread, one household at a time: entered, proved, left."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DataError, InternalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from syncapp.core.errors import NotYours
from tenants import context
from tenants.context import NestedTenant, WrongSchema, call_in_tenant, in_tenant
from tenants.models import Tenant
from tenants.names import schema_name


@pytest.fixture(autouse=True)
def nothing_is_left_behind(database: None) -> Iterator[None]:
    yield
    assert connection.schema_name == "public"
    assert not connection.in_atomic_block
    assert current_schema() == "public"


def current_schema() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        return cursor.fetchone()[0]


def note(text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO probe VALUES (current_schema(), %s)", [text])


def notes(tenant_id: UUID) -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT schema, note FROM {schema_name(tenant_id)}.probe ORDER BY note")
        return cursor.fetchall()


def test_a_block_runs_in_its_household_and_commits(home: UUID, other_home: UUID) -> None:
    """S41"""
    with in_tenant(home) as inside:
        assert inside.schema_name == schema_name(home) == current_schema()
        note("mine")
    assert notes(home) == [(schema_name(home), "mine")]
    assert notes(other_home) == []


def test_an_exception_rolls_back_and_leaves(home: UUID) -> None:
    """L05"""
    with pytest.raises(ZeroDivisionError), in_tenant(home):
        note("lost")
        raise ZeroDivisionError
    assert current_schema() == "public"
    assert notes(home) == []


def test_after_a_rollback_to_a_savepoint_the_path_still_holds(home: UUID, other_home: UUID) -> None:
    """L02"""
    for tenant_id in (home, other_home, home):
        with in_tenant(tenant_id):
            with pytest.raises(DataError), transaction.atomic():
                note("lost")
                connection.cursor().execute("SELECT 1 / 0")
            assert current_schema() == schema_name(tenant_id)
            note("kept")
    assert [text for _, text in notes(home)] == ["kept", "kept"]
    assert {schema for schema, _ in notes(home)} == {schema_name(home)}
    assert notes(other_home) == [(schema_name(other_home), "kept")]


def test_another_household_cannot_be_entered_from_inside(home: UUID, other_home: UUID) -> None:
    with in_tenant(home):
        with pytest.raises(NestedTenant), in_tenant(other_home):
            pytest.fail("entered")
        assert current_schema() == schema_name(home)


def test_the_same_household_joins_the_transaction(home: UUID) -> None:
    with in_tenant(home):
        note("outer")
        with pytest.raises(ZeroDivisionError), in_tenant(home):
            note("inner, lost")
            raise ZeroDivisionError
        with in_tenant(home):
            note("inner, kept")
        assert connection.in_atomic_block
    assert [text for _, text in notes(home)] == ["inner, kept", "outer"]


def test_a_household_is_not_joined_where_django_tenants_set_it_by_hand(home: UUID) -> None:
    connection.set_schema(schema_name(home))
    try:
        with pytest.raises(NestedTenant), in_tenant(home):
            pytest.fail("entered")
    finally:
        connection.set_schema_to_public()


def test_a_household_without_a_schema_is_not_yours(database: None) -> None:
    """An unknown or deleted household must not fall through to `public`."""
    with pytest.raises(NotYours), in_tenant(uuid4()):
        pytest.fail("entered")


def test_a_block_that_ends_in_another_schema_is_rolled_back(home: UUID, other_home: UUID) -> None:
    """S41"""
    with pytest.raises(WrongSchema), in_tenant(home):
        note("lost")
        connection.cursor().execute(f"SET LOCAL search_path = {schema_name(other_home)}")
        note("lost")
    assert notes(home) == notes(other_home) == []


def test_a_block_that_ends_in_no_schema_is_rolled_back(home: UUID) -> None:
    with pytest.raises(WrongSchema), in_tenant(home):
        note("lost")
        connection.cursor().execute("SET LOCAL search_path = ''")
    assert notes(home) == []


def test_a_block_that_moved_the_connection_is_rolled_back(home: UUID, other_home: UUID) -> None:
    with pytest.raises(WrongSchema), in_tenant(home):
        note("lost")
        connection.set_schema(schema_name(other_home))
    assert notes(home) == notes(other_home) == []


def test_a_swallowed_database_error_is_not_taken_for_a_commit(home: UUID) -> None:
    with pytest.raises(InternalError), in_tenant(home):
        note("lost")
        with suppress(DataError):
            connection.cursor().execute("SELECT 1 / 0")
    assert notes(home) == []


def test_a_rollback_that_was_asked_for_is_silent(home: UUID) -> None:
    with in_tenant(home):
        note("a dry run")
        transaction.set_rollback(True)
    assert notes(home) == []


def test_what_runs_after_the_commit_still_runs_in_the_household(home: UUID) -> None:
    seen: list[str] = []
    with in_tenant(home):
        transaction.on_commit(lambda: seen.append(current_schema()))
    assert seen == [schema_name(home)]
    assert current_schema() == "public"


def test_a_snapshot_does_not_see_what_others_commit_meanwhile(home: UUID) -> None:
    with in_tenant(home, read_only=True):
        assert notes(home) == []
        with other_connection() as other:
            other.execute(f"INSERT INTO {schema_name(home)}.probe VALUES ('x', 'meanwhile')")
        assert notes(home) == []
    assert [text for _, text in notes(home)] == ["meanwhile"]


def test_a_write_inside_a_snapshot_is_our_mistake(home: UUID) -> None:
    with pytest.raises(InternalError):
        call_in_tenant(home, lambda _: note("never"), read_only=True)


def test_a_transaction_of_public_goes_on_after_a_block(home: UUID) -> None:
    with transaction.atomic():
        with in_tenant(home):
            note("kept")
        with in_tenant(home, read_only=True):
            assert len(notes(home)) == 1
        assert current_schema() == "public"
        with pytest.raises(ZeroDivisionError), in_tenant(home):
            note("lost")
            raise ZeroDivisionError
        assert current_schema() == "public"
    assert [text for _, text in notes(home)] == ["kept"]


def test_entering_and_leaving_costs_three_statements(home: UUID) -> None:
    with CaptureQueriesContext(connection) as sent, in_tenant(home):
        pass
    begin, enter, prove, commit = (query["sql"] for query in sent)
    assert begin == "BEGIN"
    assert "set_config" in enter
    assert prove.endswith("; COMMIT")
    assert commit == "COMMIT"  # Django's, which psycopg does not send: nothing is open any more


def test_a_coroutine_cannot_enter(home: UUID) -> None:
    async def enter() -> None:
        with in_tenant(home):
            pytest.fail("entered")

    with pytest.raises(SynchronousOnlyOperation):
        asyncio.run(enter())


def test_django_tenants_own_ways_in_are_closed(home: UUID) -> None:
    tenant = Tenant.objects.get(pk=home)
    with pytest.raises(TypeError), tenant:
        pytest.fail("entered")
    with pytest.raises(TypeError):
        tenant.activate()


def test_schema_names_that_reach_sql_are_checked(home: UUID) -> None:
    with pytest.raises(ValueError, match="is not the schema"), context.migrating("public"):
        pytest.fail("entered")


def other_connection() -> Any:
    """A session of somebody else, in autocommit."""
    import psycopg

    return psycopg.connect(**connection.get_connection_params() | {"autocommit": True})
