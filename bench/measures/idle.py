"""Many devices that only listen: memory of the server process for each.

On a fresh server that has served a little: one that had served much would take the
devices' memory from what it holds already.
"""

from __future__ import annotations

import asyncio

from ..figures import Figure
from ..house import House
from ..households import Household, make_household
from ..scale import Scale
from ..speaker import Speaker

AT_ONCE = 20  # handshakes under way


def measure(house: House, scale: Scale) -> list[Figure]:
    many = [make_household(people=2) for _ in range(scale.idle_households)]
    one = [make_household(people=10)]
    figures = []
    for name, what, households in (
        ("many", f"{len(many)} households", many),
        ("one", "one household", one),
    ):
        before, after, collected = asyncio.run(_idle(house, households, scale.idle))
        label = f"Memory of an idle device, {scale.idle} in {what}"
        kib = (after - before) / 1024 / scale.idle
        collected_kib = (collected - before) / 1024 / scale.idle
        figures += [
            Figure(name, label, kib, "KiB", at_most=60),
            Figure(
                f"{name}_collected",
                "· after a garbage collection",
                collected_kib,
                "KiB",
                is_detail=True,
            ),
        ]
    return figures


async def _idle(house: House, households: list[Household], count: int) -> tuple[int, int, int]:
    """Bytes before, with the devices connected, and after a garbage collection with them."""
    house.start_server()
    warm = await connect_all(house, [(households[0], households[0].tokens[0])] * AT_ONCE)
    await asyncio.gather(*(each.close() for each in warm))
    house.collect_garbage()
    before = house.memory_bytes()
    places = []
    for n in range(count):
        household = households[n % len(households)]
        token = household.tokens[n // len(households) % len(household.tokens)]
        places.append((household, token))
    speakers = await connect_all(house, places)
    after = house.memory_bytes()
    house.collect_garbage()
    collected = house.memory_bytes()
    await asyncio.gather(*(each.close() for each in speakers))
    return before, after, collected


async def connect_all(house: House, places: list[tuple[Household, str]]) -> list[Speaker]:
    """Connect devices that have read everything and now only listen."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(household: Household, token: str) -> Speaker:
        async with limit:
            speaker = await Speaker.connect(house.address, household.id, token)
            await speaker.hello()
            await speaker.pull()
            return speaker

    return list(await asyncio.gather(*(one(*place) for place in places)))
