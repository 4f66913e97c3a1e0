"""How long changes take to reach devices: from the commit, as this process heard of it, until
a device says that it has stored them.

Only devices that were connected when the change was committed count; how long somebody was
offline is no measure of the server. Kept by hour, in few buckets, so that a day is a chart.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter, deque
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from tenants.names import schema_name

from .repository import statement

# Upper ends of the buckets; the last bucket has none.
BOUNDS_MS = (25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000)
HOUR_MS = 3_600_000
REMEMBERED = 512  # heads; whoever is further behind was not being served live


class Deliveries:
    """One household's deliveries in this process, until they are written down."""

    def __init__(self) -> None:
        self._heads: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)  # seq, monotonic time
        self._counts: Counter[tuple[int, int]] = Counter()  # by hour and bucket

    def committed(self, seq: int) -> None:
        """The household has moved on to this seq just now."""
        self._heads.append((seq, time.monotonic()))

    def delivered(self, behind: int, connected_at: float) -> float | None:
        """A device has stored what comes after seq `behind`. Returns the seconds it took.

        connected_at: monotonic. None for what was committed before that: it was catching up.
        """
        found = bisect_left(self._heads, (behind + 1, 0.0))
        if found == len(self._heads):
            return None
        committed_at = self._heads[found][1]
        if committed_at < connected_at or (found == 0 and len(self._heads) == REMEMBERED):
            return None
        took_s = time.monotonic() - committed_at
        hour_ms = time.time_ns() // 1_000_000 // HOUR_MS * HOUR_MS
        self._counts[hour_ms, bisect_left(BOUNDS_MS, took_s * 1000)] += 1
        return took_s

    def take(self) -> Counter[tuple[int, int]]:
        """The counts since the last time, to be written down."""
        counts, self._counts = self._counts, Counter()
        return counts

    def put_back(self, counts: Counter[tuple[int, int]]) -> None:
        """They could not be written."""
        self._counts.update(counts)


def add_deliveries(connection: Any, tenant_id: UUID, counts: Counter[tuple[int, int]]) -> None:
    """Add counts to the household's."""
    records = [
        {"hour_ms": hour_ms, "bucket": bucket, "count": count}
        for (hour_ms, bucket), count in sorted(counts.items())
    ]
    psycopg.Cursor(connection.connection).execute(
        statement(schema_name(tenant_id), "add_deliveries", "requests"),
        {"counts": msgspec.json.encode(records).decode()},
    )


def quantile_ms(counts: dict[int, int], share: float) -> int | None:
    """The upper end of the bucket in which this share of the deliveries is reached.

    None without deliveries; beyond the last bound, that bound.
    """
    total = sum(counts.values())
    if not total:
        return None
    reached = 0
    for bucket, count in sorted(counts.items()):
        reached += count
        if reached >= share * total:
            return BOUNDS_MS[min(bucket, len(BOUNDS_MS) - 1)]
    raise AssertionError("unreachable")
