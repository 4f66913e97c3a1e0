"""Numbers that say what they are: a name for machines, a label for people, a unit, an aim."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One number of a measure.

    runs: the values whose median it is. is_detail: left out of the README's table.
    """

    name: str
    label: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    runs: tuple[float, ...] = ()
    is_detail: bool = False

    @property
    def aim(self) -> str:
        if self.at_least is not None:
            return f"≥ {readable(self.at_least)}"
        if self.at_most is not None:
            return f"≤ {readable(self.at_most)}"
        return ""

    @property
    def is_reached(self) -> bool | None:
        """None if nothing was aimed at."""
        if self.at_least is not None:
            return self.value >= self.at_least
        if self.at_most is not None:
            return self.value <= self.at_most
        return None


def median_of(name: str, label: str, runs: Iterable[float], unit: str, **aim: float) -> Figure:
    """A figure that is the median of several runs."""
    values = tuple(runs)
    return Figure(name, label, statistics.median(values), unit, runs=values, **aim)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that is not less than `percent` of them."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)  # rounded up
    return ordered[max(int(rank), 1) - 1]


def readable(value: float) -> str:
    """Three digits that matter, thousands apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
