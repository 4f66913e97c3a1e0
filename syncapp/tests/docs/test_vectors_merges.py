"""docs/protocol/vectors/merges.json, answered by Python."""

from __future__ import annotations

import itertools
from functools import reduce

import pytest

from syncapp.core.change import pack_stamps, unpack_stamps, written_by
from syncapp.core.merge import conflict_id, decide, is_same, merge

from .vectors import cases, row_of, title


@pytest.mark.parametrize("case", cases("merges", "decisions"), ids=title)
def test_what_a_change_does_to_a_row(case):
    change, outcome = case["change"], case["outcome"]
    entity, row_id = outcome["row"]["entity"], outcome["row"]["id"]
    decision = decide(
        row_of(case["row"]),
        entity,
        row_id,
        written_by(change["kind"], change["fields"]),
        change["stamp"],
        change["seen"],
        case["ownNodes"],
    )
    assert decision.row == row_of(outcome["row"])
    assert (decision.fate, decision.is_changed) == (outcome["fate"], outcome["changed"])
    assert (decision.won, decision.lost) == (outcome["won"], outcome["lost"])
    conflicts = [
        {
            "id": conflict_id(entity, row_id, each),
            "field": each.field,
            "winningValue": each.winning_value,
            "winningStamp": each.winning_stamp,
            "losingValue": each.losing_value,
            "losingStamp": each.losing_stamp,
        }
        for each in decision.overruled
    ]
    assert conflicts == outcome["conflicts"]


@pytest.mark.parametrize("case", cases("merges", "merges"), ids=title)
def test_two_states_of_a_row(case):
    a, b, merged = row_of(case["a"]), row_of(case["b"]), row_of(case["merged"])
    assert merge(a, b) == merged
    if a is not None:
        assert is_same(merge(b, a), merged)


@pytest.mark.parametrize("case", cases("merges", "convergence"), ids=title)
def test_many_states_of_a_row_in_every_order(case):
    end = row_of(case["end"])
    for states in itertools.permutations([row_of(each) for each in case["states"]]):
        assert is_same(reduce(merge, states), end)
        assert is_same(reduce(merge, [*states, *states]), end)


@pytest.mark.parametrize("case", cases("merges", "packing"), ids=title)
def test_stamps_are_packed_for_the_wire(case):
    assert pack_stamps(case["stamps"]) == (case["stamp"], case["exceptions"])
    assert unpack_stamps(case["stamps"], case["stamp"], case["exceptions"]) == case["stamps"]
