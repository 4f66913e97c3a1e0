"""What is too large, too many, too fast or no frame at all: each gets its code."""

from __future__ import annotations

import json
import logging
import socket
import struct
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from syncapp import fanout
from syncapp.core import messages
from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone
from tenants.models import User

MIB = 1024 * 1024
# What is under way when the server closes is never read, so the kernel may reset the connection,
# and a client that notices this while it sends does not read the code any more.
TOO_LARGE = [([], 1009), ([], 1006)]


@pytest.fixture(autouse=True)
def nothing_is_logged_with_a_traceback(caplog: pytest.LogCaptureFixture) -> Any:
    with caplog.at_level(logging.INFO):
        yield
    assert [record for record in caplog.get_records("call") if record.exc_info] == []


@pytest.fixture
def other(new_phone: Callable[[], Phone]) -> Any:
    """Another device of the household, which notices nothing of all this."""
    phone = new_phone().online()
    yield phone
    phone.push_and_settle(phone.new_group("undisturbed"))


@pytest.mark.parametrize("are_old_apps_let_in", [False, True])
def test_a_frame_of_a_mebibyte_is_taken_and_one_byte_more_is_not(
    phone: Phone, other: Phone, settings: Any, are_old_apps_let_in: bool
) -> None:
    """S24"""
    settings.FINWISE04_ENABLED = are_old_apps_let_in  # whose own sockets take more
    phone.online()
    frame = json.dumps({"type": "ping"})
    phone.say(frame + " " * (MIB - len(frame)))
    phone.expect("pong")
    with suppress(ConnectionClosed):  # it may be closed before all is sent
        phone.say(frame + " " * (MIB - len(frame) + 1))
    assert phone.hear_close() in TOO_LARGE


