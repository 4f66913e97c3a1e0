"""News between the processes of a site, over the channel layer, which may lose everything.

Only "household T is at seq N" travels. Nothing here fails or delays a push: publishing and
subscribing run beside it, and whatever is lost, the heartbeat finds out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from channels.layers import InMemoryChannelLayer, get_channel_layer

log = logging.getLogger(__name__)

PATIENCE_S = 2.0  # with a layer that hangs
RETRY_S = 1.0


class Relay:
    """Tells other processes of our commits, and calls `hear(tenant_id, head)` for theirs."""

    def __init__(self, hear: Callable[[UUID, int], None]) -> None:
        self._hear = hear
        self._channel = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._wanted: set[UUID] = set()
        self._followed: set[UUID] = set()
        self._to_publish: dict[UUID, int] = {}
        self._is_due = asyncio.Event()
        self._has_to_publish = asyncio.Event()
        self._is_well = True

    def start(self) -> None:
        """Begin, once; one process alone has nobody to talk to and needs no relay."""
        if self._tasks or isinstance(get_channel_layer(), InMemoryChannelLayer | None):
            return
        works = (self._receive, self._follow, self._publish)
        self._tasks = [asyncio.ensure_future(work()) for work in works]

    def follow(self, tenant_id: UUID) -> None:
        self._wanted.add(tenant_id)
        self._is_due.set()

    def unfollow(self, tenant_id: UUID) -> None:
        self._wanted.discard(tenant_id)
        self._is_due.set()

    def subscribe_again(self) -> None:
        """Once a beat: a subscription that the layer has forgotten comes back."""
        self._followed -= self._wanted
        self._is_due.set()

    def publish(self, tenant_id: UUID, head: int) -> None:
        """Soon, and only the newest; never fails, never waits."""
        if self._tasks:
            self._to_publish[tenant_id] = head
            self._has_to_publish.set()

    async def _receive(self) -> None:
        while True:
            if not self._channel:
                self._channel = await self._try(get_channel_layer().new_channel()) or ""
                self._is_due.set()
            if not self._channel:
                await asyncio.sleep(RETRY_S)
                continue
            try:
                message = await get_channel_layer().receive(self._channel)
                self._hear(UUID(message["tenant"]), int(message["head"]))
            except Exception as error:  # whatever another program may publish there
                log.warning("news were not understood: %r", error)
                await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            if not self._channel:
                continue
            layer = get_channel_layer()
            for tenant_id in self._wanted - self._followed:
                await self._try(layer.group_add(group_of(tenant_id), self._channel))
                self._followed.add(tenant_id)  # or a failure is repeated with the next beat
            for tenant_id in self._followed - self._wanted:
                await self._try(layer.group_discard(group_of(tenant_id), self._channel))
                self._followed.discard(tenant_id)

    async def _publish(self) -> None:
        while True:
            await self._has_to_publish.wait()
            self._has_to_publish.clear()
            while self._to_publish:
                tenant_id, head = self._to_publish.popitem()
                news = {"type": "news", "tenant": tenant_id.hex, "head": head}
                await self._try(get_channel_layer().group_send(group_of(tenant_id), news))

    async def _try(self, work: Awaitable[Any]) -> Any:
        """Await something of the layer; says once that it is away, and once that it is back."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                result = await work
        except Exception as error:
            if self._is_well:
                log.warning("the channel layer is away, news come by heartbeat: %r", error)
            self._is_well = False
            return None
        if not self._is_well:
            log.warning("the channel layer is back")
        self._is_well = True
        return result


def group_of(tenant_id: UUID) -> str:
    """The one place that names groups: only ever hex, never anything a client typed."""
    return f"sync.{tenant_id.hex}"
