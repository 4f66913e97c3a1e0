"""Last write wins: whatever the order, repetition or grouping, all replicas end equal."""

from __future__ import annotations

import uuid
from dataclasses import replace
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as some

from syncapp.core.change import EXISTS, Row, canonical_text
from syncapp.core.clock import NO_STAMP, node_of
from syncapp.core.merge import conflict_id, decide, is_same, is_winner, merge

from .strategies import FIELDS, ROW_ID, near_stamps, nodes, rows, values, written

PHONE, TABLET, LAPTOP = (f"00000000000000{n}" for n in ("aa", "bb", "cc"))


def stamp(ms: int, node: str = PHONE, counter: int = 0) -> str:
    return f"{ms:012x}-{counter:04x}-{node}"


def account(**written_at) -> Row:
    """account(name=("Giro", stamp)): a row that is here, each field with its stamp."""
    row = Row("account", ROW_ID)
    for name, (value, at) in written_at.items():
        row.fields[name], row.stamps[name] = value, at
    return row


def lay(current: Row | None, fields: dict, at: str, seen=None, own=(PHONE,)):
    return decide(current, "account", ROW_ID, fields, at, seen or {}, own)


# --- merge ------------------------------------------------------------------------------


@given(rows(), rows())
def test_merging_does_not_depend_on_the_order(a, b):
    assert is_same(merge(a, b), merge(b, a))


@given(rows(), rows(), rows())
def test_merging_does_not_depend_on_the_grouping(a, b, c):
    assert is_same(merge(merge(a, b), c), merge(a, merge(b, c)))


@given(rows(), rows())
def test_merging_again_changes_nothing(a, b):
    merged = merge(a, b)
    assert is_same(merge(merged, a), merged)
    assert is_same(merge(merged, b), merged)
    assert is_same(merge(merged, merged), merged)


@given(some.lists(rows(), min_size=1, max_size=5), some.data())
def test_all_replicas_end_equal_whatever_arrives_when_how_often_and_grouped_how(states, data):
    expected = reduce(merge, states)
    arrivals = data.draw(
        some.permutations(states + data.draw(some.lists(some.sampled_from(states))))
    )
    cut = data.draw(some.integers(0, len(arrivals)))
    halves = [reduce(merge, half) for half in (arrivals[:cut], arrivals[cut:]) if half]
    assert is_same(reduce(merge, halves), expected)


@given(rows(), rows())
def test_merging_leaves_both_sides_as_they_were(a, b):
    before = (a.copy(), b.copy())
    merge(a, b)
    assert (a, b) == before


@given(near_stamps, values, near_stamps, values)
def test_of_two_different_writes_exactly_one_wins(stamp_a, a, stamp_b, b):
    wins = is_winner(stamp_a, a, stamp_b, b), is_winner(stamp_b, b, stamp_a, a)
    is_equal = stamp_a == stamp_b and canonical_text(a) == canonical_text(b)
    assert wins.count(True) == (0 if is_equal else 1)


def test_at_equal_stamps_the_greater_canonical_value_wins():
    at = stamp(5)
    assert is_winner(at, "b", at, "a")
    assert not is_winner(at, "a", at, "b")
    assert not is_winner(at, "a", at, "a")


def test_values_are_compared_by_code_points_not_by_utf_16_units():
    # U+FF5E is less than U+1F600, but greater than its first surrogate.
    at = stamp(5)
    assert is_winner(at, "\U0001f600", at, "\uff5e")


# --- existence ----------------------------------------------------------------------------


def test_a_newer_edit_brings_a_deleted_row_back_whole():
    row = account(name=("Giro", stamp(1)), note=("x", stamp(1)), exists=(True, stamp(1)))
    deleted = lay(row, {EXISTS: False}, stamp(2, TABLET), own=(TABLET,)).row
    assert not deleted.is_here and deleted.fields["note"] == "x"
    back = lay(deleted, {"name": "Bar", EXISTS: True}, stamp(3)).row
    assert back.is_here
    assert (back.fields["name"], back.fields["note"]) == ("Bar", "x")


def test_an_older_edit_of_a_deleted_row_is_merged_under_the_tombstone_and_stays_deleted():
    row = account(name=("Giro", stamp(1)), exists=(False, stamp(5, TABLET)))
    decision = lay(row, {"name": "Bar", EXISTS: True}, stamp(3))
    assert (decision.fate, decision.won, decision.lost) == ("applied", ["name"], [EXISTS])
    assert (decision.row.is_here, decision.row.fields["name"]) == (False, "Bar")


# --- decide -------------------------------------------------------------------------------


@given(some.none() | rows(), written, near_stamps, some.sets(nodes))
def test_a_change_ends_as_the_merge_of_what_it_writes(current, fields, at, own):
    decision = lay(current, fields, at, own=own)
    incoming = Row("account", ROW_ID, dict(fields), dict.fromkeys(fields, at))
    assert is_same(decision.row, merge(current, incoming))
    assert decision.is_changed == (not is_same(current, decision.row))


@given(some.none() | rows(), written, near_stamps, some.sets(nodes))
def test_each_field_of_a_change_either_wins_or_loses(current, fields, at, own):
    decision = lay(current, fields, at, own=own)
    assert sorted(decision.won + decision.lost) == sorted(fields)
    assert decision.fate == ("applied" if decision.won else "superseded")
    for name in decision.won:
        assert decision.row.stamps[name] == at


