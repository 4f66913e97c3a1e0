"""One device flushes; seconds until every other device of the household has it all."""

from __future__ import annotations

import asyncio
import time

from ..content import Content
from ..figures import Figure, median_of
from ..house import House
from ..households import Household, make_household
from ..scale import Scale
from ..speaker import Speaker, pushes_of


def measure(house: House, scale: Scale) -> list[Figure]:
    runs = [
        asyncio.run(_converge(house, make_household(people=3), scale)) for _ in range(scale.runs)
    ]
    delivered = scale.converge * scale.devices
    return [
        median_of(
            "seconds",
            f"{scale.devices} devices equal after a flush of {scale.converge:,}",
            runs,
            "s",
        ),
        median_of(
            "delivered_per_s", "· delivered", (delivered / each for each in runs), "changes/s"
        ),
    ]


async def _converge(house: House, household: Household, scale: Scale) -> float:
    tokens = household.tokens
    speakers = [
        await Speaker.connect(house.address, household.id, tokens[n % len(tokens)])
        for n in range(scale.devices)
    ]
    for each in speakers:
        await each.hello()
        await each.pull()
    first, *others = speakers
    content = Content(seed=2)
    pushes = list(
        pushes_of(
            [
                first.change("create", content.row_id(), content.account())
                for _ in range(scale.converge)
            ]
        )
    )
    async with asyncio.TaskGroup() as tasks:
        began_s = time.perf_counter()
        for each in others:
            tasks.create_task(_receive(each, scale.converge))
        await first.flush(pushes)
        await _receive(first, scale.converge)
    seconds = time.perf_counter() - began_s
    for each in speakers:
        await each.close()
    return seconds


async def _receive(speaker: Speaker, count: int) -> None:
    """Until the device has all rows: each was written once, so each comes once."""
    while speaker.rows_received < count:
        await speaker.receive()
