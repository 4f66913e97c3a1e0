"""Cursors: text to the device, a place in the reading order to the server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from syncapp.core.cursor import END_OF_SEQ, START, Cursor, Position, end_of, text_to_cursor

seqs = some.integers(0, 10**18 - 1)
entities = some.sampled_from(["", "account", "account_group", "conflict", END_OF_SEQ])
ids = some.just("") | some.uuids().map(str)
positions = some.builds(Position, seqs, entities, ids)
hex_of = lambda digits: some.integers(0, 16**digits - 1).map(lambda n: f"{n:0{digits}x}")  # noqa: E731
cursors = some.builds(Cursor, hex_of(32), positions, seqs, hex_of(16), seqs)

ID = "33333333-3333-4333-8333-333333333333"
WELL = Cursor("0" * 32, Position(7, "account", ID), 9, "a" * 16, 2).to_text()


@given(cursors)
def test_the_text_of_a_cursor_is_read_back(cursor):
    assert text_to_cursor(cursor.to_text()) == cursor


@given(cursors)
def test_the_text_of_a_cursor_fits_into_a_frame(cursor):
    assert len(cursor.to_text()) <= 240


@given(some.text(max_size=250))
def test_any_other_text_is_no_cursor_and_no_error(text):
    found = text_to_cursor(text)
    assert found is None or isinstance(found, Cursor)


@given(cursors, some.integers(0, 200), some.characters())
def test_a_damaged_cursor_is_none_or_well_formed(cursor, place, character):
    text = cursor.to_text()
    damaged = text[:place] + character + text[place + 1 :]
    found = text_to_cursor(damaged)
    assert found is None or text_to_cursor(found.to_text()) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        WELL + "\n",
        " " + WELL,
        WELL[:-2],
        WELL.replace("7", "\u0667"),
        WELL.upper(),
        WELL.replace(ID, "----"),
        WELL.replace(ID, ID[:-1]),
        WELL.replace(ID, ID.replace("-", "")),
        "9" * 240,
    ],
)
def test_what_is_not_exactly_a_cursor_is_none(text):
    assert text_to_cursor(WELL) is not None
    assert text_to_cursor(text) is None


@given(seqs, some.sampled_from(["account", "account_group", "conflict"]), ids)
def test_every_row_of_a_seq_lies_before_its_end_and_behind_the_one_before(seq, entity, row_id):
    assert end_of(seq - 1) < Position(seq, entity, row_id) < end_of(seq) < Position(seq + 1, "", "")
    assert Position(seq, entity, row_id) > START


@given(cursors, positions)
def test_moving_a_cursor_keeps_its_epoch_anchor_and_mark(cursor, position):
    moved = cursor.at(position)
    assert moved.position == position
    assert moved.at(cursor.position) == cursor
