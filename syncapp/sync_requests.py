"""Somebody asks the devices of a household to sync now, and reads what they report.

The request travels by NOTIFY, so that it works from any process; who was asked and what each
answered is kept in the household's schema, so that any process can read it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from tenants.names import schema_name

from .core.messages import Report
from .repository import statement

SYNC_CHANNEL = "finwise_sync"  # the payload is "schema request_id who"
REPORT_CHANNEL = "finwise_report"  # the payload is the schema: somebody answered
REQUESTS_KEPT = 20  # of each household
# Whoever asks twice in this time means the same: the devices are asked once.
SAME_REQUEST_MS = 2_000
BY_MAX = 150


class Answer(NamedTuple):
    """What a device said to a request; `at_ms` is 0 until it has."""

    device_id: str
    at_ms: int
    outcome: str
    sent: int
    received: int
    pending: int


def request_sync_inside_transaction(connection: Any, tenant_id: UUID, by: str) -> str:
    """Ask every connected device to sync, once the transaction commits; returns the request id.

    by: who asks, as the devices show it.
    """
    schema, now_ms = schema_name(tenant_id), _now_ms()
    recent = _run(connection, schema, "recent_request", since_ms=now_ms - SAME_REQUEST_MS)
    if found := recent.fetchone():
        return str(found[0])
    request_id = str(uuid.uuid4())
    by = "".join(each if each.isprintable() else " " for each in by)[:BY_MAX]
    _run(connection, schema, "write_request", id=request_id, by=by, at_ms=now_ms)
    _run(connection, schema, "prune_requests", keep=REQUESTS_KEPT)
    _run(connection, schema, "prune_reports")
    _notify(connection, schema, SYNC_CHANNEL, f"{schema} {request_id} {by}")
    return request_id


def note_asked(
    connection: Any, tenant_id: UUID, request_id: str, device_ids: Collection[str]
) -> None:
    """Write down which devices the request was sent to."""
    schema = schema_name(tenant_id)
    _run(connection, schema, "note_asked", request=request_id, devices=list(device_ids))
    _notify(connection, schema, REPORT_CHANNEL, schema)


def take_report(connection: Any, tenant_id: UUID, device_id: str, report: Report) -> None:
    """Keep what a device answered; what nobody asked for is dropped."""
    schema = schema_name(tenant_id)
    _run(
        connection,
        schema,
        "take_report",
        request=report.id,
        device=device_id,
        at_ms=_now_ms(),
        outcome=report.outcome,
        sent=report.sent,
        received=report.received,
        pending=report.pending,
    )
    _notify(connection, schema, REPORT_CHANNEL, schema)


def reports_of(connection: Any, tenant_id: UUID, request_id: str) -> dict[str, Answer]:
    """Those who were asked, by device, with what they have answered so far."""
    found = _run(connection, schema_name(tenant_id), "reports_of", request=request_id)
    return {row[0]: Answer(*row) for row in found}


def _notify(connection: Any, schema: str, channel: str, payload: str) -> None:
    _run(connection, schema, "notify", channel=channel, payload=payload)


def _run(connection: Any, schema: str, name: str, **values: Any) -> psycopg.Cursor:
    cursor = psycopg.Cursor(connection.connection)
    return cursor.execute(statement(schema, name, "requests"), values or None)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
