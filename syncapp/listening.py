"""LISTEN on a connection of its own: what PostgreSQL tells, at most one per process.

NOTIFY may lose everything (a dropped connection, a restart): after every new connection
the heads are read again, and the beat reads them anyway.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from tenants.access import ACCESS_CHANNEL

from .closing import CLOSE_CHANNEL
from .sync_requests import REPORT_CHANNEL, SYNC_CHANNEL

log = logging.getLogger(__name__)

NEWS_CHANNEL = "finwise_news"  # the payload is "schema seq"; sql/triggers.sql names it too
CHANNELS = (NEWS_CHANNEL, ACCESS_CHANNEL, SYNC_CHANNEL, REPORT_CHANNEL, CLOSE_CHANNEL)
RETRY_MAX_S = 10.0
# A listener never speaks, so only the kernel can find out that the other side is gone.
KEEPALIVE = {"keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 3}
# What Django adds for itself to the parameters of libpq.
_NOT_FOR_LIBPQ = ("cursor_factory", "context", "pool", "prepare_threshold", "autocommit")


class Listener:
    """Calls `hear(channel, payload)` for each notification, `refresh()` after each connect."""

    def __init__(
        self, hear: Callable[[str, str], None], refresh: Callable[[], Awaitable[None]]
    ) -> None:
        self._hear = hear
        self._refresh = refresh
        self.pid: int | None = None  # of the backend, while it listens

    @property
    def is_up(self) -> bool:
        return self.pid is not None

    async def run(self) -> None:
        """Listen until cancelled; connects again, with back-off and jitter."""
        failures = 0
        while True:
            try:
                async with await _connect() as connection:
                    for channel in CHANNELS:
                        await connection.execute(f"LISTEN {channel}")
                    self.pid = connection.info.backend_pid
                    failures = 0
                    await self._refresh()
                    async for notification in connection.notifies():
                        self._tell(notification)
            except psycopg.Error as error:
                log.info("LISTEN is down: %s", type(error).__name__)
            finally:
                self.pid = None
            failures += 1
            await asyncio.sleep(random.uniform(0, min(RETRY_MAX_S, 0.1 * 2**failures)))

    def _tell(self, notification: psycopg.Notify) -> None:
        try:
            self._hear(notification.channel, notification.payload)
        except ValueError:  # anybody with a connection can NOTIFY anything
            log.warning("a notification on %s was not understood", notification.channel)


async def _connect() -> psycopg.AsyncConnection:
    url = getattr(settings, "LISTEN_URL", "")
    if url:
        return await psycopg.AsyncConnection.connect(url, autocommit=True, **KEEPALIVE)
    return await psycopg.AsyncConnection.connect(**_parameters(), autocommit=True)


def _parameters() -> dict[str, Any]:
    parameters = connections[DEFAULT_DB_ALIAS].get_connection_params()
    ours = {key: value for key, value in parameters.items() if key not in _NOT_FOR_LIBPQ}
    return KEEPALIVE | ours
