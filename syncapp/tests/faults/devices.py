"""Reference devices on real sockets, and what must be true of them when all is quiet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from syncapp.core.change import Row
from syncapp.device.client import DeviceClient

PATIENCE_S = 60
Key = tuple[str, str]


class Devices:
    """Makes devices of one household, and leaves with all of them."""

    def __init__(self, folder: Path, tenant: str, token: str) -> None:
        self._folder, self._tenant, self._token = folder, tenant, token
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Devices:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def add(self, url: str, name: str) -> DeviceClient:
        """A device with a store of that name; one that was there before comes back."""
        client = DeviceClient(
            url,
            self._token,
            self._folder / f"{name}.sqlite",
            household=self._tenant,
            name=name,
        )
        return await self._stack.enter_async_context(client)


async def until(client: DeviceClient, condition: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await client.until(condition)


async def bring_home(clients: Iterable[DeviceClient]) -> None:
    """Sync all until each is up to date with what the others have pushed.

    Raises AssertionError with how the devices stand if that takes too long.
    """
    clients = list(clients)
    try:
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(2):
                for client in clients:
                    while not (await client.sync(reach_s=10)).is_up_to_date:
                        pass
    except TimeoutError:
        stand = [(each._talk.session, each.replica.facts()) for each in clients]
        raise AssertionError(f"not home after {PATIENCE_S} s: {stand}") from None


def rows_of(client: DeviceClient) -> dict[Key, Row]:
    """Everything that the device takes for decided by the server, tombstones included."""
    store = client.store
    return {
        (row.entity, row.id): row
        for entity in ("account", "account_group")
        for row in store.base_rows(entity)
    }


def assert_same(clients: Iterable[DeviceClient]) -> dict[Key, Row]:
    """All devices hold the same rows with the same stamps, and nothing is pending."""
    first, *others = clients
    expected = rows_of(first)
    for client in (first, *others):
        replica = client.replica
        assert replica.pending == 0, f"{replica.pending} are pending"
        assert replica.refused_count == 0, replica.refused()
    for client in others:
        rows = rows_of(client)
        apart = [key for key in rows.keys() | expected.keys() if rows.get(key) != expected.get(key)]
        differing = [(key, rows.get(key), expected.get(key)) for key in apart]
        assert not differing, f"devices differ: {differing[:3]}"
    return expected
