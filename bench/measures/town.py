"""Many households at work at once, each with a few devices, for as long as one likes.

Changes come at a steady rate. Like a real one, a device that waits for an answer keeps what is
typed meanwhile, and sends it with its next push: so the rate holds, and slowness shows in the
time from typing until the acknowledgement. At the end every device has to hold, row by row, what
a new one is told. P02.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import msgspec

from syncapp.core.change import EXISTS, Row
from syncapp.core.messages import Change, WireRow, wire_to_row

from ..content import Content
from ..figures import Figure, percentile
from ..house import House
from ..households import Household, make_household
from ..scale import Scale
from ..speaker import Ack, Changes, Speaker, pushes_of

ROWS = 20  # in each household, edited over and over
LOOKS = 5  # at whether all are equal
_decode = msgspec.json.Decoder(WireRow).decode


class Worker:
    """One device: it keeps the newest of each row, and when what it has not sent was typed."""

    def __init__(self, speaker: Speaker) -> None:
        self.speaker = speaker
        self.rows: dict[str, msgspec.Raw] = {}
        self.waiting: list[tuple[Change, float]] = []
        self.sent: list[tuple[Change, float]] = []
        self.delays_ms: list[float] = []
        self.changed = asyncio.Event()

    def type(self, row_id: str, fields: dict[str, Any]) -> None:
        """An edit of what this device holds just now."""
        stamps = wire_to_row(_decode(self.rows[row_id])).stamps
        self.speaker.clock.observe(stamps.values())
        change = self.speaker.change("edit", row_id, fields)
        change.seen = {name: stamps[name] for name in (*fields, EXISTS)}
        self.waiting.append((change, time.perf_counter()))

    async def send(self) -> None:
        """What is waiting, if nothing is unanswered."""
        if self.sent or not self.waiting:
            return
        self.sent, self.waiting = self.waiting[:500], self.waiting[500:]
        [push] = pushes_of([change for change, _ in self.sent], self.speaker.acknowledged)
        await self.speaker.send_text(push)

    async def listen(self) -> None:
        while True:
            frame = await self.speaker.receive()
            if isinstance(frame, Changes):
                self.rows.update(zip(frame.row_ids(), frame.rows, strict=True))
            elif isinstance(frame, Ack):
                now_s = time.perf_counter()
                if any(each.fate == "refused" for each in frame.results):
                    raise RuntimeError("A change was refused.")
                self.speaker.acknowledged = frame.results[-1].number
                self.delays_ms += [(now_s - typed_s) * 1000 for _, typed_s in self.sent]
                self.sent = []
                await self.send()
            self.changed.set()


class Home:
    def __init__(self, household: Household, workers: list[Worker], seed: int) -> None:
        self.household, self.workers = household, workers
        self.content, self.chance = Content(seed), random.Random(seed)
        first = workers[0].speaker
        self.rows = [
            first.change("create", self.content.row_id(), self.content.account())
            for _ in range(ROWS)
        ]

    async def work(self, until_s: float, per_s: float) -> int:
        """Type at a steady rate until then; returns how many changes."""
        next_s, count = time.perf_counter() + self.chance.random() / per_s, 0
        while next_s < until_s:
            await asyncio.sleep(next_s - time.perf_counter())
            worker, row = self.chance.choice(self.workers), self.chance.choice(self.rows)
            worker.type(row.id, self.content.edit())
            await worker.send()
            next_s, count = next_s + 1 / per_s, count + 1
        return count

    async def settle(self) -> None:
        """Until all is acknowledged."""
        for worker in self.workers:
            while worker.sent or worker.waiting:
                worker.changed.clear()
                await worker.changed.wait()

    async def differing(self, house: House) -> int:
        """How many of the devices do not hold what a new one is told."""
        fresh = await Speaker.connect(house.address, self.household.id, self.household.tokens[0])
        await fresh.hello()
        told: dict[str, msgspec.Raw] = {}
        await fresh.pull_into(told)
        await fresh.close()
        expected = _unpacked(told)
        return sum(_unpacked(worker.rows) != expected for worker in self.workers)


def measure(house: House, scale: Scale) -> list[Figure]:
    house.start_server()
    households = [make_household(people=scale.town_devices) for _ in range(scale.town)]
    return asyncio.run(_town(house, households, scale))


async def _town(house: House, households: list[Household], scale: Scale) -> list[Figure]:
    homes = [await _move_in(house, each, n) for n, each in enumerate(households)]
    workers = [worker for home in homes for worker in home.workers]
    listening = [asyncio.create_task(worker.listen()) for worker in workers]
    before, began_s = house.usage(), time.perf_counter()
    until_s = began_s + scale.lasts_s
    counts = await asyncio.gather(*(home.work(until_s, scale.town_per_s) for home in homes))
    seconds = time.perf_counter() - began_s
    async with asyncio.timeout(60):
        await asyncio.gather(*(home.settle() for home in homes))
    used = house.usage().since(before)
    for task in listening:
        if task.done():
            task.result()
    for _ in range(LOOKS):  # what is on its way to the others is a matter of moments
        differing = sum([await home.differing(house) for home in homes])
        if not differing:
            break
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    await asyncio.gather(*(worker.speaker.close() for worker in workers))
    delays = [each for worker in workers for each in worker.delays_ms]
    if len(delays) != sum(counts):
        raise RuntimeError(f"{len(delays)} of {sum(counts)} changes were acknowledged.")
    label = f"{scale.town} households with {scale.town_devices} devices at work for {seconds:.0f} s"
    return [
        Figure("per_s", label, sum(counts) / seconds, "changes/s"),
        Figure("push_p50", "· from typing to the acknowledgement, p50",
               percentile(delays, 50), "ms"),
        Figure("push_p95", "· p95", percentile(delays, 95), "ms", at_most=1_000),
        Figure("push_p99", "· p99", percentile(delays, 99), "ms"),
        Figure("server_cpu", "· server CPU in a second", used.server_s / seconds, "s"),
        Figure("postgres_cpu", "· PostgreSQL CPU in a second", used.postgres_s / seconds, "s"),
        Figure("load_cpu", "· CPU of the load itself in a second", used.load_s / seconds, "s",
               is_detail=True),
        Figure("differing", "· devices that end with something else than a new one is told",
               differing, "", at_most=0),
    ]  # fmt: skip


async def _move_in(house: House, household: Household, seed: int) -> Home:
    speakers = [
        await Speaker.connect(house.address, household.id, token) for token in household.tokens
    ]
    home = Home(household, [Worker(each) for each in speakers], seed)
    for number, worker in enumerate(home.workers):
        await worker.speaker.hello()
        if number == 0:
            await worker.speaker.flush(pushes_of(home.rows))
        await worker.speaker.pull_into(worker.rows)
    return home


def _unpacked(rows: dict[str, msgspec.Raw]) -> dict[str, Row]:
    return {row_id: wire_to_row(_decode(raw)) for row_id, raw in rows.items()}
