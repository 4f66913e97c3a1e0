"""Keeping the list of households current without opening them when somebody looks at it.

Written outside of pushes: by the beat for households that are being served, at the end of a
household's last socket, and by whoever looks at one. A summary says how old it is.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import UTC, datetime
from uuid import UUID

from tenants import summaries
from tenants.context import call_in_tenant

from .core.errors import SyncError
from .light import ACTIVE_MS
from .overview import Overview, read_overview

log = logging.getLogger(__name__)


def summarise(tenant_ids: Collection[UUID], at_most: int | None = None) -> int:
    """Renew summaries that are due, the oldest first; returns how many. Blocking.

    A household that cannot be read now keeps its old summary, which shows its age.
    """
    due = summaries.due(tenant_ids)[:at_most]
    for tenant_id in due:
        try:
            note(call_in_tenant(tenant_id, _read, tenant_id, read_only=True))
        except SyncError as error:
            log.info("summarising %s failed: %s", tenant_id, error.code)
    return len(due)


def note(overview: Overview) -> None:
    """Keep what the list of households shows of an overview. Outside of every household."""
    active = [
        each for each in overview.devices if not each.is_revoked and each.silent_ms <= ACTIVE_MS
    ]
    last_change = overview.last_change_ms
    summaries.write(
        UUID(overview.tenant_id),
        at=_moment(overview.at_ms),
        light=overview.light.value,
        head=overview.head,
        size_bytes=overview.size_bytes,
        devices=len(active),
        online=sum(each.is_online for each in active),
        pending=sum(each.pending for each in active),
        refused=sum(each.refused for each in active),
        last_change_at=_moment(last_change) if last_change is not None else None,
    )


def _read(connection: object, tenant_id: UUID) -> Overview:
    return read_overview(connection, tenant_id, with_history=False)


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