@given(some.none() | rows(), written, near_stamps, some.sets(nodes))
def test_a_repeat_changes_nothing_and_has_won_what_it_won_before(current, fields, at, own):
    first = lay(current, fields, at, own=own)
    again = lay(first.row, fields, at, own=own)
    assert not again.is_changed
    assert is_same(first.row, again.row)
    assert again.won == first.won


@given(rows(), written, near_stamps, some.sets(nodes))
def test_a_decision_leaves_the_row_it_was_given_as_it_was(current, fields, at, own):
    before = current.copy()
    lay(current, fields, at, own=own)
    assert current == before


# --- conflicts ----------------------------------------------------------------------------


@given(rows(), written, near_stamps, some.sets(nodes))
def test_a_conflict_is_always_between_different_values_and_never_with_oneself(
    current, fields, at, own
):
    for each in lay(current, fields, at, own=own).overruled:
        assert each.winning_value != each.losing_value
        stored = each.losing_stamp if each.winning_stamp == at else each.winning_stamp
        assert node_of(current.stamps[each.field]) not in own
        assert stored == current.stamps[each.field]


@given(rows(), written, near_stamps)
def test_who_has_seen_everything_overrules_without_a_conflict(current, fields, at):
    decision = lay(current, fields, at, seen=current.stamps)
    assert {each.field for each in decision.overruled} <= set(decision.lost)


def test_overruling_a_value_that_its_author_had_not_seen_is_a_conflict():
    current = account(name=("Giro", stamp(2, TABLET)))
    decision = lay(current, {"name": "Bar"}, stamp(3), seen={"name": stamp(1)})
    (conflict,) = decision.overruled
    assert (conflict.winning_value, conflict.losing_value) == ("Bar", "Giro")
    assert (conflict.winning_stamp, conflict.losing_stamp) == (stamp(3), stamp(2, TABLET))


def test_a_losing_value_is_a_conflict_even_if_its_author_had_seen_the_winner():
    current = account(name=("Giro", stamp(5, TABLET)))
    decision = lay(current, {"name": "Bar"}, stamp(3), seen={"name": stamp(5, TABLET)})
    assert [each.winning_value for each in decision.overruled] == ["Giro"]


@pytest.mark.parametrize("at", [stamp(1), stamp(3)])
def test_an_equal_value_is_never_a_conflict(at):
    """D13"""
    current = account(name=("Giro", stamp(2, TABLET)))
    assert lay(current, {"name": "Giro"}, at).overruled == []


def test_an_equal_value_moves_the_stamp_so_that_what_comes_late_does_not_win_by_coming_late():
    """D13: Giro, written again at 3, beats Bar of 2, whichever of them arrives first."""
    current = account(name=("Giro", stamp(1)))
    again = lay(current, {"name": "Giro"}, stamp(3, TABLET))
    assert (again.won, again.overruled, again.is_changed) == (["name"], [], True)
    assert again.row.stamps["name"] == stamp(3, TABLET)
    late = lay(again.row, {"name": "Bar"}, stamp(2, LAPTOP), own=(LAPTOP,))
    in_order = lay(lay(current, {"name": "Bar"}, stamp(2, LAPTOP)).row, {"name": "Giro"},
                   stamp(3, TABLET))  # fmt: skip
    assert is_same(late.row, in_order.row) and late.row.fields["name"] == "Giro"


@pytest.mark.parametrize("at", [stamp(1), stamp(3)])
def test_a_device_cannot_conflict_with_itself_not_even_under_a_former_node(at):
    current = account(name=("Giro", stamp(2, LAPTOP)))
    assert lay(current, {"name": "Bar"}, at, own=(PHONE, LAPTOP)).overruled == []


def test_overruling_a_field_that_nobody_has_written_is_no_conflict():
    assert lay(account(exists=(True, stamp(1, TABLET))), {"name": "Bar"}, stamp(2)).overruled == []


def test_a_delete_against_an_unseen_edit_is_a_conflict_about_existence_only_if_existence_differs():
    current = account(name=("Bar", stamp(2, TABLET)), exists=(True, stamp(2, TABLET)))
    decision = lay(current, {EXISTS: False}, stamp(3), seen={EXISTS: stamp(1)})
    assert [each.field for each in decision.overruled] == [EXISTS]


def test_the_id_of_a_conflict_derives_from_row_field_and_both_stamps():
    current = account(name=("Giro", stamp(2, TABLET)))
    (conflict,) = lay(current, {"name": "Bar"}, stamp(3)).overruled
    found = conflict_id("account", ROW_ID, conflict)
    assert found == conflict_id("account", ROW_ID, replace(conflict, winning_value="other"))
    assert uuid.UUID(found).version == 5
    others = {
        conflict_id("account_group", ROW_ID, conflict),
        conflict_id("account", ROW_ID[:-1] + "4", conflict),
        conflict_id("account", ROW_ID, replace(conflict, field="note")),
        conflict_id("account", ROW_ID, replace(conflict, winning_stamp=stamp(4))),
        conflict_id("account", ROW_ID, replace(conflict, losing_stamp=stamp(1, TABLET))),
    }
    assert len(others | {found}) == 6


def test_an_unwritten_field_has_no_stamp():
    row = account(exists=(True, stamp(1)))
    assert row.stamps.get(FIELDS[0], NO_STAMP) == NO_STAMP
