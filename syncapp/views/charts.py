"""The day in two charts: changes per hour, and how long deliveries took. Drawn by the server.

Only shapes: what they mean stands beside them, and in a table for whoever cannot see them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from math import log
from typing import NamedTuple

from django.utils import timezone
from django.utils.formats import date_format

from ..deliveries import BOUNDS_MS
from ..overview import Hour
from . import wording

SLOT, BAR, HEIGHT = 30, 20, 120
# Below the shortest bucket lies nothing to tell apart; the highest is the last bound.
_LOWEST_MS, _HIGHEST_MS = BOUNDS_MS[0] / 2, BOUNDS_MS[-1]


class Bar(NamedTuple):
    """One hour; lengths in the units of the drawing, from its upper left corner."""

    x: int
    y: float
    height: float


class Line(NamedTuple):
    """One hour in words, for the table."""

    hour: str
    changes: str
    deliveries: str
    median: str
    p95: str


class Charts(NamedTuple):
    """What the template draws and writes."""

    width: int
    height: int
    changes: list[Bar]
    changes_total: str
    changes_most: str
    latency: list[Bar]
    deliveries_total: str
    latency_fastest: str
    latency_slowest: str
    hours: list[str]  # below the charts: every sixth hour
    lines: list[Line]


def charts_of(hours: Sequence[Hour]) -> Charts:
    """Both charts and the table that says the same in numbers. hours: a slot each, oldest first."""
    most = max((each.changes for each in hours), default=0)
    return Charts(
        width=SLOT * len(hours),
        height=HEIGHT,
        changes=[_from_the_ground(n, each.changes, most) for n, each in enumerate(hours)],
        changes_total=wording.number(sum(each.changes for each in hours)),
        changes_most=wording.number(most),
        latency=[_between(n, each) for n, each in enumerate(hours) if each.median_ms is not None],
        deliveries_total=wording.number(sum(each.deliveries for each in hours)),
        latency_fastest=wording.latency(BOUNDS_MS[0]),
        latency_slowest=wording.latency(BOUNDS_MS[-1]),
        hours=[_clock(each) for each in hours[::6]],
        lines=[_line(each) for each in reversed(hours)],
    )


def _from_the_ground(n: int, count: int, most: int) -> Bar:
    # One change among thousands is still a change.
    height = round(max(count / most * (HEIGHT - 4), 2), 1) if count else 0
    return Bar(n * SLOT + (SLOT - BAR) // 2, round(HEIGHT - height, 1), height)


def _between(n: int, hour: Hour) -> Bar:
    """From the median up to what 95 of 100 stay below."""
    top, bottom = _height_of(hour.p95_ms or 0), _height_of(hour.median_ms or 0)
    height = max(bottom - top, 4)
    return Bar(n * SLOT + (SLOT - BAR) // 2, round(bottom - height, 1), round(height, 1))


def _height_of(ms: float) -> float:
    """Down from the top; logarithmic, because a second matters among milliseconds."""
    ms = min(max(ms, _LOWEST_MS), _HIGHEST_MS)
    return HEIGHT - HEIGHT * log(ms / _LOWEST_MS) / log(_HIGHEST_MS / _LOWEST_MS)


def _line(hour: Hour) -> Line:
    return Line(
        _clock(hour),
        wording.number(hour.changes),
        wording.number(hour.deliveries),
        wording.latency(hour.median_ms),
        wording.latency(hour.p95_ms),
    )


def _clock(hour: Hour) -> str:
    at = timezone.localtime(datetime.fromtimestamp(hour.at_ms / 1000, UTC))
    return date_format(at, "H:i")
