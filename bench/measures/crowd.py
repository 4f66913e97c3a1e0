"""A thousand devices that listen and beat, on one process: what they cost, and how soon one
hears what another one of its household has written. P01.
"""

from __future__ import annotations

import asyncio
import random
import time

from syncapp.core.session import BEAT_MS

from ..content import Content
from ..figures import Figure, percentile
from ..house import House, Usage
from ..households import Household, make_household
from ..scale import Scale
from ..speaker import Changes, Speaker, pushes_of
from .idle import connect_all

PATIENCE_S = 60  # for the last delivery


class Crowd:
    """The devices by household, and what they hear."""

    def __init__(self, homes: list[list[Speaker]]) -> None:
        self.homes = homes
        self.sent_s: dict[str, float] = {}  # by row
        self.delays_ms: list[float] = []
        self.arrived = asyncio.Event()

    async def listen(self, speaker: Speaker) -> None:
        while True:
            frame = await speaker.receive()
            if isinstance(frame, Changes):
                for row_id in frame.row_ids():
                    self.delays_ms.append((time.perf_counter() - self.sent_s[row_id]) * 1000)
                self.arrived.set()

    async def beat(self, speaker: Speaker) -> None:
        await asyncio.sleep(random.uniform(0, BEAT_MS / 1000))  # they came at any time
        while True:
            await speaker.ping()
            await asyncio.sleep(BEAT_MS / 1000)

    async def write(self, content: Content) -> None:
        """One new account in each household, one after the other; until everybody has it."""
        for home in self.homes:
            change = home[0].change("create", content.row_id(), content.account())
            self.sent_s[change.id] = time.perf_counter()
            [push] = pushes_of([change], home[0].acknowledged)
            await home[0].send_text(push)
            await asyncio.sleep(0.01)
        async with asyncio.timeout(PATIENCE_S):
            while len(self.delays_ms) < sum(map(len, self.homes)):
                self.arrived.clear()
                await self.arrived.wait()


def measure(house: House, scale: Scale) -> list[Figure]:
    households = [make_household(people=2) for _ in range(scale.crowd_households)]
    bytes_each, idle, crowd = asyncio.run(_crowd(house, households, scale))
    minutes = scale.crowd_idle_s / 60
    label = f"{scale.crowd:,} devices on one process that listen and beat"
    return [
        Figure("memory", f"{label}: memory of each", bytes_each / 1024, "KiB", at_most=60),
        Figure("server_cpu", "· server CPU in a minute", idle.server_s / minutes, "s"),
        Figure("postgres_cpu", "· PostgreSQL CPU in a minute", idle.postgres_s / minutes, "s"),
        Figure("news_p50", "· a change reaches its household, p50",
               percentile(crowd.delays_ms, 50), "ms"),
        Figure("news_p95", "· p95", percentile(crowd.delays_ms, 95), "ms", at_most=200),
    ]  # fmt: skip


async def _crowd(
    house: House, households: list[Household], scale: Scale
) -> tuple[float, Usage, Crowd]:
    house.start_server()
    warm = await connect_all(house, [(households[0], households[0].tokens[0])] * 20)
    await asyncio.gather(*(each.close() for each in warm))
    house.collect_garbage()
    before = house.memory_bytes()
    each = scale.crowd // len(households)
    places = [(home, home.tokens[n % 2]) for home in households for n in range(each)]
    speakers = await connect_all(house, places)
    crowd = Crowd([speakers[n : n + each] for n in range(0, len(speakers), each)])
    tasks = [
        asyncio.create_task(work(speaker))
        for speaker in speakers
        for work in (crowd.listen, crowd.beat)
    ]
    began = house.usage()
    await asyncio.sleep(scale.crowd_idle_s)
    idle = house.usage().since(began)
    bytes_each = (house.memory_bytes() - before) / len(speakers)
    await crowd.write(Content(seed=7))
    failed = [task.exception() for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(each.close() for each in speakers))
    if failed:
        raise RuntimeError(f"{len(failed)} devices were let go: {failed[0]!r}")
    return bytes_each, idle, crowd
