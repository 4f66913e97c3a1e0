"""Rows and changes: what they write, how their stamps are packed, how values are compared."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from syncapp.core.change import (
    EXISTS,
    Row,
    canonical_text,
    pack_stamps,
    unpack_stamps,
    written_by,
)

from .strategies import near_stamps, rows, values

A, B, C = (f"018bcfe56800-000{n}-00000000000000aa" for n in (0, 1, 2))


@given(rows())
def test_unpacking_gives_back_what_was_packed(row):
    common, exceptions = pack_stamps(row.stamps)
    assert unpack_stamps(row.fields, common, exceptions) == row.stamps


@given(some.dictionaries(some.text(max_size=3), near_stamps, min_size=1))
def test_the_packed_stamp_is_the_most_frequent_one(stamps):
    common, exceptions = pack_stamps(stamps)
    texts = list(stamps.values())
    assert texts.count(common) == max(texts.count(each) for each in texts)
    assert common not in exceptions.values()


@given(some.dictionaries(some.text(max_size=3), near_stamps))
def test_packing_does_not_depend_on_the_order_of_the_fields(stamps):
    backwards = dict(reversed(stamps.items()))
    assert pack_stamps(stamps) == pack_stamps(backwards)


def test_of_two_equally_frequent_stamps_the_greater_is_packed():
    stamps = {"a": A, "b": B, "c": A, "d": B}
    assert pack_stamps(stamps) == (B, {"a": A, "c": A})


def test_nothing_written_packs_to_nothing():
    assert pack_stamps({}) == ("", {})
    assert unpack_stamps({}, "", {}) == {}


@pytest.mark.parametrize(("kind", "is_here"), [("create", True), ("edit", True), ("delete", False)])
def test_every_change_writes_existence(kind, is_here):
    assert written_by(kind, {"name": "Giro"}) == {"name": "Giro", EXISTS: is_here}


def test_a_row_without_existence_is_not_here():
    assert Row("account", "1").is_here is False
    assert Row("account", "1").newest_stamp == ""


def test_a_copy_of_a_row_shares_nothing_with_it():
    row = Row("account", "1", {"name": "Giro"}, {"name": A})
    copy = row.copy()
    copy.fields["name"], copy.stamps["name"] = "Bar", B
    assert (row.fields, row.stamps) == ({"name": "Giro"}, {"name": A})


@given(values)
def test_the_canonical_text_of_a_value_is_json_that_reads_back(value):
    assert json.loads(canonical_text(value)) == value


@given(values, values)
def test_equal_text_means_the_same_value(a, b):
    is_same = type(a) is type(b) and a == b
    assert (canonical_text(a) == canonical_text(b)) == is_same
