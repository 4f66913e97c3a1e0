"""A new device meets a full household: seconds and bytes until it has everything."""

from __future__ import annotations

import asyncio
import time

from .. import device
from ..content import Content
from ..figures import Figure, median_of
from ..house import House
from ..households import Household, make_household
from ..scale import Scale
from ..speaker import Speaker, pushes_of


def measure(house: House, scale: Scale) -> list[Figure]:
    household = make_household()
    asyncio.run(fill(house, household, scale.first_load))
    loads = [asyncio.run(load(house, household, scale.first_load)) for _ in range(scale.runs)]
    device_s = [
        asyncio.run(device.load(house, household, scale.first_load)) for _ in range(scale.runs)
    ]
    rows = f"{scale.first_load:,} rows"
    return [
        median_of("seconds", f"First load of {rows}", (each[0] for each in loads), "s", at_most=1),
        median_of("mib", "· received", (each[1] / 2**20 for each in loads), "MiB"),
        median_of("device_seconds", "· by the reference device into SQLite", device_s, "s"),
    ]


async def fill(house: House, household: Household, count: int) -> None:
    speaker = await Speaker.connect(house.address, household.id, household.tokens[0])
    await speaker.hello()
    content = Content(seed=4)
    creates = [speaker.change("create", content.row_id(), content.account()) for _ in range(count)]
    await speaker.flush(pushes_of(creates))
    await speaker.close()


async def load(house: House, household: Household, count: int) -> tuple[float, int]:
    began_s = time.perf_counter()
    speaker = await Speaker.connect(house.address, household.id, household.tokens[0])
    await speaker.hello()
    await speaker.pull()
    seconds = time.perf_counter() - began_s
    if speaker.rows_received != count:
        raise RuntimeError(f"{speaker.rows_received} of {count} rows came.")
    await speaker.close()
    return seconds, speaker.bytes_received
