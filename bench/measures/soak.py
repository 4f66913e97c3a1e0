"""Devices come, write, and go without end, half of them without a goodbye: memory stays flat.

The server's memory is looked at after a garbage collection, at half of the time and at its end:
what it needed to get warm is in both. `--for 86400` is a day. P06.
"""

from __future__ import annotations

import asyncio
import random
import time

from ..content import Content
from ..figures import Figure
from ..house import House
from ..households import Household, make_household
from ..scale import Scale
from ..speaker import Speaker, pushes_of

HOUSEHOLDS = 10


def measure(house: House, scale: Scale) -> list[Figure]:
    house.start_server()
    return asyncio.run(_soak(house, [make_household(people=2) for _ in range(HOUSEHOLDS)], scale))


async def _soak(house: House, households: list[Household], scale: Scale) -> list[Figure]:
    files = house.open_files()
    began_s = time.perf_counter()
    count = await _churn(house, households, began_s + scale.lasts_s / 2, scale.soak_at_once)
    half = _settled_bytes(house)
    more = await _churn(house, households, began_s + scale.lasts_s, scale.soak_at_once)
    growth = _settled_bytes(house) - half
    seconds = time.perf_counter() - began_s
    return [
        Figure("connections", f"Devices that come and go for {seconds:.0f} s",
               (count + more) / seconds, "connections/s"),
        Figure("growth", "· the server's memory grows, in the second half, by 1,000 of them",
               growth / 1024 / more * 1_000, "KiB"),
        Figure("memory", "· its memory at the end", (half + growth) / 2**20, "MiB"),
        Figure("files", "· files and sockets that it has open more than before",
               max(house.open_files() - files, 0), "", at_most=20),
    ]  # fmt: skip


async def _churn(house: House, households: list[Household], until_s: float, at_once: int) -> int:
    """Until then; returns how many came and went."""
    return sum(
        await asyncio.gather(
            *(_come_and_go(house, households, until_s, Content(seed)) for seed in range(at_once))
        )
    )


async def _come_and_go(
    house: House, households: list[Household], until_s: float, content: Content
) -> int:
    """A few devices that come again and again, as people's do."""
    chance = random.Random(content.row_id())
    places = [(home, chance.choice(home.tokens)) for home in chance.choices(households, k=3)]
    devices: list[Speaker | None] = [None] * len(places)
    count = 0
    while time.perf_counter() < until_s:
        n = chance.randrange(len(places))
        home, token = places[n]
        device = devices[n]
        if device is None:
            devices[n] = device = await Speaker.connect(house.address, home.id, token)
        else:
            await device.connect_again(house.address, home.id, token)
        await device.hello()
        await device.pull()
        change = device.change("create", content.row_id(), content.account())
        await device.flush(pushes_of([change], device.acknowledged))
        if chance.random() < 0.5:
            device.vanish()
        else:
            await device.close()
        count += 1
    return count


def _settled_bytes(house: House) -> int:
    house.collect_garbage()
    return house.memory_bytes()
