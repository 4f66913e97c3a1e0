"""The database has a bad moment: nothing is lost, nobody is blamed, and it is told as such."""

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import OperationalError, ProgrammingError, connection, connections

from syncapp.core.errors import Busy, DatabaseAway, NotYours
from tenants import context, reach
from tenants.context import call_in_tenant, in_tenant
from tenants.names import schema_name

RAISE = "DO $$ BEGIN RAISE EXCEPTION 'simulated' USING ERRCODE = '{state}'; END $$"


@pytest.fixture(autouse=True)
def nothing_is_left_behind(database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(context, "FIRST_PAUSE_S", 0)
    monkeypatch.setattr(reach, "_away_until_s", 0.0)
    yield
    assert connection.schema_name == "public"
    assert not connection.in_atomic_block


@pytest.fixture
def bystander(database: None) -> Iterator[psycopg.Connection]:
    """A session of somebody else, in autocommit."""
    parameters = connection.get_connection_params() | {"autocommit": True}
    with psycopg.connect(**parameters) as session:
        yield session


def end_other_sessions(session: psycopg.Connection) -> int:
    """End every session on the test database but the caller's; return how many."""
    ended = session.execute(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    return ended.fetchone()[0]


def raising(state: str) -> Callable[[Any], None]:
    return lambda inside: inside.cursor().execute(RAISE.format(state=state))


def names_its_schema(inside: Any) -> str:
    with inside.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        return cursor.fetchone()[0]


@pytest.mark.parametrize("state", ["53100", "53200", "53300", "55P03", "25006", "25P04", "57014"])
def test_what_the_database_cannot_do_now_is_busy(home: UUID, state: str) -> None:
    """Q03"""
    with pytest.raises(Busy) as raised:
        call_in_tenant(home, raising(state))
    assert raised.value.retryable


def test_a_real_lock_timeout_is_busy(home: UUID, bystander: psycopg.Connection) -> None:
    """Q03"""
    table = f"{schema_name(home)}.probe"

    def write(inside: Any) -> None:
        inside.cursor().execute(f"SET LOCAL lock_timeout = 20; INSERT INTO {table} VALUES ('', '')")

    with bystander.transaction():
        bystander.execute(f"LOCK TABLE {table}")
        with pytest.raises(Busy):
            call_in_tenant(home, write)
    call_in_tenant(home, write)


def test_a_server_that_went_read_only_is_busy(home: UUID) -> None:
    """Q03"""

    def write(inside: Any) -> None:
        inside.cursor().execute("SET TRANSACTION READ ONLY; INSERT INTO probe VALUES ('', '')")

    with pytest.raises(Busy):
        call_in_tenant(home, write)


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_a_transaction_that_was_undone_for_others_is_run_again(home: UUID, state: str) -> None:
    """Q03: never shown."""
    attempts: list[str] = []

    def third_time_lucky(inside: Any) -> str:
        attempts.append(names_its_schema(inside))
        if len(attempts) < 3:
            raising(state)(inside)
        return "done"

    assert call_in_tenant(home, third_time_lucky) == "done"
    assert attempts == [schema_name(home)] * 3


def test_whoever_waits_for_a_household_that_is_deleted_hears_that_it_is_not_theirs(
    new_household: Any, bystander: psycopg.Connection
) -> None:
    """M03: a push stands before the lock while `delete_tenant` drops the schema behind it."""
    doomed = new_household()
    schema = schema_name(doomed)

    def pushes(inside: Any) -> None:
        bystander.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        inside.cursor().execute(f"SELECT FROM {schema}.probe FOR UPDATE")

    with pytest.raises(NotYours):
        call_in_tenant(doomed, pushes)


def test_a_table_that_a_household_lacks_is_a_mistake_of_ours(home: UUID) -> None:
    with pytest.raises(ProgrammingError):
        call_in_tenant(home, lambda inside: inside.cursor().execute("SELECT FROM no_such_table"))


def test_after_five_attempts_it_is_busy(home: UUID) -> None:
    attempts: list[int] = []

    def never_lucky(inside: Any) -> None:
        attempts.append(1)
        raising("40P01")(inside)

    with pytest.raises(Busy):
        call_in_tenant(home, never_lucky)
    assert len(attempts) == context.ATTEMPTS


def test_a_real_deadlock_is_never_shown(home: UUID, new_household: Any) -> None:
    """Two transactions take two rows in opposite order; both succeed in the end."""
    first_rows_taken = threading.Barrier(2, timeout=10)
    attempts: list[str] = []
    table = f"{schema_name(home)}.probe"
    with in_tenant(home) as inside:
        inside.cursor().execute(f"INSERT INTO {table} VALUES ('', 'a'), ('', 'b')")

    def both_rows(inside: Any, first: str, second: str) -> None:
        attempts.append(first)
        cursor = inside.cursor()
        cursor.execute(f"UPDATE {table} SET schema = '' WHERE note = %s", [first])
        if len(attempts) <= 2:
            first_rows_taken.wait()
        cursor.execute(f"UPDATE {table} SET schema = '' WHERE note = %s", [second])

    outcomes: list[object] = []

    def work(first: str, second: str) -> None:
        try:
            call_in_tenant(home, both_rows, first, second)
            outcomes.append("done")
        except BaseException as error:
            outcomes.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert outcomes == ["done", "done"]
    assert len(attempts) >= 3, "who loses a deadlock under load may lose it again"


def test_a_dead_connection_is_replaced_before_anything_ran(
    home: UUID, bystander: psycopg.Connection
) -> None:
    """Q02"""
    assert call_in_tenant(home, names_its_schema) == schema_name(home)
    assert end_other_sessions(bystander) == 1
    assert call_in_tenant(home, names_its_schema) == schema_name(home)


def test_a_pool_full_of_dead_connections_is_replaced(
    home: UUID, pooled: None, bystander: psycopg.Connection
) -> None:
    """Q02: after a restart of PostgreSQL."""
    assert end_other_sessions(bystander) == 3
    assert call_in_tenant(home, names_its_schema) == schema_name(home)
    connection.close()
    assert call_in_tenant(home, names_its_schema) == schema_name(home)


def test_a_connection_that_dies_in_the_middle_is_told_and_not_repeated(
    home: UUID, bystander: psycopg.Connection
) -> None:
    """Whether the COMMIT came through cannot be known, so only the device may try again."""
    attempts: list[int] = []

    def cut_off(inside: Any) -> None:
        attempts.append(1)
        inside.cursor().execute("INSERT INTO probe VALUES ('', 'lost')")
        end_other_sessions(bystander)
        inside.cursor().execute("SELECT 1")

    with pytest.raises(DatabaseAway):
        call_in_tenant(home, cut_off)
    assert len(attempts) == 1
    assert bystander.execute(f"SELECT * FROM {schema_name(home)}.probe").fetchall() == []
    assert call_in_tenant(home, names_its_schema) == schema_name(home)


def test_a_connection_that_dies_before_the_commit_is_told(
    home: UUID, bystander: psycopg.Connection
) -> None:
    def cut_off_at_the_end(inside: Any) -> None:
        inside.cursor().execute("INSERT INTO probe VALUES ('', 'lost')")
        end_other_sessions(bystander)

    with pytest.raises(DatabaseAway):
        call_in_tenant(home, cut_off_at_the_end)
    assert bystander.execute(f"SELECT * FROM {schema_name(home)}.probe").fetchall() == []


def test_a_pooled_connection_with_another_path_is_set_right_first(
    home: UUID, other_home: UUID, pooled: None
) -> None:
    """L08"""
    sessions = [connection.pool.getconn() for _ in range(3)]
    for session in sessions:
        session.execute(f"SET search_path = {schema_name(other_home)}, public")
        connection.pool.putconn(session)
    connection.close()
    for tenant_id in (home, other_home, home):
        assert call_in_tenant(tenant_id, names_its_schema) == schema_name(tenant_id)
        connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        assert cursor.fetchone() == ("public",)


def test_while_the_database_is_away_everybody_is_told_at_once(
    home: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hundreds of sockets must not queue for eight workers that wait for a connection each."""
    now_s, tries = 100.0, []
    monkeypatch.setattr(reach, "time", SimpleNamespace(monotonic=lambda: now_s))

    def refuse() -> None:
        tries.append(1)
        raise OperationalError("connection refused")

    connection.close()
    with monkeypatch.context() as away:
        away.setattr(connection._connections["default"], "ensure_connection", refuse)
        for _ in range(3):
            with pytest.raises(DatabaseAway) as raised:
                call_in_tenant(home, names_its_schema)
        assert len(tries) == 1
        assert raised.value.retry_after_ms == 1000
    now_s += reach.AWAY_FOR_S
    assert call_in_tenant(home, names_its_schema) == schema_name(home)
