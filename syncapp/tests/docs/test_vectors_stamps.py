"""docs/protocol/vectors/stamps.json and cursors.json, answered by Python."""

from __future__ import annotations

import pytest

from syncapp.core.clock import Clock, Stamp, is_stamp, next_stamp, stamp_to_text, text_to_stamp
from syncapp.core.cursor import Cursor, Position, text_to_cursor

from .vectors import cases, title


@pytest.mark.parametrize("case", cases("stamps", "stamps"), ids=title)
def test_a_stamp_is_its_parts(case):
    stamp = Stamp(case["ms"], case["counter"], case["node"])
    assert text_to_stamp(case["text"]) == stamp
    assert stamp_to_text(stamp) == case["text"]


def test_stamps_sort_as_text():
    ordered = cases("stamps", "ordered")
    assert sorted(set(ordered)) == ordered
    assert sorted(ordered, key=text_to_stamp) == ordered


@pytest.mark.parametrize("case", cases("stamps", "malformed"), ids=title)
def test_what_is_not_a_stamp_is_refused(case):
    assert not is_stamp(case["value"])
    with pytest.raises(ValueError, match="not a stamp"):
        text_to_stamp(case["value"])


@pytest.mark.parametrize("case", cases("stamps", "next"), ids=title)
def test_the_next_stamp(case):
    assert next_stamp(case["after"], case["nowMs"], case["node"]) == case["stamp"]


@pytest.mark.parametrize("case", cases("stamps", "clock"), ids=title)
def test_a_clock_that_hears_and_stamps(case):
    clock = Clock(case["node"], case["last"])
    clock.observe(case["heard"])
    assert clock.tick(case["nowMs"], case["after"]) == case["stamp"]


def test_at_least_fourteen_ways_of_not_being_a_stamp_are_told():
    assert len(cases("stamps", "malformed")) >= 14


def cursor_of(case) -> Cursor:
    return Cursor(
        case["epoch"],
        Position(case["seq"], case["entity"], case["id"]),
        case["anchorSeq"],
        case["fingerprint"],
        case["mark"],
    )


@pytest.mark.parametrize("case", cases("cursors", "cursors"), ids=title)
def test_a_cursor_is_its_parts(case):
    assert text_to_cursor(case["text"]) == cursor_of(case)
    assert cursor_of(case).to_text() == case["text"]


@pytest.mark.parametrize("case", cases("cursors", "malformed"), ids=title)
def test_what_is_not_a_cursor_starts_over(case):
    assert text_to_cursor(case["text"]) is None


def test_positions_sort_by_seq_then_entity_then_id():
    ordered = [Position(*each) for each in cases("cursors", "ordered")]
    assert sorted(set(ordered)) == ordered
