"""Ping and pong, how devices are, and sync requests with their reports."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from syncapp import sync_requests
from syncapp.core import messages
from syncapp.sync_requests import (
    REQUESTS_KEPT,
    Answer,
    request_sync_inside_transaction,
    take_report,
)
from syncapp.tests.household import Household, now_ms
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.server import ServerThread
from syncapp.tests.socket.test_live import wait_until_listening
from tenants.context import in_tenant


def devices(household: Household) -> dict[str, dict[str, Any]]:
    with in_tenant(household.id) as inside, inside.cursor() as cursor:
        cursor.execute(f"SELECT to_jsonb(d) FROM {household.schema}.sync_device d")
        found = [json.loads(row[0]) for row in cursor.fetchall()]
        return {each["id"]: each for each in found}


def reports_of(household: Household, request_id: str) -> dict[str, Answer]:
    """What was answered so far, without those who were asked and have not answered."""
    with in_tenant(household.id) as inside:
        found = sync_requests.reports_of(inside, household.id, request_id)
    return {key: each for key, each in found.items() if each.at_ms}


def test_a_pong_tells_the_time_and_the_head(phone: Phone) -> None:
    phone.online()
    phone.push_and_settle(phone.new_group("Bank"))
    phone.take_live()
    before_ms = now_ms()
    pong = phone.ping()
    assert before_ms <= pong["timeMs"] <= now_ms()
    assert pong["head"] == 1


def test_a_ping_keeps_how_the_device_is(phone: Phone, household: Household) -> None:
    phone.online()
    phone.push_and_settle(phone.new_group("Bank"))
    phone.take_live()
    told = {"pending": 4, "oldestPendingMs": 1234, "refused": 2, "parked": 1}
    phone.say({"type": "ping", "cursor": phone.cursor, "clockMs": now_ms() + 60_000, **told})
    phone.expect("pong")
    kept = devices(household)[phone.id]
    assert (kept["pending"], kept["oldest_pending_ms"]) == (4, 1234)
    assert (kept["refused"], kept["parked"], kept["read_seq"]) == (2, 1, 1)
    assert 55_000 < kept["clock_offset_ms"] < 65_000


def test_a_ping_with_nothing_new_asks_no_database(
    phone: Phone, household: Household, raw_connection: Any
) -> None:
    """One that had to write would wait for the lock and be answered `busy`."""
    phone.online()
    phone.ping()
    raw_connection.execute(f"SELECT FROM {household.schema}.sync_head FOR UPDATE")
    phone.ping()


def test_everybody_who_is_connected_is_asked_to_sync_and_reports(
    phone: Phone, new_phone: Callable[[], Phone], household: Household, server: ServerThread
) -> None:
    other, silent = new_phone(), new_phone()
    phone.online()
    other.online()
    silent.connect()
    wait_until_listening(server)
    with in_tenant(household.id) as inside:
        request_id = request_sync_inside_transaction(inside, household.id, "Anna")
    for device in (phone, other):
        device.expect("sync_request", id=request_id, by="Anna")
    phone.say(
        {"type": "report", "id": request_id, "sent": 3, "received": 2, "pending": 1}
        | {"cursor": phone.cursor, "outcome": "pending"}
    )
    phone.catch_up()  # frames of a socket are handled one after the other
    reports = reports_of(household, request_id)
    assert set(reports) == {phone.id}
    assert (reports[phone.id].sent, reports[phone.id].outcome) == (3, "pending")
    assert devices(household)[phone.id]["pending"] == 1
    other.say({"type": "report", "id": request_id})
    other.ping()
    assert set(reports_of(household, request_id)) == {phone.id, other.id}
    # Whoever has not said hello is not asked.
    silent.hello()


def test_a_request_that_is_rolled_back_asks_nobody(
    phone: Phone, household: Household, server: ServerThread
) -> None:
    phone.online()
    wait_until_listening(server)
    with pytest.raises(ZeroDivisionError), in_tenant(household.id) as inside:
        request_sync_inside_transaction(inside, household.id, "Anna")
        raise ZeroDivisionError
    with connection.cursor() as cursor:
        payload = f"{household.schema} {uuid.uuid4()} Bert"
        cursor.execute("SELECT pg_notify('finwise_sync', %s)", [payload])
    phone.expect("sync_request", by="Bert")


def test_a_report_that_nobody_asked_for_is_not_kept(phone: Phone, household: Household) -> None:
    phone.online()
    request_id = str(uuid.uuid4())
    phone.say({"type": "report", "id": request_id})
    phone.ping()
    assert reports_of(household, request_id) == {}


def test_only_so_many_requests_are_remembered(
    household: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_requests, "SAME_REQUEST_MS", -1)
    device = str(uuid.uuid4())
    with in_tenant(household.id) as inside:
        asked = [
            request_sync_inside_transaction(inside, household.id, "Anna")
            for _ in range(REQUESTS_KEPT)
        ]
        for each in asked:
            take_report(inside, household.id, device, messages.Report(id=each))
        asked.append(request_sync_inside_transaction(inside, household.id, "Anna"))
        take_report(inside, household.id, device, messages.Report(id=asked[-1]))
    assert reports_of(household, asked[-1]).keys() == {device}
    assert sum(bool(reports_of(household, each)) for each in asked) == REQUESTS_KEPT


def test_whoever_asks_twice_in_the_same_moment_asks_once(household: Household) -> None:
    with in_tenant(household.id) as inside:
        first = request_sync_inside_transaction(inside, household.id, "Anna")
        assert request_sync_inside_transaction(inside, household.id, "Bert") == first


def test_who_asks_cannot_bring_line_breaks_along(household: Household) -> None:
    with in_tenant(household.id) as inside, inside.cursor() as cursor:
        request_sync_inside_transaction(inside, household.id, "An\nna\x00" + "a" * 200)
        cursor.execute(f"SELECT by FROM {household.schema}.sync_request")
        assert cursor.fetchone()[0] == "An na " + "a" * 144


def test_one_households_requests_are_not_anothers(
    households: Callable[[], Household], new_phone: Callable[..., Phone], server: ServerThread
) -> None:
    """L06"""
    ours, theirs = new_phone(at=households()), new_phone(at=households())
    ours.online()
    theirs.online()
    wait_until_listening(server)
    with in_tenant(ours.tenant_id) as inside:  # type: ignore[arg-type]
        request_id = request_sync_inside_transaction(inside, ours.tenant_id, "Anna")  # type: ignore[arg-type]
    ours.expect("sync_request")
    theirs.say({"type": "report", "id": request_id})
    theirs.ping()
    with in_tenant(ours.tenant_id) as inside:  # type: ignore[arg-type]
        found = sync_requests.reports_of(inside, ours.tenant_id, request_id)  # type: ignore[arg-type]
    assert theirs.id not in found
