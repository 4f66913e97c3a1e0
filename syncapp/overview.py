"""How a household is, for people who look after it: read in one snapshot, changes nothing.

No value of a row appears here: counts, times and names of devices only.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from tenants.names import schema_name

from .core.messages import PROTOCOL
from .deliveries import HOUR_MS, quantile_ms
from .engine import complete_up_to
from .light import Light, Reason, is_online, light_of, verdict_on
from .presence import Newest
from .repository import statement
from .sync_requests import Answer, reports_of

HOURS = 24
LAG_MAX_TRANSACTIONS = 500  # looked at for each device; beyond it is "at least"
CONFLICTS_WITHIN_MS = 7 * 24 * HOUR_MS
TURNED_AWAY_WITHIN_MS = 24 * HOUR_MS
RECENT = 20  # conflicts, and refusals


class DeviceState(msgspec.Struct, rename="camel", kw_only=True):
    """One device. Ages and lags in milliseconds; pending, refused and parked are its own words."""

    id: str
    user_id: str
    name: str
    app: str
    protocol: str
    is_mute: bool  # its protocol cannot say what waits on it
    role: str | None  # of its person; None: no member any more
    is_online: bool
    is_revoked: bool
    is_healing: bool
    reset: str
    last_seen_ms: int
    silent_ms: int
    told_age_ms: int
    read_seq: int
    is_behind: bool
    lag_changes: int
    is_lag_at_least: bool
    lag_ms: int
    pending: int
    pending_age_ms: int
    refused: int
    parked: int
    conflicts: int  # values of this device that were overruled in the last seven days
    clock_offset_ms: int
    light: Light = Light.GREY
    reason: Reason = Reason.SILENT


class Hour(msgspec.Struct, rename="camel", kw_only=True):
    """One hour of the last day. Latencies are the upper ends of their buckets."""

    at_ms: int
    changes: int = 0
    deliveries: int = 0
    median_ms: int | None = None
    p95_ms: int | None = None


class Trouble(msgspec.Struct, rename="camel", kw_only=True):
    """A conflict or a refusal: what and whose, never the values."""

    at_ms: int
    entity: str
    row_id: str
    field: str
    device_id: str | None  # whose value was overruled, or whose change was refused
    by_device_id: str | None = None  # whose value won
    code: str = ""


class TurnedAway(msgspec.Struct, rename="camel", kw_only=True):
    """A member whose app was sent away before it could say which device it is."""

    user_id: str
    code: str  # of `core.errors`
    at_ms: int
    is_heard_since: bool  # some device of theirs came in later


class Asked(msgspec.Struct, rename="camel", kw_only=True):
    """The newest sync request: who was asked, and what each answered."""

    id: str
    by: str
    at_ms: int
    answers: list[Answer]

    @property
    def done(self) -> int:
        return sum(each.outcome == "done" for each in self.answers)

    @property
    def waiting(self) -> int:
        return sum(not each.at_ms for each in self.answers)


class Overview(msgspec.Struct, rename="camel", kw_only=True):
    """A household at one moment."""

    tenant_id: str
    at_ms: int
    epoch: str
    head: int
    last_change_ms: int | None
    members: int
    size_bytes: int
    light: Light
    devices: list[DeviceState]
    turned_away: list[TurnedAway] = []
    hours: list[Hour] = []
    conflicts: list[Trouble] = []
    refusals: list[Trouble] = []
    asked: Asked | None = None

    @property
    def online(self) -> int:
        return sum(each.is_online for each in self.devices)

    def device_name(self, device_id: str | None) -> str:
        """As people know it; "" for the server itself and for devices that were forgotten."""
        return next((each.name or each.id[:8] for each in self.devices if each.id == device_id), "")


def read_overview(
    connection: Any,
    tenant_id: UUID,
    newest: Mapping[str, Newest] | None = None,
    *,
    with_history: bool = True,
    now_ms: int | None = None,
) -> Overview:
    """Look at a household; inside `tenants.context`, best with read_only.

    newest: by device, what this process knows of those that are connected to it.
    with_history: the day's hours, recent conflicts and refusals, and the last sync request.
    """
    now_ms = now_ms or time.time_ns() // 1_000_000
    schema = schema_name(tenant_id)
    cursor = psycopg.Cursor(connection.connection)

    def run(name: str, **values: Any) -> list[tuple[Any, ...]]:
        return cursor.execute(statement(schema, name, "overview"), values).fetchall()

    ((epoch, head, last_change_ms, members, size_bytes),) = run("head", schema=schema)
    found = run(
        "devices",
        most=LAG_MAX_TRANSACTIONS,
        conflicts_since_ms=now_ms - CONFLICTS_WITHIN_MS,
    )
    devices = [_device(row, epoch, head, newest or {}, now_ms) for row in found]
    since_ms = now_ms - TURNED_AWAY_WITHIN_MS
    at_the_door = run("turned_away", tenant=tenant_id, since_ms=since_ms)
    turned_away = [_turned_away(row, devices) for row in at_the_door]
    overview = Overview(
        tenant_id=str(tenant_id),
        at_ms=now_ms,
        epoch=epoch,
        head=head,
        last_change_ms=last_change_ms,
        members=members,
        size_bytes=size_bytes,
        # Nobody stands for a person who could not come in.
        light=light_of(verdict_on(each) for each in devices)
        if all(each.is_heard_since for each in turned_away)
        else Light.AMBER,
        devices=devices,
        turned_away=turned_away,
    )
    if with_history:
        since_ms = now_ms // HOUR_MS * HOUR_MS - (HOURS - 1) * HOUR_MS
        overview.hours = _hours(
            since_ms,
            run("changes_by_hour", since_ms=since_ms),
            run("deliveries_by_hour", since_ms=since_ms),
        )
        overview.conflicts = [_conflict(row) for row in run("recent_conflicts", limit=RECENT)]
        overview.refusals = [_refusal(row) for row in run("recent_refusals", limit=RECENT)]
        for request_id, by, at_ms in run("last_request"):
            answers = reports_of(connection, tenant_id, request_id).values()
            overview.asked = Asked(id=request_id, by=by, at_ms=at_ms, answers=list(answers))
    return overview


def _device(
    row: tuple[Any, ...], epoch: str, head: int, newest: Mapping[str, Newest], now_ms: int
) -> DeviceState:
    (device_id, user_id, name, app, protocol, last_seen_ms, told_ms, left_ms, read_seq) = row[:9]
    pending, oldest_pending_ms, refused, parked, clock_offset_ms = row[9:14]
    reset, is_healing, is_revoked, role, changes, transactions, since_ms, conflicts = row[14:]
    known = newest.get(device_id)
    if known is not None:
        pending = known.pending
        if known.cursor is not None and known.cursor.epoch == epoch:
            read_seq = max(read_seq, min(complete_up_to(known.cursor.position), head))
    is_behind = read_seq < head
    told_age_ms = max(0, now_ms - told_ms)
    device = DeviceState(
        id=device_id,
        user_id=user_id,
        name=name,
        app=app,
        protocol=protocol,
        is_mute=protocol != PROTOCOL,
        role=role,
        is_online=not is_revoked and is_online(last_seen_ms, left_ms, now_ms),
        is_revoked=is_revoked,
        is_healing=is_healing,
        reset=reset,
        last_seen_ms=last_seen_ms,
        silent_ms=max(0, now_ms - last_seen_ms),
        told_age_ms=told_age_ms,
        read_seq=read_seq,
        is_behind=is_behind,
        lag_changes=int(changes) if is_behind else 0,
        is_lag_at_least=is_behind and transactions >= LAG_MAX_TRANSACTIONS,
        lag_ms=max(0, now_ms - since_ms) if is_behind and since_ms is not None else 0,
        pending=pending,
        pending_age_ms=oldest_pending_ms + told_age_ms if pending else 0,
        refused=refused,
        parked=parked,
        conflicts=conflicts,
        clock_offset_ms=clock_offset_ms,
    )
    device.light, device.reason = verdict_on(device)
    return device


def _turned_away(row: tuple[Any, ...], devices: list[DeviceState]) -> TurnedAway:
    user_id, code, at_ms = row
    return TurnedAway(
        user_id=user_id,
        code=code,
        at_ms=at_ms,
        is_heard_since=any(
            each.user_id == user_id and each.last_seen_ms > at_ms for each in devices
        ),
    )


def _hours(
    since_ms: int, changes: list[tuple[Any, ...]], deliveries: list[tuple[Any, ...]]
) -> list[Hour]:
    hours = [Hour(at_ms=since_ms + n * HOUR_MS) for n in range(HOURS)]
    by_time = {each.at_ms: each for each in hours}
    for at_ms, count in changes:
        if at_ms in by_time:  # a clock that was set back may have left times of tomorrow
            by_time[at_ms].changes = int(count)
    buckets: dict[int, dict[int, int]] = defaultdict(dict)
    for at_ms, bucket, count in deliveries:
        buckets[at_ms][bucket] = count
    for at_ms, counts in buckets.items():
        if at_ms in by_time:
            hour = by_time[at_ms]
            hour.deliveries = sum(counts.values())
            hour.median_ms, hour.p95_ms = quantile_ms(counts, 0.5), quantile_ms(counts, 0.95)
    return hours


def _conflict(row: tuple[Any, ...]) -> Trouble:
    at_ms, entity, row_id, field, winner, loser = row
    return Trouble(
        at_ms=at_ms, entity=entity, row_id=row_id, field=field, device_id=loser, by_device_id=winner
    )


def _refusal(row: tuple[Any, ...]) -> Trouble:
    at_ms, entity, row_id, field, code, device_id = row
    return Trouble(
        at_ms=at_ms,
        entity=entity,
        row_id=row_id or "",
        field=field,
        device_id=device_id,
        code=code,
    )
