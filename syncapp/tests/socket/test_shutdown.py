"""A server that ends says so, and finishes what it has in hand."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg

from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.server import ServerThread


def wait_for_a_waiting_backend(psql: psycopg.Connection, household: Household) -> int:
    """Return the backend that waits for the household's lock."""
    while True:
        found = psql.execute(
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s",
            [f"%{household.schema}%"],
        ).fetchone()
        if found:
            return int(found[0])


def test_every_socket_hears_that_the_server_ends_and_is_closed_with_1012(
    own_server: ServerThread, new_phone: Callable[..., Phone]
) -> None:
    phones = [new_phone(url=own_server.url).online() for _ in range(5)]
    own_server.stop()
    for phone in phones:
        frames, code = phone.hear_close()
        assert [frame["type"] for frame in frames] == ["status", "error"]
        assert frames[0]["state"] == "shutting_down"
        assert (frames[1]["code"], frames[1]["retryable"], code) == ("restarting", True, 1012)


def test_the_batch_in_hand_is_acknowledged_before_the_end(
    own_server: ServerThread,
    new_phone: Callable[..., Phone],
    household: Household,
    raw_connection: psycopg.Connection,
    psql: psycopg.Connection,
) -> None:
    phone = new_phone(url=own_server.url).online()
    raw_connection.execute(f"SELECT FROM {household.schema}.sync_head FOR UPDATE")
    phone.push(phone.new_group("in hand"))
    wait_for_a_waiting_backend(psql, household)
    phone.push(phone.new_group("behind it"))
    end = threading.Thread(target=own_server.stop)
    end.start()
    # The end has begun when the socket has left its room.
    own_server.wait_for(lambda hub: not hub.rooms)
    raw_connection.rollback()
    frames, code = phone.hear_close()
    end.join()
    assert [frame["type"] for frame in frames] == ["ack", "status", "error"]
    assert frames[0]["results"][0]["fate"] == "applied"
    assert code == 1012
    # What was behind it had no effect and is sent again.
    assert [row.fields["name"] for row in household.rows().values()] == ["in hand"]


def test_a_device_comes_back_to_the_next_server_and_nothing_is_missing(
    own_server: ServerThread, server: ServerThread, new_phone: Callable[..., Phone]
) -> None:
    phone = new_phone(url=own_server.url).online()
    change = phone.new_group("Bank")
    phone.push(change)
    phone.hear_until("ack")
    own_server.stop()
    phone.url = server.url
    welcome = phone.connect().hello()
    assert (welcome["resume"], welcome["head"]) == (True, 1)
    assert len(phone.catch_up()) == 1


def test_a_server_ends_although_somebody_does_not_read(
    own_server: ServerThread, new_phone: Callable[..., Phone], household: Household
) -> None:
    from syncapp.tests.socket.deaf import Deaf

    deaf = Deaf(new_phone(url=own_server.url))
    phone = new_phone(url=own_server.url).online()
    own_server.wait_for(lambda hub: len(hub.rooms[household.id].sockets) == 2)
    own_server.stop()
    assert phone.hear_close()[1] == 1012
    deaf.close()
