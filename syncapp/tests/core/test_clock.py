"""Stamps: their order is total and that of their text; the clock only moves on."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as some

from syncapp.core.clock import (
    COUNTER_MAX,
    MS_MAX,
    NO_STAMP,
    SERVER_NODE,
    Clock,
    Stamp,
    is_stamp,
    ms_of,
    newest,
    next_stamp,
    node_of,
    stamp_to_text,
    text_to_stamp,
)

from .strategies import any_node, stamp_texts, stamps

NODE = "00000000000000aa"
NOW = 1_700_000_000_000
LAST = Stamp(MS_MAX, COUNTER_MAX, "f" * 16)

clock_times = some.integers(-(2**60), 2**60)


@given(stamps)
def test_the_text_of_a_stamp_is_read_back(stamp):
    text = stamp_to_text(stamp)
    assert (text_to_stamp(text), is_stamp(text), len(text)) == (stamp, True, 34)
    assert (ms_of(text), node_of(text)) == (stamp.ms, stamp.node)


@given(stamps, stamps)
def test_text_order_is_stamp_order(a, b):
    """D03"""
    assert (stamp_to_text(a) < stamp_to_text(b)) == (a < b)


@given(some.lists(stamps, min_size=2, max_size=6))
def test_the_order_of_stamps_is_total(some_stamps):
    """D03"""
    texts = [stamp_to_text(each) for each in some_stamps]
    for a, b in itertools.pairwise(texts):
        assert (a < b) + (b < a) + (a == b) == 1
    assert sorted(texts) == [stamp_to_text(each) for each in sorted(some_stamps)]


@given(stamp_texts)
def test_no_stamp_is_before_every_stamp(stamp):
    assert stamp > NO_STAMP
    assert not is_stamp(NO_STAMP)


@given(some.text(max_size=40) | some.sampled_from([None, 7, b"x"]))
def test_what_is_not_a_stamp_is_refused_and_never_read_as_zero(text):
    """D09"""
    if not is_stamp(text):
        with pytest.raises(ValueError, match="not a stamp"):
            text_to_stamp(text)


@given(stamp_texts, clock_times, any_node)
def test_the_next_stamp_is_later_and_not_before_now(after, now_ms, node):
    stamp = next_stamp(after, now_ms, node)
    assert is_stamp(stamp) and node_of(stamp) == node
    if ms_of(after) < MS_MAX or text_to_stamp(after).counter < COUNTER_MAX:
        assert stamp > after
    assert ms_of(stamp) >= min(max(now_ms, 0), MS_MAX)


@given(clock_times, any_node)
def test_the_first_stamp_of_all_is_now(now_ms, node):
    assert next_stamp(NO_STAMP, now_ms, node) == stamp_to_text(
        Stamp(min(max(now_ms, 0), MS_MAX), 0, node)
    )


def test_a_full_counter_moves_the_millisecond_on_by_one():
    """D10"""
    full = stamp_to_text(Stamp(NOW, COUNTER_MAX, NODE))
    assert next_stamp(full, NOW, NODE) == stamp_to_text(Stamp(NOW + 1, 0, NODE))


def test_a_full_counter_never_fails_however_long_the_clock_stands_still():
    """D10"""
    clock = Clock(NODE, stamp_to_text(Stamp(NOW, COUNTER_MAX - 1, NODE)))
    given_ = [clock.tick(NOW) for _ in range(COUNTER_MAX + 4)]
    assert given_ == sorted(set(given_))
    assert text_to_stamp(given_[-1]) == Stamp(NOW + 2, 1, NODE)


def test_at_the_end_of_time_the_last_stamp_is_repeated():
    last = stamp_to_text(LAST)
    assert next_stamp(last, 2**60, "f" * 16) == last


def test_the_servers_node_sorts_before_every_device_at_the_same_moment():
    assert stamp_to_text(Stamp(NOW, 0, SERVER_NODE)) < stamp_to_text(Stamp(NOW, 0, NODE))


@given(some.lists(stamp_texts, max_size=8), stamp_texts)
def test_hearing_a_batch_moves_the_clock_once_to_its_maximum(heard, last):
    clock = Clock(NODE, last)
    clock.observe(heard)
    assert clock.last == max([last, *heard])
    assert clock.last in (last, *heard)


@given(some.lists(some.tuples(clock_times, stamp_texts), max_size=8))
def test_a_clock_never_gives_the_same_stamp_twice_and_never_goes_back(moments):
    """D06"""
    clock = Clock(NODE)
    before = NO_STAMP
    for now_ms, heard in moments:
        if ms_of(heard) == MS_MAX:
            continue  # there is nothing later than the end of time
        clock.observe([heard])
        stamp = clock.tick(min(now_ms, MS_MAX - 1))
        assert stamp > max(before, heard)
        before = stamp


@pytest.mark.parametrize("years", [-10, -1, 0, 1, 10])
def test_an_edit_is_later_than_its_row_whatever_the_devices_clock_says(years):
    row = stamp_to_text(Stamp(NOW, 7, "00000000000000bb"))
    wrong_ms = NOW + years * 365 * 24 * 3600 * 1000
    assert Clock(NODE).tick(wrong_ms, after=row) > row


def test_the_newest_of_nothing_is_no_stamp():
    assert newest([]) == NO_STAMP
