"""The wire: what is accepted, and what everything else is told."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from syncapp.core.change import Row
from syncapp.core.errors import BadFrame, HostileFrame, SyncError, TooLarge, TooMany
from syncapp.core.messages import (
    BATCH_MAX_ROWS,
    DOWN_FRAMES,
    FRAME_MAX_BYTES,
    NESTING_MAX,
    NUMBER_MAX,
    UP_FRAMES,
    Ack,
    Error,
    Hello,
    News,
    Push,
    Result,
    encode,
    row_to_wire,
    text_to_down,
    text_to_up,
    type_of_text,
    wire_to_row,
)

from .frames import CHANGE, ID, NODE, ROW, STAMP, UP, push_with


def refusal(text: Any) -> SyncError:
    with pytest.raises(SyncError) as caught:
        text_to_up(text)
    assert caught.value.message
    return caught.value


def with_change(**changes: Any) -> str:
    return json.dumps({**UP["push"], "changes": [{**CHANGE, **changes}]})


def with_hello(**changes: Any) -> str:
    return json.dumps({**UP["hello"], **changes})


def test_there_is_an_example_of_every_frame_that_a_device_sends():
    assert UP.keys() == UP_FRAMES.keys()


@pytest.mark.parametrize("type_", sorted(UP_FRAMES))
def test_a_device_may_send_each_of_its_frames(type_):
    frame = text_to_up(json.dumps(UP[type_]))
    assert type(frame) is UP_FRAMES[type_]
    sent = json.loads(encode(frame))
    assert {**sent, **UP[type_]} == sent


@pytest.mark.parametrize("type_", sorted(DOWN_FRAMES))
def test_a_device_may_not_send_what_only_the_server_says(type_):
    assert refusal(json.dumps({"type": type_})).code == "bad_frame"


@pytest.mark.parametrize("type_", sorted(UP_FRAMES))
def test_a_key_that_the_protocol_does_not_have_is_refused_from_a_device(type_):
    error = refusal(json.dumps({**UP[type_], "colour": "red"}))
    assert (type(error), error.close_code) == (BadFrame, None)


def test_a_key_that_the_protocol_does_not_have_is_refused_inside_a_change():
    assert type(refusal(with_change(colour="red"))) is BadFrame


def test_a_device_ignores_keys_of_a_newer_server():
    assert text_to_down('{"type":"news","head":7,"mood":"good"}') == News(head=7)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", '{"type":"gossip"}', '{"type":"news"}', "\ud800", '"\\ud800"', "[" * 9_999],
)
def test_what_a_server_would_never_say_is_told_as_a_bad_frame(text):
    with pytest.raises(BadFrame):
        text_to_down(text)


@pytest.mark.parametrize(
    "text",
    [
        None,
        b'{"type":"ping"}',
        "",
        " ",
        "{",
        "{'type':'ping'}",
        '{"type":"ping",}',
        '{"type":"ping"}{"type":"ping"}',
        '\ufeff{"type":"ping"}',
        "\ud800",
        '{"type":"ping","cursor":"\ud800"}',
        '{"type":"ping","cursor":"\\ud800"}',
        push_with('{"balance":NaN}'),
        push_with('{"balance":Infinity}'),
        push_with('{"balance":01}'),
        push_with("{'a':1}"),
        '{"a":' * 50_000,
        push_with("[" * 2_000 + "]" * 2_000),
        push_with('{"a":' + "[" * 2_000 + "]" * 2_000 + "}"),
    ],
)  # fmt: skip
def test_what_is_not_json_text_of_our_shape_is_hostile_or_bad(text):
    error = refusal(text)
    assert error.code == "bad_frame"
    assert (type(error) is HostileFrame) == (error.close_code == 4400)


@pytest.mark.parametrize(
    "text", ["null", "[]", "7", '"ping"', "{}", '{"type":7}', '{"type":"ping","type":"pull"}']
)
def test_json_that_is_none_of_our_frames_is_refused_and_the_socket_stays(text):
    error = refusal(text)
    assert (type(error), error.close_code) == (BadFrame, None)


@pytest.mark.parametrize(
    "fields", ['{"a":1e400}', '{"a":1E+1000000}', '{"a":-1e999}', '{"a":' + "9" * 5_000 + "}"]
)
def test_a_number_beyond_all_bounds_is_refused(fields):
    assert refusal(push_with(fields)).code == "bad_frame"


def test_of_a_repeated_key_the_last_one_counts():
    frame = text_to_up(push_with('{"a":1,"a":2}'))
    assert isinstance(frame, Push)
    assert frame.changes[0].fields == {"a": 2}


@pytest.mark.parametrize("depth", range(1, 12))
def test_frames_nest_at_most_eight_deep(depth):
    # The frame, its list of changes, the change and its fields are four levels.
    text = push_with('{"a":' + "[" * depth + "]" * depth + "}")
    if depth + 4 <= NESTING_MAX:
        text_to_up(text)
    else:
        assert type(refusal(text)) is HostileFrame


def test_a_frame_has_a_limit_in_bytes():
    fits = '{"type":"ping"}'.ljust(FRAME_MAX_BYTES)
    text_to_up(fits)
    error = refusal(fits + " ")
    assert (type(error), error.code, error.close_code) == (TooLarge, "too_large", 4413)


def test_the_limit_of_a_frame_counts_bytes_not_characters():
    text = push_with('{"name":"\U0001f600"}').replace("\\ud83d\\ude00", "\U0001f600")
    text_to_up(text)
    error = refusal(text.replace("\U0001f600", "\U0001f600" * (FRAME_MAX_BYTES // 4)))
    assert type(error) is TooLarge


def test_a_push_has_a_limit_in_rows():
    changes = [{**CHANGE, "number": n + 1} for n in range(BATCH_MAX_ROWS + 1)]
    text_to_up(json.dumps({"type": "push", "changes": changes[:-1]}))
    error = refusal(json.dumps({"type": "push", "changes": changes}))
    assert (type(error), error.close_code) == (TooMany, None)


def test_rows_have_a_limit_in_rows():
    assert type(refusal(json.dumps({"type": "rows", "rows": [ROW] * 501}))) is TooMany


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 0},
        {"number": -1},
        {"number": 1.0},
        {"number": True},
        {"number": "1"},
        {"number": NUMBER_MAX + 1},
        {"number": None},
        {"entity": ""},
        {"entity": "x" * 41},
        {"entity": "account\n"},
        {"entity": "acc\x00ount"},
        {"id": ID.replace("3", "A")},
        {"id": ID + "\n"},
        {"id": "7"},
        {"kind": "upsert"},
        {"stamp": ""},
        {"stamp": STAMP.upper()},
        {"stamp": STAMP + "\n"},
        {"stamp": STAMP[:-1]},
        {"seen": {"name": "yesterday"}},
        {"seen": {"name": STAMP + "\n"}},
        {"seen": []},
        {"fields": []},
        {"fields": None},
        {"fields": {f"f{n}": 1 for n in range(201)}},
        {"fields": {"a\x00b": 1}},
        {"fields": {"name": "x", "\x7f": 1}},
        {"seen": {f"f{n}": "" for n in range(201)}},
    ],
)
def test_a_change_is_checked_exactly(changes):
    assert refusal(with_change(**changes)).code == "bad_frame"


def test_the_name_of_a_field_in_a_row_holds_no_control_character():
    row = {**ROW, "fields": {"exists": True, "line\n": 1}}
    assert type(refusal(json.dumps({"type": "rows", "rows": [row]}))) is BadFrame


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "phone"},
        {"device": None},
        {"node": NODE[:-1]},
        {"node": NODE + "\n"},
        {"formerNodes": [NODE] * 33},
        {"name": "x" * 121},
        {"name": "a\x00b"},
        {"name": "two\nlines"},
        {"name": "line\n"},
        {"cursor": "x" * 241},
        {"cursor": 7},
        {"pending": -1},
        {"clockMs": 1.5},
        {"clockMs": 10**30},
        {"clockMs": -(10**30)},
        {"clockMs": 2**53},
        {"household": {"name": ""}},
        {"household": {"name": "x" * 121}},
        {"household": {"name": "Zuhause\n"}},
        {"household": {"name": "Zuhause", "colour": "red"}},
        {"household": "Zuhause"},
        {"reset": "because"},
    ],
)
def test_a_hello_is_checked_exactly(changes):
    assert refusal(with_hello(**changes)).code == "bad_frame"


@pytest.mark.parametrize("years", [-10, 10, -1970])
def test_no_frame_is_refused_because_of_a_clock(years):
    clock_ms = 1_700_000_000_000 + years * 365 * 24 * 3600 * 1000
    frame = text_to_up(with_hello(clockMs=clock_ms))
    assert isinstance(frame, Hello) and frame.clock_ms == clock_ms


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ('{"type":"push","changes":7}', "push"),
        ('{"type":"gossip"}', ""),
        ('{"type":"welcome"}', ""),
        ('{"type":7}', ""),
        ("[]", ""),
        ("", ""),
        ("[" * 9_999, ""),
        ("\ud800", ""),
        (b"\xff", ""),
        ('{"x":' + "[" * 9_999, ""),
    ],
)
def test_an_error_repeats_the_type_of_a_frame_only_if_it_is_one_of_ours(text, type_):
    assert type_of_text(text) == type_


def test_what_the_server_says_is_short_keys_at_their_default_are_left_out():
    assert encode(Error(code="busy", message="Wait.")) == (
        '{"type":"error","code":"busy","message":"Wait."}'
    )
    assert encode(Ack(results=[Result(1, "applied")])) == (
        '{"type":"ack","results":[{"number":1,"fate":"applied"}]}'
    )


def test_a_row_travels_with_its_stamps_packed():
    other = STAMP.replace("0000-", "0001-", 1)
    row = Row("account", ID, {"a": 1, "b": 2, "exists": True}, {"a": STAMP, "b": other})
    row.stamps["exists"] = STAMP
    wire = row_to_wire(row)
    assert (wire.stamp, wire.stamps) == (STAMP, {"b": other})
    assert wire_to_row(wire) == row


def test_a_stamp_for_a_field_that_a_row_does_not_have_means_nothing():
    wire = msgspec.convert({**ROW, "stamps": {"ghost": STAMP}}, type(row_to_wire(Row("a", ID))))
    assert wire_to_row(wire).stamps.keys() == {"name", "exists"}
