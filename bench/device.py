"""The reference device under load: its core, its SQLite file and its socket, all included."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from syncapp.device.client import DeviceClient

from .content import Content
from .house import House
from .households import Household


async def flush(house: House, household: Household, count: int) -> float:
    """Queue new accounts offline, then connect; seconds until all of it is settled."""
    with _device(house, household) as client:
        content = Content(seed=5)
        with client.store.transaction():
            for _ in range(count):
                client.replica.create("account", content.account())
        seconds, sent, _ = await _sync(client)
    _expect(sent, count)
    return seconds


async def load(house: House, household: Household, count: int) -> float:
    """Meet a household for the first time; seconds until all its rows are in the file."""
    with _device(house, household) as client:
        seconds, _, received = await _sync(client)
    _expect(received, count)
    return seconds


async def _sync(client: DeviceClient) -> tuple[float, int, int]:
    began_s = time.perf_counter()
    async with client:
        report = await client.sync()
        seconds = time.perf_counter() - began_s
    if not report.is_up_to_date:
        raise RuntimeError(f"The device is not up to date: {report}")
    return seconds, report.sent, report.received


@contextmanager
def _device(house: House, household: Household) -> Iterator[DeviceClient]:
    """A new device with an empty store, on the disk that temporary files lie on."""
    with tempfile.TemporaryDirectory(prefix="finwise-bench-device-") as folder:
        yield DeviceClient(
            f"ws://{house.address}",
            household.tokens[0],
            Path(folder) / "device.sqlite",
            household=str(household.id),
        )


def _expect(found: int, count: int) -> None:
    if found != count:
        raise RuntimeError(f"{found} of {count} came through.")
