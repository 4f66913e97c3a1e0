"""Changing a household's rows from the server's side: admin, scripts, a shell."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction

from tenants.context import call_in_tenant
from tenants.names import schema_name

from . import engine, upkeep
from .repository import PostgresRepository


def edit_row(
    tenant_id: UUID,
    entity: str,
    row_id: UUID | str,
    kind: str,
    fields: Mapping[str, Any],
    *,
    seen: Mapping[str, str] | None = None,
) -> int | None:
    """Create, edit or delete one row; every device hears of it. Returns the seq, if any.

    fields: by wire name, values as on the wire. seen: the stamps that the author's form was
    loaded with; if a field has moved on since, nothing is written.

    Raises Refused (a value the entity does not allow), engine.Stale, NotYours, Busy,
    DatabaseAway.
    """

    def write(connection: Any) -> int | None:
        repository = PostgresRepository(connection, schema_name(tenant_id))
        now_ms = time.time_ns() // 1_000_000
        outcome = engine.edit(repository, entity, str(row_id), kind, fields, now_ms, seen=seen)
        if outcome.seq is not None:
            # By NOTIFY, because this process may serve no sockets.
            repository.notify(outcome.seq)
        return outcome.seq

    return call_in_tenant(tenant_id, write)


def compact_tombstones(tenant_id: UUID, *, dry_run: bool = False) -> int:
    """Remove old tombstones that every active device has read past; returns how many.

    dry_run: find out how many it would be, and take it back.
    """

    def write(connection: Any) -> int:
        repository = PostgresRepository(connection, schema_name(tenant_id))
        count = upkeep.compact(repository, time.time_ns() // 1_000_000)
        if dry_run:
            transaction.set_rollback(True)
        return count

    return call_in_tenant(tenant_id, write)
