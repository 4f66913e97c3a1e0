"""Writes from anywhere reach a watching device: psql, a shell, another process."""

from __future__ import annotations

import time
import uuid
from typing import Any

import psycopg
import pytest

from syncapp import listening
from syncapp.core import messages
from syncapp.editing import edit_row
from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.server import ServerThread
from tenants.context import in_tenant


@pytest.fixture
def watcher(phone: Phone, server: ServerThread) -> Phone:
    """A device that is up to date; its process listens."""
    phone.online()
    wait_until_listening(server)
    return phone


def wait_until_listening(server: ServerThread) -> int:
    """Return the backend that LISTENs for the server."""
    server.wait_for(lambda hub: hub.listener.pid is not None)
    pid = server.hub().listener.pid
    assert pid is not None
    return pid


def without_the_beat(watcher: Phone) -> list[dict[str, Any]]:
    """What comes long before a beat is over."""
    began_s = time.monotonic()
    rows = watcher.take_live()
    assert time.monotonic() - began_s < messages.HEARTBEAT_S / 2
    return rows


def test_insert_update_and_delete_in_psql_reach_a_watching_device(
    watcher: Phone, psql: psycopg.Connection, household: Household
) -> None:
    group_id = str(uuid.uuid4())
    table = f"{household.schema}.account_group"
    psql.execute(f"INSERT INTO {table} (id, name) VALUES (%s, 'Bank')", [group_id])
    (row,) = without_the_beat(watcher)
    assert (row["entity"], row["id"], row["fields"]["name"]) == ("account_group", group_id, "Bank")
    assert row["stamp"].endswith("-0000000000000000")
    psql.execute(f"UPDATE {table} SET name = 'Banks' WHERE id = %s", [group_id])
    (row,) = without_the_beat(watcher)
    assert row["fields"]["name"] == "Banks"
    psql.execute(f"DELETE FROM {table} WHERE id = %s", [group_id])
    (row,) = without_the_beat(watcher)
    assert row["fields"]["exists"] is False


def test_a_transaction_of_many_statements_is_one_frame(
    watcher: Phone, psql: psycopg.Connection, household: Household
) -> None:
    """C05"""
    table = f"{household.schema}.account_group"
    with psql.transaction():
        for _ in range(20):
            psql.execute(f"INSERT INTO {table} (id, name) VALUES (gen_random_uuid(), 'x')")
    assert len(without_the_beat(watcher)) == 20


def test_a_write_that_was_rolled_back_is_told_to_nobody(
    watcher: Phone, psql: psycopg.Connection, household: Household, server: ServerThread
) -> None:
    """G02, H03"""
    table = f"{household.schema}.account_group"
    with psql.transaction(force_rollback=True):
        psql.execute(f"INSERT INTO {table} (id, name) VALUES (gen_random_uuid(), 'gone')")
    psql.execute(f"INSERT INTO {table} (id, name) VALUES (gen_random_uuid(), 'here')")
    assert [row["fields"]["name"] for row in without_the_beat(watcher)] == ["here"]
    server.settle(household.id)
    watcher.ping()


def test_edits_in_a_django_shell_reach_a_watching_device(
    watcher: Phone, household: Household
) -> None:
    from accounts.models import AccountGroup

    with in_tenant(household.id):
        group = AccountGroup.objects.create(name="Bank")
    (row,) = without_the_beat(watcher)
    assert row["id"] == str(group.id)
    with in_tenant(household.id):
        AccountGroup.objects.filter(pk=group.id).update(name="Banks")
    (row,) = without_the_beat(watcher)
    assert row["fields"]["name"] == "Banks"
    with in_tenant(household.id):
        loaded = AccountGroup.objects.get(pk=group.id)
        loaded.sort_order = 7
        loaded.save()
    (row,) = without_the_beat(watcher)
    assert row["fields"]["sortOrder"] == 7
    with in_tenant(household.id):
        AccountGroup.objects.get(pk=group.id).delete()
    (row,) = without_the_beat(watcher)
    assert row["fields"]["exists"] is False


def test_an_edit_by_the_engine_in_a_process_without_sockets_is_told_too(
    watcher: Phone, household: Household
) -> None:
    edit_row(household.id, "account_group", uuid.uuid4(), "create", {"name": "Bank"})
    (row,) = without_the_beat(watcher)
    assert row["fields"]["name"] == "Bank"


