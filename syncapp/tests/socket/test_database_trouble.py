"""The database is busy, away, or dies in the middle: told as retryable, and nothing is settled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import DEFAULT_DB_ALIAS, connections

from syncapp.core import messages
from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.server import ServerThread
from syncapp.tests.socket.test_live import wait_until_listening
from syncapp.tests.socket.test_shutdown import wait_for_a_waiting_backend
from tenants import reach


@contextmanager
def database_away(psql: psycopg.Connection) -> Iterator[None]:
    """Nobody gets a new connection, and the ones that are open are cut."""
    target = connections[DEFAULT_DB_ALIAS].settings_dict
    kept = {name: target[name] for name in ("HOST", "PORT")}
    target.update({"HOST": "127.0.0.1", "PORT": "1"})
    try:
        psql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            # The cleaner of the database itself may be at work, and is not ours to end.
            " AND backend_type = 'client backend'"
        )
        connections[DEFAULT_DB_ALIAS].close()
        yield
    finally:
        target.update(kept)
        reach._away_until_s = 0.0


def test_a_household_that_is_locked_for_too_long_is_busy_and_settles_nothing(
    phone: Phone,
    new_phone: Callable[[], Phone],
    household: Household,
    raw_connection: psycopg.Connection,
) -> None:
    """Q03"""
    phone.online()
    reader = new_phone()
    raw_connection.execute(f"SELECT FROM {household.schema}.sync_head FOR UPDATE")
    change = phone.new_group("Bank")
    phone.push(change)
    error = phone.expect("error", code="busy", of="push", retryable=True)
    assert error["message"]
    raw_connection.rollback()
    phone.push(change)
    assert phone.expect("ack")["results"] == [{"number": 1, "fate": "applied"}]
    reader.connect().hello()
    assert len(reader.catch_up()) == 1


def test_a_backend_that_dies_under_a_push_is_told_as_away_and_the_repeat_counts_once(
    phone: Phone,
    household: Household,
    raw_connection: psycopg.Connection,
    psql: psycopg.Connection,
) -> None:
    """B04, Q02"""
    phone.online()
    raw_connection.execute(f"SELECT FROM {household.schema}.sync_head FOR UPDATE")
    change = phone.new_group("Bank")
    phone.push(change)
    psql.execute("SELECT pg_terminate_backend(%s)", [wait_for_a_waiting_backend(psql, household)])
    phone.expect("error", code="db_unavailable", of="push", retryable=True)
    raw_connection.rollback()
    phone.push(change)
    assert phone.expect("ack")["results"] == [{"number": 1, "fate": "applied"}]
    assert household.head().seq == 1


def test_while_the_database_is_away_every_frame_says_so_and_then_all_goes_on(
    phone: Phone,
    new_phone: Callable[[], Phone],
    household: Household,
    psql: psycopg.Connection,
    server: ServerThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Q02"""
    monkeypatch.setattr(messages, "HEARTBEAT_S", 0.2)
    phone.online()
    newcomer = new_phone()
    wait_until_listening(server)
    change = phone.new_group("Bank")
    with database_away(psql):
        phone.push(change)
        phone.expect("error", code="db_unavailable", of="push", retryable=True)
        phone.say({"type": "rows", "rows": [], "last": True})
        phone.expect("error", code="db_unavailable", of="rows")
        phone.pull()
        phone.expect("error", code="db_unavailable", of="pull")
        phone.say({"type": "ping"})
        phone.expect("error", code="db_unavailable", of="ping")
        newcomer.connect()
        (error,), code = newcomer.hear_close()
        assert (error["code"], error["retryable"], code) == ("db_unavailable", True, 1012)
    phone.push(change)
    assert phone.hear_until("ack")["results"] == [{"number": 1, "fate": "applied"}]
    newcomer.connect().hello()
    assert len(newcomer.catch_up()) == 1
    # Live again, too: the page that could not be read is announced, then given.
    wait_until_listening(server)
    psql.execute(f"UPDATE {household.schema}.account_group SET name = 'Banks'")
    assert newcomer.take_live()[0]["fields"]["name"] == "Banks"


def test_a_walk_that_cannot_go_on_says_so(
    phone: Phone,
    new_phone: Callable[[], Phone],
    psql: psycopg.Connection,
    server: ServerThread,
) -> None:
    """Credit asks for nothing, but with more to come the device waits for the next page."""
    phone.online()
    phone.push_and_settle(*(phone.new_group(str(number)) for number in range(3)))
    reader = new_phone()
    reader.connect().hello()
    reader.pull(limit=1)
    assert reader.take()["more"] is True
    with database_away(psql):
        reader.pull(ask=False, limit=1)
        reader.expect("error", code="db_unavailable", of="pull", retryable=True)
    reader.pull(limit=5)
    assert reader.hear_until("changes")["more"] is False


def test_a_page_that_could_not_be_read_is_announced_as_soon_as_it_can(
    phone: Phone,
    new_phone: Callable[[], Phone],
    household: Household,
    psql: psycopg.Connection,
    server: ServerThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The socket did not ask, so it hears no error; and the news it missed are not lost."""
    monkeypatch.setattr(messages, "HEARTBEAT_S", 0.2)
    phone.online()
    with database_away(psql):
        server.ask(lambda: server_room(household).heard(1))
        server.settle(household.id)
    psql.execute(
        f"INSERT INTO {household.schema}.account_group (id, name)"
        " VALUES (gen_random_uuid(), 'Bank')"
    )
    phone.expect("news", head=1)
    assert [row["fields"]["name"] for row in phone.catch_up()] == ["Bank"]


def server_room(household: Household) -> Any:
    from syncapp import fanout

    return fanout.hub().rooms[household.id]


def test_nobody_waits_for_the_database_of_another_household(
    households: Callable[[], Household],
    new_phone: Callable[..., Phone],
    raw_connection: psycopg.Connection,
) -> None:
    """H08, P04: one household is locked, and eight of its devices push."""
    locked, free = households(), households()
    raw_connection.execute(f"SELECT FROM {locked.schema}.sync_head FOR UPDATE")
    waiting = [new_phone(at=locked) for _ in range(10)]
    for phone in waiting:
        phone.connect().say(phone.hello_frame())
    phone = new_phone(at=free).online()
    for _ in range(5):
        phone.push_and_settle(phone.new_group("x"))
        phone.take_live()
    raw_connection.rollback()
    for each in waiting:
        each.expect("welcome")
