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
from django.db import DEFAULT_DB_ALIAS, connections

from tenants.access import ACCESS_CHANNEL

log = logging.getLogger(__name__)

CHANNELS = ("finwise_news", ACCESS_CHANNEL, "finwise_sync")
RETRY_MAX_S = 10.0
# What Django adds for itself to the parameters of libpq.
_NOT_FOR_LIBPQ = ("cursor_factory", "context", "pool", "prepare_threshold", "autocommit")


class Listener:
    """Calls `hear(channel, payload)` for each notification, `refresh()` after each connect."""

    def __init__(
        self, hear: Callable[[str, str], None], refresh: Callable[[], Awaitable[None]]
    ) -> None:
        self._hear = hear
        self._refresh = refresh

    async def run(self) -> None:
        """Listen until cancelled; connects again, with back-off and jitter."""
        failures = 0
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    **_parameters(), autocommit=True
                ) as connection:
                    for channel in CHANNELS:
                        await connection.execute(f"LISTEN {channel}")
                    failures = 0
                    await self._refresh()
                    async for notification in connection.notifies():
                        self._tell(notification)
            except psycopg.Error as error:
                log.info("LISTEN is down: %s", type(error).__name__)
            failures += 1
            await asyncio.sleep(random.uniform(0, min(RETRY_MAX_S, 0.1 * 2**failures)))

    def _tell(self, notification: psycopg.Notify) -> None:
        try:
            self._hear(notification.channel, notification.payload)
        except Exception:  # anybody with a connection can NOTIFY anything
            log.exception("a notification on %s was not understood", notification.channel)


def _parameters() -> dict[str, Any]:
    parameters = connections[DEFAULT_DB_ALIAS].get_connection_params()
    return {key: value for key, value in parameters.items() if key not in _NOT_FOR_LIBPQ}
