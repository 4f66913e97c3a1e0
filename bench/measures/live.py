"""People at work at once: from sending an edit until each other device holds the frame.

One edit at a time at a steady rate, each by a device drawn by lot. Sending and receiving
are read off one clock, in one process, whose own work is part of what is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import Iterator

import msgspec

from finwise.places import ROOT

from ..content import Content
from ..figures import Figure, percentile
from ..house import House
from ..households import Household, make_household
from ..scale import Scale
from ..speaker import Ack, Changes, Speaker, pushes_of


class _Stamped(msgspec.Struct):
    """What tells an edit among the rows of a frame: its stamp."""

    stamp: str
    stamps: dict[str, str] = {}


_decode = msgspec.json.Decoder(_Stamped).decode


class Watch:
    """When each edit was sent, and how long it took to each device."""

    def __init__(self, deliveries: int) -> None:
        self.deliveries = deliveries
        self.sent_s: dict[str, tuple[float, Speaker]] = {}  # by stamp
        self.delays_ms: list[float] = []
        self.acknowledgements_ms: list[float] = []
        self.is_complete = asyncio.Event()

    def note(self, speaker: Speaker, rows: list[msgspec.Raw], received_s: float) -> None:
        for stamp in _stamps(rows):
            sent_s, author = self.sent_s.get(stamp, (0.0, speaker))
            if author is not speaker:
                self.delays_ms.append((received_s - sent_s) * 1000)
        if len(self.delays_ms) >= self.deliveries:
            self.is_complete.set()


def measure(house: House, scale: Scale) -> list[Figure]:
    watch = asyncio.run(_live(house, make_household(people=3), scale))
    busy = asyncio.run(_beside_a_flush(house, make_household(people=3), make_household(), scale))
    delays = watch.delays_ms
    what = f"Live: an edit reaches {scale.devices - 1} other devices"
    acknowledged = percentile(watch.acknowledgements_ms, 50)
    return [
        Figure("p50", f"{what}, p50", percentile(delays, 50), "ms", at_most=10),
        Figure("p95", "· p95", percentile(delays, 95), "ms"),
        Figure("p99", "· p99", percentile(delays, 99), "ms"),
        Figure("ack_p50", "· its own acknowledgement, p50", acknowledged, "ms", is_detail=True),
        Figure(
            "busy_p50",
            "· while another household flushes without end, p50",
            percentile(busy.delays_ms, 50),
            "ms",
        ),
        Figure("busy_p95", "· p95", percentile(busy.delays_ms, 95), "ms", is_detail=True),
    ]


async def _beside_a_flush(
    house: House, household: Household, other: Household, scale: Scale
) -> Watch:
    flusher = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.busy", house.address, str(other.id), other.tokens[0]),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert flusher.stdout is not None
        if await flusher.stdout.readline() != b"busy\n":
            raise RuntimeError("The other household did not get busy.")
        return await _live(house, household, scale)
    finally:
        with contextlib.suppress(ProcessLookupError):
            flusher.kill()
        await flusher.wait()


async def _live(house: House, household: Household, scale: Scale) -> Watch:
    tokens = household.tokens
    speakers = [
        await Speaker.connect(house.address, household.id, tokens[n % len(tokens)])
        for n in range(scale.devices)
    ]
    content, chance = Content(seed=3), random.Random(3)
    await speakers[0].hello()
    rows = [
        speakers[0].change("create", content.row_id(), content.account())
        for _ in range(scale.live_edits)
    ]
    await speakers[0].flush(pushes_of(rows))
    for each in speakers[1:]:
        await each.hello()
    for each in speakers:
        await each.pull()

    watch = Watch(scale.live_edits * (len(speakers) - 1))
    answered = {each: asyncio.Event() for each in speakers}
    for event in answered.values():
        event.set()
    readers = [asyncio.create_task(_read(each, watch, answered[each])) for each in speakers]
    next_s = time.perf_counter()
    # Each row once, so that no edit hides behind a later one of the same row.
    for row in chance.sample(rows, scale.live_edits):
        next_s += 1 / scale.live_per_s
        await asyncio.sleep(next_s - time.perf_counter())
        author = chance.choice(speakers)
        await answered[author].wait()  # one unanswered push at a time, as a device does
        answered[author].clear()
        edit = author.change("edit", row.id, content.edit(), row.stamp)
        (push,) = pushes_of([edit], author.acknowledged)
        watch.sent_s[edit.stamp] = (time.perf_counter(), author)
        await author.send_text(push)
    async with asyncio.timeout(30):
        await watch.is_complete.wait()
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    for each in speakers:
        await each.close()
    return watch


async def _read(speaker: Speaker, watch: Watch, answered: asyncio.Event) -> None:
    while True:
        frame = await speaker.receive()
        received_s = time.perf_counter()
        if isinstance(frame, Changes):
            watch.note(speaker, frame.rows, received_s)
        elif isinstance(frame, Ack):
            speaker.settle(frame)
            sent_s = max(sent_s for sent_s, author in watch.sent_s.values() if author is speaker)
            watch.acknowledgements_ms.append((received_s - sent_s) * 1000)
            answered.set()


def _stamps(rows: list[msgspec.Raw]) -> Iterator[str]:
    for row in rows:
        stamped = _decode(row)
        yield from {stamped.stamp, *stamped.stamps.values()}
