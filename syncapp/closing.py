"""Asking every process to end a household's sockets, so that devices connect again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tenants.names import schema_name

CLOSE_CHANNEL = "finwise_close"  # the payload is "schema device_id", or "schema *" for all


def close_inside_transaction(connection: Any, tenant_id: UUID, device_id: UUID | None) -> None:
    """End the sockets of a device, or of all, once the transaction commits.

    May be lost: what a device may do is decided in the database, not by its socket's end.
    """
    payload = f"{schema_name(tenant_id)} {device_id or '*'}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CLOSE_CHANNEL, payload])
