"""A new device meets a very large household: time, memory, and what a broken load costs. P03."""

from __future__ import annotations

import asyncio
import time

from .. import device
from ..figures import Figure
from ..house import House
from ..households import Household, make_household
from ..scale import Scale
from ..speaker import Speaker
from .first_load import fill, load

BREAKS_AT = 0.6  # of the rows


def measure(house: House, scale: Scale) -> list[Figure]:
    house.start_server()
    household = make_household()
    asyncio.run(fill(house, household, scale.large))
    house.start_server()  # what filling it took is not to be counted
    house.collect_garbage()
    before = house.memory_bytes()
    seconds, received = asyncio.run(load(house, household, scale.large))
    grown = house.memory_bytes() - before
    again_share, again_s = asyncio.run(_broken(house, household, scale.large))
    device_s = asyncio.run(device.load(house, household, scale.large))
    return [
        Figure("seconds", f"First load of {scale.large:,} rows", seconds, "s"),
        Figure("mib", "· received", received / 2**20, "MiB"),
        Figure("server_mib", "· by which the server's memory grew", grown / 2**20, "MiB"),
        Figure("resumed_share", f"· broken at {BREAKS_AT:.0%}: received once more, of all rows",
               again_share * 100, "%", at_most=1),
        Figure("resumed_s", "· · time for the rest", again_s, "s"),
        Figure("device_seconds", "· by the reference device into SQLite", device_s, "s"),
    ]  # fmt: skip


async def _broken(house: House, household: Household, count: int) -> tuple[float, float]:
    """The share of rows that came twice, and seconds for what came after the break."""
    speaker = await Speaker.connect(house.address, household.id, household.tokens[0])
    await speaker.hello()
    await speaker.pull(enough=int(count * BREAKS_AT))
    speaker.vanish()
    began_s = time.perf_counter()
    await speaker.connect_again(house.address, household.id, household.tokens[0])
    await speaker.hello()
    await speaker.pull()
    return speaker.rows_received / count - 1, time.perf_counter() - began_s
