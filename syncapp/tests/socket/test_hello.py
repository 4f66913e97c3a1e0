"""Hello and welcome over a real socket."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

import psycopg
import pytest

from syncapp.core import messages
from syncapp.curing import force_reset
from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.server import ServerThread
from tenants.context import in_tenant


def test_a_first_hello_is_welcomed_with_what_the_device_needs_to_know(phone: Phone) -> None:
    welcome = phone.connect().hello()
    assert phone.socket is not None and phone.socket.subprotocol == messages.PROTOCOL
    assert welcome["role"] == "owner"
    assert welcome["head"] == 0
    assert welcome["resume"] is False
    assert not {"reset", "identity", "created"} & set(welcome)
    assert set(welcome["entities"]) >= {"account", "account_group", "conflict"}
    assert welcome["limits"] == {
        "frameBytes": 1024 * 1024,
        "batchRows": 500,
        "batchBytes": 512 * 1024,
        "rowBytes": 256 * 1024,
        "heartbeatMs": 20_000,
    }


def test_a_device_that_comes_back_resumes_where_it_stood(
    phone: Phone, new_phone: Callable[[], Phone]
) -> None:
    phone.online()
    phone.push_and_settle(phone.new_group("Bank"))
    phone.take_live()
    other = new_phone().online()
    phone.hang_up()
    other.push_and_settle(other.new_group("Cash"))
    welcome = phone.connect().hello()
    assert welcome["resume"] is True and welcome["head"] == 2
    assert [row["fields"]["name"] for row in phone.catch_up()] == ["Cash"]


def test_a_cursor_that_is_none_meets_a_snapshot(phone: Phone) -> None:
    """G06"""
    phone.online()
    phone.cursor = "../../etc/passwd"
    welcome = phone.connect().hello()
    assert (welcome["reset"], welcome["resume"]) == ("horizon", False)


def test_a_cursor_of_another_household_gives_a_snapshot_of_ones_own(
    households: Callable[[], Household], new_phone: Callable[..., Phone]
) -> None:
    """G06, L07"""
    ours, theirs = households(), households()
    stranger = new_phone(at=theirs).online()
    stranger.push_and_settle(stranger.new_group("Secret"))
    stranger.take_live()
    phone = new_phone(at=ours)
    phone.connect()
    welcome = phone.hello(cursor=stranger.cursor)
    assert (welcome["reset"], welcome["resume"]) == ("operator", False)
    phone.connect().hello(reset="operator")
    assert phone.catch_up() == []


def test_an_acknowledged_number_that_the_server_never_had_means_a_restored_server(
    phone: Phone,
) -> None:
    """B06"""
    phone.online()
    phone.acknowledged = 7
    assert phone.connect().hello()["reset"] == "restored"
    # Until the device has noted it, it is told again.
    assert phone.connect().hello()["reset"] == "restored"
    assert "reset" not in phone.connect().hello(cursor=None, reset="restored")
    phone.number = 7  # the numbers were adopted
    assert phone.push_and_settle(phone.new_group("Bank"))[0]["fate"] == "applied"


def test_a_reset_that_a_device_has_begun_to_take_is_not_told_again(
    phone: Phone, household: Household
) -> None:
    phone.online()
    force_reset(household.id, uuid.UUID(phone.id))
    assert phone.connect().hello()["reset"] == "operator"
    assert phone.connect().hello()["reset"] == "operator"
    phone.catch_up()
    assert "reset" not in phone.connect().hello()


def test_another_life_of_the_household_resets_its_devices(
    phone: Phone, household: Household
) -> None:
    phone.online()
    with in_tenant(household.id) as inside, inside.cursor() as cursor:
        cursor.execute(f"UPDATE {household.schema}.sync_head SET epoch = repeat('e', 32)")
    assert phone.connect().hello()["reset"] == "operator"


def test_a_device_that_is_somebody_elses_is_told_to_take_another_identity(
    phone: Phone,
    household: Household,
    new_member: Callable[[Household, str], object],
    new_phone: Callable[..., Phone],
) -> None:
    """S18"""
    phone.online()
    thief = new_phone(new_member(household, "editor"))
    thief.id, thief.node = phone.id, phone.node
    welcome = thief.connect().hello()
    assert (welcome["identity"], welcome["resume"]) == ("taken", False)
    assert thief.hear_close() == ([], 1012)
    assert phone.ping()["head"] == 0


def test_a_copy_of_a_device_is_told_to_take_another_identity(
    phone: Phone, new_phone: Callable[[], Phone]
) -> None:
    phone.online()
    copy = new_phone()
    copy.id = phone.id  # restored from an older backup, it has another node
    assert copy.connect().hello()["identity"] == "taken"
    assert copy.hear_close() == ([], 1012)
    copy.id = str(uuid.uuid4())
    copy.node = phone.node
    assert copy.connect().hello()["identity"] == "taken"


def test_the_first_frame_must_be_a_hello(phone: Phone) -> None:
    phone.connect()
    for frame in ("ping", "pull", {"type": "push", "changes": []}, {"type": "rows", "rows": []}):
        phone.say(frame if isinstance(frame, dict) else {"type": frame})
        kind = frame if isinstance(frame, str) else frame["type"]
        phone.expect("error", code="out_of_turn", of=kind)
    phone.hello()  # and the conversation can still begin


def test_a_second_hello_is_out_of_turn_and_changes_nothing(phone: Phone) -> None:
    phone.online()
    phone.say(phone.hello_frame(acknowledged=9))
    phone.expect(
        "error", code="out_of_turn", of="hello", message="This conversation has begun already."
    )
    phone.ping()
    assert "reset" not in phone.connect().hello()


def test_who_says_no_hello_is_let_go(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "HELLO_TIMEOUT_S", 0.05)
    assert phone.connect().refused() == ("no_hello", 4408)


def test_who_says_anything_but_hello_is_let_go_too(
    phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "HELLO_TIMEOUT_S", 0.2)
    phone.connect().say({"type": "ping"})
    frames, code = phone.hear_close()
    assert [frame["code"] for frame in frames] == ["out_of_turn", "no_hello"]
    assert code == 4408


def test_a_hello_that_takes_its_time_is_not_cut_off(
    phone: Phone,
    household: Household,
    raw_connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    server: ServerThread,
) -> None:
    monkeypatch.setattr(messages, "HELLO_TIMEOUT_S", 0.05)
    raw_connection.execute(f"SELECT FROM {household.schema}.sync_head FOR UPDATE")
    phone.connect().say(phone.hello_frame())
    server.run(_beyond_the_timeout())
    raw_connection.rollback()
    phone.expect("welcome")
    phone.ping()


async def _beyond_the_timeout() -> None:
    import asyncio

    await asyncio.sleep(3 * messages.HELLO_TIMEOUT_S)


def test_node_zero_is_the_servers(phone: Phone) -> None:
    phone.node = "0" * 16
    phone.connect().say(phone.hello_frame())
    phone.expect("error", code="bad_frame", of="hello")


def test_a_household_in_maintenance_says_so(phone: Phone, household: Household) -> None:
    """M06"""
    from tenants.models import Tenant

    Tenant.objects.filter(pk=household.id).update(status=Tenant.Status.MAINTENANCE)
    try:
        phone.connect().say(phone.hello_frame())
        frames, code = phone.hear_close()
    finally:
        Tenant.objects.filter(pk=household.id).update(status=Tenant.Status.READY)
    assert code == 1012
    assert (frames[0]["code"], frames[0]["retryable"]) == ("maintenance", True)
    assert frames[0]["retryAfterMs"] == 60_000


def test_what_is_sent_after_the_server_closed_has_no_effect(
    phone: Phone, household: Household
) -> None:
    phone.online()
    change = phone.new_group("Too late")
    assert phone.socket is not None
    hostile = b"\x00"
    push = json.dumps({"type": "push", "changes": [change], "acknowledged": 0})
    phone.say(hostile)
    phone.say(push)
    frames, code = phone.hear_close()
    assert ([frame["code"] for frame in frames], code) == (["bad_frame"], 4400)
    assert household.rows() == {}
