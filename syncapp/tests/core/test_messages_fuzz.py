"""Whatever arrives, parsing answers with a frame or a code, and never with anything else."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as some

from syncapp.core.errors import SyncError
from syncapp.core.messages import (
    NESTING_MAX,
    UP_FRAMES,
    UpFrame,
    encode,
    row_to_wire,
    text_to_down,
    text_to_up,
    type_of_text,
    wire_to_row,
)

from .frames import UP
from .strategies import json_values, rows

frames = some.sampled_from(sorted(UP)).map(UP.get)
odd_values = json_values | some.sampled_from(
    ["\x00", "\ud800", "9" * 5_000, -1, 2**53, 2**63, 10**400, 1e308, [[]] * 3, {"a": {"b": {}}}]
)

FRAME_OR_CODE = ("", "bad_frame", "too_large", "too_many")


def outcome(text: Any) -> str:
    """The code of a refusal, or "" for a frame; any other exception is a failure."""
    try:
        frame = text_to_up(text)
    except SyncError as error:
        assert error.message and len(error.message) < 300
        assert error.close_code in (None, 4400, 4413)
        return error.code
    assert isinstance(frame, UpFrame)
    return ""


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    found = [path] if path else []
    for key, each in inner:
        found += places(each, (*path, key))
    return found


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(value[path[0]], path[1:], new)
    return copy


@given(some.text())
def test_any_text_is_a_frame_or_gets_a_code(text):
    assert outcome(text) in FRAME_OR_CODE
    assert type_of_text(text) in ("", *UP_FRAMES)


@given(some.binary())
def test_any_bytes_are_refused(data):
    assert outcome(data) == "bad_frame"
    assert outcome(data.decode("utf-8", "surrogateescape")) == "bad_frame"
    assert type_of_text(data) in ("", *UP_FRAMES)


@given(json_values)
def test_any_json_is_a_frame_or_gets_a_code(value):
    assert outcome(json.dumps(value)) in FRAME_OR_CODE


@given(some.dictionaries(some.text(), json_values), some.sampled_from(sorted(UP_FRAMES)))
def test_any_object_with_a_type_of_ours_is_a_frame_or_gets_a_code(value, type_):
    assert outcome(json.dumps({**value, "type": type_})) in FRAME_OR_CODE


@given(frames, some.data())
def test_a_frame_with_an_odd_value_somewhere_is_a_frame_or_gets_a_code(frame, data):
    path = data.draw(some.sampled_from(places(frame)))
    assert outcome(json.dumps(put(frame, path, data.draw(odd_values)))) in FRAME_OR_CODE


@given(frames, some.integers(0, 500), some.text(max_size=3), some.integers(0, 4))
@example(UP["push"], 0, "\ufeff", 0)
def test_a_frame_with_damaged_text_is_a_frame_or_gets_a_code(frame, place, insert, cut):
    text = json.dumps(frame)
    assert outcome(text[:place] + insert + text[place + cut :]) in FRAME_OR_CODE


@given(frames, some.integers(0, 500))
def test_a_frame_that_was_cut_off_is_refused(frame, length):
    text = json.dumps(frame)
    if length < len(text):
        assert outcome(text[:length]) == "bad_frame"


@given(frames, some.integers(NESTING_MAX, 3_000), some.sampled_from(["[", '{"a":']))
def test_depth_is_refused_and_never_overflows(frame, depth, opening):
    closing = "]" if opening == "[" else "}"
    deep = opening * depth + "1" + closing * depth
    for path in places(frame)[:4]:
        text = json.dumps(put(frame, path, "DEEP")).replace('"DEEP"', deep)
        assert outcome(text) == "bad_frame"


@given(some.text() | json_values.map(json.dumps))
def test_a_device_takes_a_frame_of_the_server_or_a_code_too(text):
    try:
        text_to_down(text)
    except SyncError as error:
        assert error.code == "bad_frame"


@given(rows())
def test_a_row_comes_out_of_the_wire_as_it_went_in(row):
    row.fields["exists"], row.stamps["exists"] = True, "018bcfe56800-0000-00000000000000aa"
    text = encode(row_to_wire(row))
    push = json.dumps({"type": "rows", "rows": [json.loads(text)]})
    assert wire_to_row(text_to_up(push).rows[0]) == row
