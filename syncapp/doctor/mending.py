"""Mending what was found, in one transaction under the head's lock.

Nothing is ever mended by taking rows away. Where devices may hold what the server does not
know (a fingerprint that is gone, a table that was lost), they are made to notice, and bring
it back.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import psycopg

from syncapp.core.clock import NO_STAMP, SERVER_NODE, next_stamp
from syncapp.core.records import Head
from syncapp.registry import tables
from syncapp.repository import PostgresRepository, set_member
from syncapp.sql import statements
from syncapp.upkeep import RETENTION_MS
from tenants.names import schema_name

from .findings import Finding
from .looking import FINGERPRINT, STAMP, Patient

# Devices far behind take a snapshot; there is no need to invent what they would compare.
FINGERPRINTS_MAX = 10_000
_NEED_A_SEQ = {"head_missing", "head_behind", "seq_missing", "stamp_malformed", "stamp_future"}
_NEED_STAMPS = {"seq_missing", "stamp_malformed", "stamp_future"}
# A device keeps a stamp from the future in its base, unless a snapshot replaces it.
_NEED_AN_EPOCH = {"head_missing", "stamp_future"}


def mend(
    connection: Any,
    tenant_id: UUID,
    findings: Iterable[Finding],
    roles: Mapping[str, str],
    *,
    has_lost_rows: bool = False,
) -> None:
    """Mend what can be mended of these findings.

    has_lost_rows: a table was missing and is empty now. Devices are asked to heal it, which
    they can do only within the same epoch; so what needs a new one is left alone.
    """
    codes = {each.code for each in findings if each.is_mendable}
    if has_lost_rows:
        codes -= _NEED_AN_EPOCH
    if not codes and not has_lost_rows:
        return
    patient = Patient(connection, tenant_id)
    if "head_missing" in codes:
        _make_head(patient)
    elif not patient.run("head"):
        return
    repository = PostgresRepository(connection, schema_name(tenant_id))
    head = repository.lock_head()
    _mend_fingerprints(patient, head, has_lost_rows=has_lost_rows)
    if codes & _NEED_A_SEQ:
        head.seq = max(head.seq, patient.newest_seq()) + 1
        head.fingerprint = secrets.token_hex(8)
    if codes & _NEED_AN_EPOCH:
        head.epoch = secrets.token_hex(16)
    _mend_stamps(patient, head, connection, codes)
    repository.write(head, patient.now_ms, is_new_seq=bool(codes & _NEED_A_SEQ))
    _fill_fingerprints(patient, head)
    _mend_members(patient, connection, roles)
    patient.run("mend_devices", seq=head.seq, now_ms=patient.now_ms)
    patient.run("forget_answers_to_nobody")
    if has_lost_rows:
        patient.run("ask_devices_to_heal")
    repository.notify(head.seq)


def _make_head(patient: Patient) -> None:
    """A head for rows that have lost theirs. Its epoch cannot be known: devices take a snapshot.

    What was compacted cannot be known either, so anything that could have been counts.
    """
    seq = patient.newest_seq()
    patient.run(
        "make_head",
        epoch=secrets.token_hex(16),
        seq=seq,
        fingerprint=patient.one("fingerprint_of", seq=seq) or secrets.token_hex(8),
        horizon=next_stamp(NO_STAMP, patient.now_ms - RETENTION_MS, SERVER_NODE),
    )


def _mend_fingerprints(patient: Patient, head: Head, *, has_lost_rows: bool) -> None:
    """The head's is the one that devices were given; what is malformed is none.

    A new one in its place tells every device that has read up to here of a restored server.
    """
    patient.run("mend_fingerprints", pattern=FINGERPRINT)
    is_sound = len(head.fingerprint) == 16 and not set(head.fingerprint) - set("0123456789abcdef")
    if has_lost_rows or not is_sound:
        head.fingerprint = secrets.token_hex(8)
    elif head.seq < patient.newest_seq():
        return  # it gets a new one with its new seq
    patient.run(
        "write_fingerprint", seq=head.seq, fingerprint=head.fingerprint, at_ms=patient.now_ms
    )


def _mend_stamps(patient: Patient, head: Head, connection: Any, codes: set[str]) -> None:
    """What is no stamp, or lies in the future, becomes now, and the head's is later than all."""
    horizon = head.horizon if patient.is_sane(head.horizon) else NO_STAMP
    known = head.stamp if patient.is_sane(head.stamp) else NO_STAMP
    head.horizon = horizon
    head.stamp = max(known, horizon, patient.newest_sane_stamp())
    if not codes & _NEED_STAMPS:
        return
    head.stamp = next_stamp(head.stamp, patient.now_ms, SERVER_NODE)
    # Without a new epoch a device would keep the future that it has read.
    future = patient.future if "stamp_future" in codes else "g"
    cursor = psycopg.Cursor(connection.connection)
    cursor.execute(statements("household")["writer"], {"writer": "engine"})
    for table in tables().values():
        patient.run(
            "mend_stamps",
            table=table.table,
            seq=head.seq,
            now=head.stamp,
            pattern=STAMP,
            future=future,
        )
    cursor.execute(statements("household")["writer"], {"writer": ""})


def _fill_fingerprints(patient: Patient, head: Head) -> None:
    count, first, _, _ = patient.run("fingerprints", pattern=FINGERPRINT)[0]
    if count == head.seq - first + 1:
        return
    first = max(first, head.seq - FINGERPRINTS_MAX)
    patient.run("forget_before", seq=first)
    patient.run("fill_fingerprints", first=first, last=head.seq, at_ms=patient.now_ms)


def _mend_members(patient: Patient, connection: Any, roles: Mapping[str, str]) -> None:
    for user_id, role in roles.items():
        set_member(connection, patient.schema, user_id, role)
    patient.run("forget_members", users=list(roles))
