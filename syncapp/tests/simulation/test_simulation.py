"""Stories decided by one seed each: all replicas end equal, every change has one fate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .simulation import Simulation, SimulationFailed

# Seeds that once failed, with the reason: they run first.
CORPUS = json.loads((Path(__file__).parent / "corpus.json").read_text(encoding="utf-8"))
SEEDS = 300
MORE_SEEDS = 100
THEME_SEEDS = 40
SEEDS_A_TEST = 20


def play(seed: int, more: str = "") -> None:
    story = Simulation(seed, more=more)
    try:
        story.run()
    except SimulationFailed as failure:
        again = f"script/simulate --seed {seed}" + (f" --more {more}" if more else "")
        pytest.fail(f"{failure}\n\nReplay it with: {again}", pytrace=False)
    assert story.step == story.steps


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: str(case["seed"]))
def test_a_story_that_once_ended_badly_ends_well(case: dict[str, object]) -> None:
    play(int(str(case["seed"])), str(case.get("more", "")))


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_A_TEST))
def test_all_replicas_end_equal_and_every_change_has_exactly_one_fate(first: int) -> None:
    """A06, B01, B03, B04, C03, C06, D01, D02, D06, E01 to E05, F01, F02, G04, G07, K01, K03,
    R01"""
    for seed in range(first, first + SEEDS_A_TEST):
        play(seed)


@pytest.mark.parametrize("first", range(0, MORE_SEEDS, SEEDS_A_TEST))
def test_all_replicas_end_equal_when_a_standby_that_lags_takes_over_under_open_sockets(
    first: int,
) -> None:
    """R01: each conversation finds out by itself, with its next page or beat."""
    for seed in range(first, first + SEEDS_A_TEST):
        play(seed, "failover")


@pytest.mark.parametrize("theme", ["operator", "twins", "long_walks", "portions"])
@pytest.mark.parametrize("first", range(0, THEME_SEEDS, SEEDS_A_TEST))
def test_all_replicas_end_equal_whatever_operators_and_copies_do(first: int, theme: str) -> None:
    """Forced resets, imports under open sockets, backups of devices, one row in each page; and
    devices that carry less at a time where connections break."""
    for seed in range(first, first + SEEDS_A_TEST):
        play(seed, theme)


def test_a_fault_of_the_merge_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation can fail: an engine that lets the older value win is found out."""
    from syncapp.core import merge

    rightly = merge.is_winner
    monkeypatch.setattr(merge, "is_winner", lambda *args: not rightly(*args))
    with pytest.raises(SimulationFailed):
        for seed in range(10):
            Simulation(seed).run()
