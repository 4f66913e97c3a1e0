"""What is known of a device when its socket ends, written down for those who look on.

Outside of the household's lock, and it may be lost: a device that was not heard for a while
is away in any case.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from tenants.names import schema_name

from .core.cursor import Cursor
from .engine import complete_up_to
from .repository import statement


class LastWords(NamedTuple):
    """What the server knows of a device when its socket ends.

    seen_ms: when it was last heard on this socket. cursor: what it has confirmed to have
    stored. pending: what it said last, less what was settled after. refused: how many of its
    changes were refused after it said how many there are.
    """

    device_id: str
    seen_ms: int
    cursor: Cursor | None
    pending: int
    refused: int


class Newest(NamedTuple):
    """What the process that serves a device knows of it, newer than what is written down."""

    cursor: Cursor | None
    pending: int  # as in LastWords


def note_left(connection: Any, tenant_id: UUID, words: LastWords) -> None:
    """Write down that a device has gone, unless it is back on another socket."""
    cursor = words.cursor
    psycopg.Cursor(connection.connection).execute(
        statement(schema_name(tenant_id), "note_left", "requests"),
        {
            "device": words.device_id,
            "now_ms": time.time_ns() // 1_000_000,
            "seen_ms": words.seen_ms,
            "pending": words.pending,
            "refused": words.refused,
            "epoch": cursor.epoch if cursor else "",
            "read_seq": complete_up_to(cursor.position) if cursor else 0,
        },
    )