def test_a_frame_is_measured_in_bytes(phone: Phone, other: Phone) -> None:
    phone.online()
    frame = json.dumps({"type": "ping"})
    with suppress(ConnectionClosed):
        phone.say(frame + "\u00a0" * (MIB // 2))
    assert phone.hear_close() in TOO_LARGE


def test_a_frame_in_pieces_counts_as_one(phone: Phone, other: Phone) -> None:
    """S26"""
    phone.online()
    assert phone.socket is not None
    with suppress(ConnectionClosed):
        phone.socket.send([*["x" * (MIB // 4)] * 4, "x"])
    assert phone.hear_close() == ([], 1009)


def test_five_hundred_changes_are_taken_and_one_more_is_too_many(
    phone: Phone, household: Household
) -> None:
    """S28"""
    phone.online()
    changes = [phone.new_group("x") for _ in range(501)]
    phone.push(*changes)
    phone.expect("error", code="too_many", of="push")
    assert household.rows() == {}
    phone.push(*changes[:500])
    assert {each["fate"] for each in phone.hear_until("ack")["results"]} == {"applied"}
    row = {"entity": "account_group", "fields": {"exists": True}, "stamp": changes[0]["stamp"]}
    rows = [row | {"id": str(uuid.uuid4())} for _ in range(501)]
    phone.say({"type": "rows", "rows": rows})
    assert phone.hear_until("error")["code"] == "too_many"


def test_ten_thousand_fields_and_a_huge_text_are_refused(phone: Phone, other: Phone) -> None:
    """S28"""
    phone.online()
    wide = phone.change("create", "account_group", str(uuid.uuid4()))
    wide["fields"] = {f"f{n}": n for n in range(10_000)}
    phone.push(wide)
    phone.expect("error", code="bad_frame", of="push")
    long = phone.change("create", "account_group", str(uuid.uuid4()), {"name": "x" * 900_000})
    phone.push(long)
    assert phone.hear_until("ack")["results"][0]["code"] in ("too_long", "row_too_large")


def test_two_hundred_frames_at_once_are_a_burst_and_more_are_too_fast(
    phone: Phone, other: Phone
) -> None:
    """S29"""
    phone.connect().hello()
    for _ in range(messages.FRAMES_BURST - 1):
        phone.say('{"type":"ping"}')
    for _ in range(messages.FRAMES_BURST - 1):
        phone.expect("pong")
    with suppress(ConnectionClosed):
        for _ in range(messages.FRAMES_BURST):
            phone.say('{"type":"ping"}')
    frames, code = phone.hear_close()
    assert code == 4429
    error = frames[-1]
    assert (error["code"], error["of"], error["retryable"]) == ("too_fast", "ping", True)
    assert error["retryAfterMs"] == 5_000


def test_who_was_too_fast_gains_nothing_by_coming_anew(
    new_phone: Callable[..., Phone],
    new_member: Callable[[Household, str], User],
    household: Household,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S29: on another socket, as another device, the person goes on where they were stopped."""
    monkeypatch.setattr(messages, "FRAMES_PER_SECOND", 0.001)  # so waiting does not help here
    user = new_member(household, "editor")
    hasty = new_phone(user).online()
    with suppress(ConnectionClosed):
        for _ in range(messages.FRAMES_BURST):
            hasty.say('{"type":"ping"}')
    assert hasty.hear_close()[1] == 4429
    for again in (hasty, new_phone(user)):
        again.connect()
        again.say(again.hello_frame())
        (error,), code = again.hear_close()
        assert (error["code"], error["of"], code) == ("too_fast", "hello", 4429)
        assert error["retryAfterMs"] == 5_000
    new_phone().online().ping()  # nobody else is held up


@pytest.mark.parametrize("whose", ["PERSON", "HOUSEHOLD"])
def test_one_socket_too_many_hears_when_to_come_again_and_the_others_live(
    whose: str,
    new_phone: Callable[..., Phone],
    new_member: Callable[[Household, str], User],
    household: Household,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S09"""
    assert getattr(fanout, f"SOCKETS_PER_{whose}") == {"PERSON": 1_000, "HOUSEHOLD": 2_000}[whose]
    monkeypatch.setattr(fanout, f"SOCKETS_PER_{whose}", 2)
    user = new_member(household, "editor")
    first, second = (new_phone(user).online() for _ in range(2))
    late = new_phone(user if whose == "PERSON" else None).connect()
    late.say(late.hello_frame())
    (error,), code = late.hear_close()
    assert (error["code"], error["retryable"], code) == ("too_fast", True, 4429)
    assert error["retryAfterMs"] == fanout.TOO_MANY_PAUSE_MS
    if whose == "PERSON":
        new_phone().online()  # somebody else has room
    second.ping()
    first.hang_up()
    hub_has_room(late)


def hub_has_room(phone: Phone) -> None:
    """The server learns a moment later that a socket is gone."""
    gives_up_s = time.monotonic() + 20
    while True:
        phone.connect().say(phone.hello_frame())
        if phone.hear()["type"] == "welcome":
            return
        assert time.monotonic() < gives_up_s


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("", 4400),
        ("nonsense", 4400),
        (b"{}", 4400),
        (b"\xff\xfe", 4400),
        ('{"type":"ping"}{"type":"ping"}', 4400),
        ("\ufeff" + '{"type":"ping"}', 4400),
        ("[" * 2_000 + "]" * 2_000, None),
        ('{"type":"ping","x":' + "[" * 100_000 + "]" * 100_000 + "}", None),
        ('{"type":"ping","pending":' + "9" * 5_000 + "}", None),
        ('{"type":"ping","pending":NaN}', 4400),
        ('{"type":"ping","pending":1e400}', None),
        ('{"type":"ping","pending":-1}', None),
        ('{"type":"ping","__proto__":{}}', None),
        ('{"type":"websocket.disconnect"}', None),
        ('{"type":"websocket.close","code":1000}', None),
        ('{"type":"welcome"}', None),
        ('{"type":["ping"]}', None),
        ('"ping"', None),
        ("null", None),
    ],
)
def test_what_is_no_frame_gets_a_code_and_hostile_ones_the_door(
    phone: Phone, other: Phone, frame: str | bytes, code: int | None
) -> None:
    """O03-O05, S21, S27"""
    phone.online()
    phone.say(frame)
    error = phone.expect("error", code="bad_frame")
    assert error["message"] and len(error["message"]) < 300
    if code is None:
        phone.ping()
    else:
        assert phone.hear_close() == ([], code)


@pytest.mark.parametrize("depth", [8, 2_000, 100_000])
def test_what_nests_too_deep_is_hostile(phone: Phone, other: Phone, depth: int) -> None:
    """O04, S27"""
    phone.online()
    change = phone.change("create", "account_group", str(uuid.uuid4()), {"name": "x"})
    text = json.dumps({"type": "push", "changes": [change]})
    phone.say(text.replace('"x"', "[" * depth + "]" * depth))
    assert phone.refused() == ("bad_frame", 4400)


@pytest.mark.parametrize(
    "fields",
    [
        '{"name":"\\u0000"}',
        '{"balance":"NaN"}',
        '{"balance":"Infinity"}',
        '{"balance":"1E+1000000"}',
        '{"balance":"1_000"}',
        '{"balance":" 1 "}',
        '{"balance":"\\u0661"}',
        '{"balance":"0.00005"}',
        '{"balance":"1234567890123456"}',
        '{"balance":1.5}',
        '{"balance":' + "9" * 5_000 + "}",
        '{"balance":true}',
        '{"balance":null}',
        '{"name":7}',
        '{"name":null}',
        '{"name":["x"]}',
        '{"exists":false}',
        '{"accountType":"gold"}',
        '{"iban":"DE00"}',
        '{"accountGroupId":"x"}',
        '{"sortOrder":99999999999999999999}',
        '{"isActive":"yes"}',
        '{"image":"data:text/html;base64,AAAA"}',
    ],
)
def test_a_value_that_cannot_be_stored_is_refused_by_name_or_is_no_frame(
    phone: Phone, household: Household, fields: str
) -> None:
    """O02, S22, S33-S35"""
    phone.online()
    change = phone.change("create", "account", str(uuid.uuid4()), {"name": "x"})
    text = json.dumps({"type": "push", "changes": [change | {"fields": "HERE"}]})
    phone.say(text.replace('"HERE"', fields))
    answer = phone.hear()
    if answer["type"] == "error":
        assert answer["code"] == "bad_frame"
    else:
        (result,) = answer["results"]
        assert result["fate"] == "refused", result
        assert result["field"] in fields and result["message"]
    assert household.rows() == {}


def test_a_lone_surrogate_is_refused_at_decode(phone: Phone, household: Household) -> None:
    """O03"""
    phone.online()
    change = phone.change("create", "account_group", str(uuid.uuid4()), {"name": "x"})
    text = json.dumps({"type": "push", "changes": [change]}).replace('"x"', '"\\ud800"')
    phone.say(text)
    phone.expect("error", code="bad_frame")
    assert household.rows() == {}


@pytest.mark.parametrize("name", ["__proto__", "constructor", 'x"; DROP TABLE', "seq"])
def test_a_field_that_is_none_is_unknown_and_kept_by_the_device(
    phone: Phone, household: Household, name: str
) -> None:
    """S22, S23"""
    phone.online()
    change = phone.change("create", "account_group", str(uuid.uuid4()), {"name": "x", name: "y"})
    (result,) = phone.push_and_settle(change)
    assert (result["fate"], result["unknown"]) == ("applied", [name])
    assert name not in household.rows()["account_group", change["id"]].fields


def test_what_only_the_server_writes_is_refused_by_name(phone: Phone, household: Household) -> None:
    """S22"""
    phone.online()
    for name in ("sync_seq", "syncSeq", "exists"):
        fields = {"name": "x", name: True}
        change = phone.change("create", "account_group", str(uuid.uuid4()), fields)
        (result,) = phone.push_and_settle(change)
        assert (result["fate"], result["code"], result["field"]) == ("refused", "read_only", name)
    conflict = phone.change("create", "conflict", str(uuid.uuid4()), {"field": "x"})
    assert phone.push_and_settle(conflict)[0]["code"] == "read_only"
    assert household.rows() == {}


def test_who_sends_nothing_but_nonsense_is_let_go(phone: Phone, other: Phone) -> None:
    phone.online()
    for _ in range(21):
        phone.say('{"type":"pong"}')
    frames, code = phone.hear_close()
    assert ([frame["code"] for frame in frames], code) == (["bad_frame"] * 21, 4400)


def test_text_that_is_not_utf8_closes_the_socket(phone: Phone, other: Phone) -> None:
    phone.online()
    assert phone.socket is not None
    with suppress(ConnectionClosed):
        phone.socket.send(b"\xff\xff", text=True)
    frames, code = phone.hear_close()
    assert (frames, code) == ([], 1007)


def test_nothing_is_compressed_so_nothing_can_explode(phone: Phone, other: Phone) -> None:
    """S25: a frame that claims to be compressed breaks the WebSocket protocol."""
    phone.connect(extensions=[ClientPerMessageDeflateFactory()]).hello()
    assert phone.socket is not None
    assert phone.socket.protocol.extensions == []
    header = struct.pack("!BBI", 0x80 | 0x40 | 0x01, 0x80 | 4, 0)  # final, compressed, text
    phone.socket.socket.sendall(header + b"\x00\x00\x00\x00")
    assert phone.hear_close() == ([], 1002)


def test_a_handshake_that_is_cut_off_in_the_middle_disturbs_nobody(
    phone: Phone, other: Phone
) -> None:
    """Q05"""
    host = ("127.0.0.1", int(phone.url.rpartition(":")[2]))
    for text in (b"GET", b"GET /ws/sync/ HTTP/1.1\r\nHost: x\r\n", b"\x00" * 1000, b""):
        with socket.create_connection(host) as raw:
            raw.sendall(text)
    phone.online().ping()


def test_a_socket_that_vanishes_right_after_its_handshake_disturbs_nobody(
    phone: Phone, other: Phone
) -> None:
    for _ in range(5):
        phone.connect()
        assert phone.socket is not None
        phone.say(phone.hello_frame())
        phone.socket.socket.shutdown(socket.SHUT_RDWR)
