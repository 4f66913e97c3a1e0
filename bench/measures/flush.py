"""A device comes back with a long queue: changes a second until the last is durably settled.

Beside it, on the same database and taking turns with it, so that a noisy machine is noisy
for both: the same rows written by nothing but psycopg.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass

from .. import device, raw
from ..content import Content
from ..figures import Figure, median_of
from ..house import House, Usage
from ..households import Household, make_household
from ..scale import Scale
from ..speaker import Speaker, pushes_of


@dataclass(frozen=True)
class Flushed:
    """One flush, and the rows that it left in the household."""

    count: int
    seconds: float
    usage: Usage
    records: list[raw.Record]

    @property
    def per_s(self) -> float:
        return self.count / self.seconds


def measure(house: House, scale: Scale) -> list[Figure]:
    asyncio.run(_flush(house, make_household(), min(scale.flush, 500)))  # warms the server up
    creates: list[Flushed] = []
    edits: list[Flushed] = []
    per_s: dict[str, list[float]] = defaultdict(list)
    for _ in range(scale.runs):
        household = make_household()
        created, edited = asyncio.run(_flush(house, household, scale.flush))
        creates.append(created)
        edits.append(edited)
        empty = make_household()
        per_s["raw_insert"].append(raw.upsert(empty, created.records))
        # With their new values, stamps and seqs: equal ones would spare the indexes.
        per_s["raw_update"].append(raw.upsert(empty, edited.records))
        per_s["raw_noted"].append(raw.noted(make_household(), created.records))
        per_s["raw_row_by_row"].append(raw.row_by_row(make_household(), created.records))
        device_s = asyncio.run(device.flush(house, make_household(), scale.flush))
        per_s["device"].append(scale.flush / device_s)
    count = f"{scale.flush:,}"
    raw_labels = {
        "raw_insert": "Raw limit: the same rows inserted, one statement for 500",
        "raw_update": "· updated",
        "raw_noted": "· inserted, with lock, numbering and fates",
        "raw_row_by_row": "· inserted, by `executemany`",
    }
    return [
        *_figures("create", f"{count} new accounts", creates),
        *_figures("edit", f"{count} edits", edits),
        median_of(
            "device_per_s",
            f"Offline flush of {count} by the reference device, out of SQLite",
            per_s["device"],
            "changes/s",
        ),
        *(median_of(name, label, per_s[name], "rows/s") for name, label in raw_labels.items()),
        _ratio("create_of_raw", "New accounts to the raw limit", creates, per_s["raw_insert"]),
        _ratio("edit_of_raw", "Edits to the raw limit", edits, per_s["raw_update"]),
        _ratio(
            "create_of_noted",
            "New accounts to raw with lock, numbering and fates",
            creates,
            per_s["raw_noted"],
        ),
        _ratio(
            "create_of_row_by_row",
            "New accounts to `executemany`",
            creates,
            per_s["raw_row_by_row"],
        ),
    ]


async def _flush(house: House, household: Household, count: int) -> tuple[Flushed, Flushed]:
    speaker = await Speaker.connect(house.address, household.id, household.tokens[0])
    await speaker.hello()
    await speaker.pull()
    content = Content(seed=count)
    creates = [speaker.change("create", content.row_id(), content.account()) for _ in range(count)]
    edits = [speaker.change("edit", each.id, content.edit(), each.stamp) for each in creates]
    created = await _timed(house, household, speaker, list(pushes_of(creates)))
    edited = await _timed(house, household, speaker, list(pushes_of(edits, acknowledged=count)))
    await speaker.close()
    return created, edited


async def _timed(
    house: House, household: Household, speaker: Speaker, pushes: list[str]
) -> Flushed:
    before = house.usage()
    began_s = time.perf_counter()
    count = await speaker.flush(pushes)
    seconds = time.perf_counter() - began_s
    usage = house.usage().since(before)
    return Flushed(count, seconds, usage, raw.records_of(household))


def _figures(name: str, what: str, runs: list[Flushed]) -> list[Figure]:
    return [
        median_of(
            f"{name}_per_s",
            f"Offline flush of {what}",
            (each.per_s for each in runs),
            "changes/s",
            at_least=5_000,
        ),
        median_of(
            f"{name}_server_cpu",
            "· server CPU for 1,000",
            (each.usage.server_s * 1000 / each.count for each in runs),
            "s",
        ),
        median_of(
            f"{name}_postgres_cpu",
            "· PostgreSQL CPU for 1,000",
            (each.usage.postgres_s * 1000 / each.count for each in runs),
            "s",
        ),
    ]


def _ratio(name: str, label: str, runs: list[Flushed], limits: list[float]) -> Figure:
    ratios = [run.per_s / limit for run, limit in zip(runs, limits, strict=True)]
    return median_of(name, label, ratios, ": 1", at_least=0.5)