def test_while_listen_is_down_a_heartbeat_brings_the_news(
    watcher: Phone,
    psql: psycopg.Connection,
    household: Household,
    server: ServerThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """H01. The beat that was begun is a long one; sockets that come later see a short one."""
    monkeypatch.setattr(messages, "HEARTBEAT_S", 0.3)
    watcher.hang_up()
    server.wait_until_idle()
    watcher.online()
    pid = wait_until_listening(server)
    monkeypatch.setattr(listening, "_parameters", _unreachable)
    psql.execute("SELECT pg_terminate_backend(%s)", [pid])
    server.wait_for(lambda hub: hub.listener.pid is None)
    table = f"{household.schema}.account_group"
    psql.execute(f"INSERT INTO {table} (id, name) VALUES (gen_random_uuid(), 'Bank')")
    (row,) = watcher.take_live()
    assert row["fields"]["name"] == "Bank"


def _unreachable() -> dict[str, Any]:
    raise psycopg.OperationalError("nobody there")


def test_listen_comes_back_by_itself_and_catches_up(
    watcher: Phone, psql: psycopg.Connection, household: Household, server: ServerThread
) -> None:
    """H01: what was written between two connections is found by reading the heads."""
    pid = server.hub().listener.pid
    table = f"{household.schema}.account_group"
    with psql.transaction():
        psql.execute(f"INSERT INTO {table} (id, name) VALUES (gen_random_uuid(), 'Bank')")
        psql.execute("SELECT pg_terminate_backend(%s)", [pid])
    (row,) = watcher.take_live()
    assert row["fields"]["name"] == "Bank"
    assert wait_until_listening(server) != pid
    psql.execute(f"INSERT INTO {table} (id, name) VALUES (gen_random_uuid(), 'Cash')")
    (row,) = without_the_beat(watcher)
    assert row["fields"]["name"] == "Cash"


@pytest.mark.parametrize(
    "payload", ["", "x", "public 5", "t_zz 5", "t_{hex} x", "t_{hex} 5 6", "t_{hex}", "\u00e4" * 50]
)
@pytest.mark.parametrize("channel", ["finwise_news", "finwise_access", "finwise_sync"])
def test_nonsense_told_by_somebody_with_a_connection_disturbs_nobody(
    watcher: Phone,
    psql: psycopg.Connection,
    household: Household,
    channel: str,
    payload: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    psql.execute("SELECT pg_notify(%s, %s)", [channel, payload.format(hex=household.id.hex)])
    table = f"{household.schema}.account_group"
    psql.execute(f"INSERT INTO {table} (id, name) VALUES (gen_random_uuid(), 'Bank')")
    assert len(without_the_beat(watcher)) == 1
    assert not [record for record in caplog.records if record.exc_info]


def test_a_head_that_never_was_is_corrected_by_the_next_read(
    watcher: Phone,
    psql: psycopg.Connection,
    household: Household,
    server: ServerThread,
) -> None:
    """A pong must not name a head that no pull can reach: the device would never be green."""
    psql.execute("SELECT pg_notify('finwise_news', %s)", [f"{household.schema} 1000"])
    table = f"{household.schema}.account_group"
    psql.execute(f"INSERT INTO {table} (id, name) VALUES (gen_random_uuid(), 'Bank')")
    assert watcher.take_live()[0]["fields"]["name"] == "Bank"
    server.run(_refreshed())
    assert watcher.ping()["head"] == 1


async def _refreshed() -> None:
    from syncapp import fanout

    await fanout.hub().refresh()


def test_a_commit_between_joining_and_reading_the_head_is_delivered(
    phone: Phone,
    psql: psycopg.Connection,
    household: Household,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """H07: the room is joined first; a barrier holds the greeting right behind that."""
    from syncapp import fanout

    joined = fanout.Hub.join
    table = f"{household.schema}.account_group"

    def join_and_then_somebody_writes(hub: Any, socket: Any) -> Any:
        room = joined(hub, socket)
        psql.execute(f"INSERT INTO {table} (id, name) VALUES (gen_random_uuid(), 'Bank')")
        return room

    monkeypatch.setattr(fanout.Hub, "join", join_and_then_somebody_writes)
    assert phone.connect().hello()["head"] == 1
    assert [row["fields"]["name"] for row in phone.catch_up()] == ["Bank"]


def test_a_commit_between_reading_the_head_and_the_first_pull_is_delivered(
    phone: Phone, psql: psycopg.Connection, household: Household, server: ServerThread
) -> None:
    """H07"""
    assert phone.connect().hello()["head"] == 0
    wait_until_listening(server)
    table = f"{household.schema}.account_group"
    psql.execute(f"INSERT INTO {table} (id, name) VALUES (gen_random_uuid(), 'Bank')")
    phone.expect("news", head=1)
    assert [row["fields"]["name"] for row in phone.catch_up()] == ["Bank"]


def test_a_household_restored_under_running_sockets_ends_their_conversations(
    watcher: Phone, psql: psycopg.Connection, household: Household, server: ServerThread
) -> None:
    """R01, R04: the head goes back; who has read further must not look up to date."""
    for _ in range(3):
        watcher.push_and_settle(watcher.new_group("Bank"))
        watcher.take_live()
    server.run(_refreshed())
    psql.execute(f"DELETE FROM {household.schema}.sync_transaction WHERE seq > 1")
    psql.execute(
        f"UPDATE {household.schema}.sync_head SET seq = 1, fingerprint = "
        f"(SELECT fingerprint FROM {household.schema}.sync_transaction WHERE seq = 1)"
    )
    server.run(_refreshed())
    assert watcher.refused() == ("restarting", 1012)
    welcome = watcher.connect().hello()
    assert (welcome["reset"], welcome["head"]) == ("restored", 1)
    assert watcher.ping()["head"] == 1
