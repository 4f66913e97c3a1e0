"""Somebody asks the devices of a household to sync now, and reads what they report.

The request travels by NOTIFY, so that it works from any process. The reports stay with the
process that serves the device.
"""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID

from tenants.names import schema_name

from .core.messages import Report

SYNC_CHANNEL = "finwise_sync"  # the payload is "schema request_id who"
REQUESTS_MAX = 200  # of this process; the oldest is forgotten

_reports: dict[tuple[UUID, str], dict[str, Report]] = {}


def request_sync_inside_transaction(connection: Any, tenant_id: UUID, by: str) -> str:
    """Ask every connected device to sync, once the transaction commits; returns the request id."""
    text = secrets.token_hex(16)
    request_id = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    with connection.cursor() as cursor:
        payload = f"{schema_name(tenant_id)} {request_id} {by}"
        cursor.execute("SELECT pg_notify(%s, %s)", [SYNC_CHANNEL, payload])
    return request_id


def expect_reports(tenant_id: UUID, request_id: str) -> None:
    """Take reports for this request from now on."""
    while len(_reports) >= REQUESTS_MAX:
        del _reports[next(iter(_reports))]
    _reports.setdefault((tenant_id, request_id), {})


def take_report(tenant_id: UUID, device_id: str, report: Report) -> None:
    """Keep what a device answered; what nobody asked for is dropped."""
    reports = _reports.get((tenant_id, report.id))
    if reports is not None:
        reports[device_id] = report


def reports_of(tenant_id: UUID, request_id: str) -> dict[str, Report]:
    """The answers so far that came to this process, by device."""
    return dict(_reports.get((tenant_id, request_id), {}))
