"""Out of the database, in one snapshot."""

from __future__ import annotations

import hashlib
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any
from uuid import UUID

from syncapp.core.change import Row, pack_stamps
from syncapp.core.cursor import START, Position
from syncapp.core.entity import Entity
from syncapp.core.records import Located
from syncapp.registry import CONFLICT, entities
from syncapp.repository import PostgresRepository
from tenants.context import call_in_tenant
from tenants.names import schema_name
from tenants.roster import Roster, roster_of

from .format import VERSION, ConflictLine, EndLine, HeadLine, MemberLine, RowLine, encode

PAGE_ROWS = 500
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
IN_MEMORY_MAX_BYTES = 8 * 1024 * 1024  # beyond, the lines wait in a file without a name


def export_household(tenant_id: UUID) -> Iterator[str]:
    """Yield a household as portable JSON lines, each with its newline.

    All of it is read in one snapshot when the first line is asked for: rows with their stamps,
    tombstones included, members by e-mail address, open conflicts. What a device has not sent
    yet is not in it. Blocking.

    Raises NotYours for a household that is not there, Busy and DatabaseAway.
    """
    roster = roster_of(tenant_id)
    with tempfile.SpooledTemporaryFile(IN_MEMORY_MAX_BYTES) as body:
        head = call_in_tenant(tenant_id, _write_body, tenant_id, roster, body, read_only=True)
        digest, count = hashlib.sha256(), 0
        body.seek(0)
        for line in _with_head(head, body):
            digest.update(line)
            count += 1
            yield line.decode()
        yield encode(EndLine(lines=count, sha256=digest.hexdigest())).decode()


def _with_head(head: HeadLine, body: IO[bytes]) -> Iterator[bytes]:
    yield encode(head)
    yield from body


def _write_body(connection: Any, tenant_id: UUID, roster: Roster, body: IO[bytes]) -> HeadLine:
    # Begins anew if PostgreSQL undid the transaction before.
    body.seek(0)
    body.truncate()
    repository = PostgresRepository(connection, schema_name(tenant_id))
    head = repository.read_head()
    counts: Counter[str] = Counter(member=len(roster.roles))
    for email, role in roster.roles.items():
        body.write(encode(MemberLine(email=email, role=role)))  # type: ignore[arg-type]
    conflicts: list[Row] = []
    for each in _all_rows(repository):
        if each.row.entity == CONFLICT.name:
            conflicts.append(each.row)
            continue
        counts[each.row.entity] += 1
        body.write(encode(_row_line(each.row)))
    for conflict in _open(repository, conflicts):
        counts[CONFLICT.name] += 1
        body.write(encode(_conflict_line(conflict, roster)))
    return HeadLine(
        format="finwise.household",
        version=VERSION,
        id=str(tenant_id),
        name=_plain(roster.name) or "?",
        made_ms=time.time_ns() // 1_000_000,
        horizon=head.horizon,
        entities=_described(entities()),
        counts=dict(counts),
    )


def _plain(name: str) -> str:
    return _CONTROL.sub(" ", name).strip()


def _described(known: dict[str, Entity]) -> dict[str, list[str]]:
    return {name: list(each.fields) for name, each in known.items() if not each.is_read_only}


def _all_rows(repository: PostgresRepository) -> Iterator[Located]:
    position, more = START, True
    while more:
        page, more = repository.page(position, PAGE_ROWS)
        yield from page
        if page:
            last = page[-1]
            position = Position(last.seq, last.row.entity, last.row.id)


def _row_line(row: Row) -> RowLine:
    common, exceptions = pack_stamps(row.stamps)
    return RowLine(entity=row.entity, id=row.id, fields=row.fields, stamp=common, stamps=exceptions)


def _open(repository: PostgresRepository, conflicts: list[Row]) -> list[Row]:
    """Those whose field still carries the winning stamp."""
    keys = {(each.fields["rowEntity"], each.fields["rowId"]) for each in conflicts}
    rows = repository.rows(keys) if keys else {}
    found = []
    for each in conflicts:
        row = rows.get((each.fields["rowEntity"], each.fields["rowId"]))
        if row and row.stamps.get(each.fields["field"]) == each.fields["winningStamp"]:
            found.append(each)
    return found


def _conflict_line(conflict: Row, roster: Roster) -> ConflictLine:
    fields = conflict.fields
    emails = {str(user): email for user, email in roster.emails.items()}
    return ConflictLine(
        id=conflict.id,
        entity=fields["rowEntity"],
        row_id=fields["rowId"],
        field=fields["field"],
        winning_value=fields["winningValue"],
        winning_stamp=fields["winningStamp"],
        winning_device=fields["winningDevice"],
        winning_person=emails.get(fields["winningUser"] or ""),
        losing_value=fields["losingValue"],
        losing_stamp=fields["losingStamp"],
        losing_device=fields["losingDevice"],
        losing_person=emails.get(fields["losingUser"] or ""),
        at_ms=fields["atMs"],
    )
