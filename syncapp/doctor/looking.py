"""Finding what is wrong with a household's rows, in one snapshot."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from syncapp.core.clock import is_stamp, ms_of
from syncapp.registry import SyncedTable, tables
from syncapp.sql import statements
from tenants.names import schema_name

from .findings import Finding, found

STAMP = r"^[0-9a-f]{12}-[0-9a-f]{4}-[0-9a-f]{16}$"
FINGERPRINT = r"^[0-9a-f]{16}$"
# As far as the clocks of a site's processes may differ, and what the engine lets pass.
FUTURE_MS = 60_000


class Patient:
    """One household's tables, and the doctor's statements on them."""

    def __init__(self, connection: Any, tenant_id: UUID) -> None:
        self.schema = schema_name(tenant_id)
        self._cursor = psycopg.Cursor(connection.connection)
        self.now_ms = time.time_ns() // 1_000_000

    def run(self, name: str, *, table: str = "-", **values: Any) -> list[tuple[Any, ...]]:
        """One of the doctor's statements (`sql/doctor.sql`), and all rows that it returns."""
        column, target = values.pop("column", "-"), values.pop("target", "-")
        statement = sql.SQL(statements("doctor")[name]).format(
            schema=sql.Identifier(self.schema),
            table=sql.Identifier(table),
            column=sql.Identifier(column),
            target=sql.Identifier(target),
        )
        self._cursor.execute(statement, values or None)
        return self._cursor.fetchall() if self._cursor.description else []

    def one(self, name: str, **values: Any) -> Any:
        rows = self.run(name, **values)
        return rows[0][0] if rows else None

    @property
    def future(self) -> str:
        """The greatest stamp that is not from the future."""
        return f"{self.now_ms + FUTURE_MS:012x}-ffff-{'f' * 16}"

    def newest_seq(self) -> int:
        """The greatest seq that anything carries."""
        rows = [self.run("seqs", table=each.table)[0][0] for each in tables().values()]
        return max(self.one("newest_seq"), *rows)

    def newest_sane_stamp(self) -> str:
        newest = [
            self.run("stamps", table=each.table, pattern=STAMP, future=self.future)[0][2] or ""
            for each in tables().values()
        ]
        return max(newest)

    def is_sane(self, stamp: str) -> bool:
        return stamp == "" or (is_stamp(stamp) and ms_of(stamp) <= self.now_ms + FUTURE_MS)


def look(connection: Any, tenant_id: UUID, roles: Mapping[str, str]) -> list[Finding]:
    """What is wrong with a household whose schema is complete.

    connection: stands inside the household. roles: the memberships, role by user id.
    """
    patient = Patient(connection, tenant_id)
    heads = patient.run("head")
    seq: int | None = heads[0][1] if heads else None
    return [
        *_about_head(patient, heads[0] if heads else None),
        *(each for table in tables().values() for each in _about_rows(patient, table)),
        *_about_fingerprints(patient, heads[0] if heads else None),
        *_about_members(patient, roles),
        *_about_devices(patient, seq),
    ]


def _about_head(patient: Patient, head: tuple[Any, ...] | None) -> Iterator[Finding]:
    if head is None:
        yield found("head_missing")
        return
    _, seq, _, stamp, horizon = head
    newest_seq = patient.newest_seq()
    if newest_seq > seq:
        yield found("head_behind", more=f"It is at {seq}, and they are at {newest_seq}.")
    is_sane = patient.is_sane(stamp) and patient.is_sane(horizon)
    if not is_sane or stamp < max(horizon, patient.newest_sane_stamp()):
        yield found("head_stamp")


def _about_rows(patient: Patient, table: SyncedTable) -> Iterator[Finding]:
    name = table.table
    _, unnumbered = patient.run("seqs", table=name)[0]
    if unnumbered:
        yield found("seq_missing", unnumbered, name)
    malformed, ahead, _ = patient.run("stamps", table=name, pattern=STAMP, future=patient.future)[0]
    if malformed:
        yield found("stamp_malformed", malformed, name)
    if ahead:
        yield found("stamp_future", ahead, name)
    targets = {each.table for each in tables().values()}
    for spec in table.entity.fields.values():
        if spec.target not in targets:
            continue
        column = table.columns[spec.name][0]
        lost = patient.one("lost_references", table=name, column=column, target=spec.target)
        if lost:
            yield found("reference_lost", lost, f"{name}.{column}")


def _about_fingerprints(patient: Patient, head: tuple[Any, ...] | None) -> Iterator[Finding]:
    count, first, last, malformed = patient.run("fingerprints", pattern=FINGERPRINT)[0]
    if head is None:
        return
    _, seq, fingerprint, _, _ = head
    ours = patient.one("fingerprint_of", seq=seq)
    is_behind = last is not None and last > seq  # then nothing of it can be compared
    if malformed or (ours is not None and ours != fingerprint and not is_behind):
        yield found("fingerprint_wrong")
    if is_behind:
        return
    if ours is None or count != seq - first + 1:
        missing = max(1, (seq - first + 1 if first is not None else 1) - count)
        yield found("fingerprint_gap", missing)


def _about_members(patient: Patient, roles: Mapping[str, str]) -> Iterator[Finding]:
    mirrored = dict(patient.run("members"))
    differing = dict(mirrored.items() ^ dict(roles).items())
    if differing:
        yield found("members_differ", len(differing))


def _about_devices(patient: Patient, seq: int | None) -> Iterator[Finding]:
    newest = patient.newest_seq() if seq is None else seq
    odd = patient.one("odd_devices", seq=newest, future_ms=patient.now_ms + FUTURE_MS)
    if odd:
        yield found("device_counters", odd)
    lost = patient.one("answers_to_nobody")
    if lost:
        yield found("answers_to_nobody", lost)
