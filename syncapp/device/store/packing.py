"""Between records and columns: rows packed as JSON, their stamps as one and the exceptions."""

from __future__ import annotations

from typing import Any

import msgspec

from syncapp.core.change import Row, pack_stamps, unpack_stamps
from syncapp.core.messages import WireRow
from syncapp.core.outbox import Entry

Key = tuple[str, str]  # entity, row id

to_json = msgspec.json.Encoder().encode
json_to_fields = msgspec.json.Decoder(dict[str, Any]).decode
json_to_stamps = msgspec.json.Decoder(dict[str, str]).decode


def entry(
    local: int, entity: str, row_id: str, kind: Any, stamp: str, fields: str, seen: str,
    made_ms: int, number: int | None, was_sent: int, *why: Any,
) -> Entry:  # fmt: skip
    return Entry(
        local, entity, row_id, kind, stamp, json_to_fields(fields), json_to_stamps(seen), made_ms,
        number, bool(was_sent), *why,
    )  # fmt: skip


def entry_values(entry: Entry) -> tuple[Any, ...]:
    """The columns of the outbox behind `local`, in their order."""
    return (
        entry.entity, entry.row_id, entry.kind, entry.stamp, to_json(entry.fields).decode(),
        to_json(entry.seen).decode(), entry.made_ms, entry.number, entry.was_sent, entry.state,
        entry.code, entry.field, entry.message,
    )  # fmt: skip


def packed(row: Row | WireRow) -> tuple[str, str, str, str, str]:
    if isinstance(row, WireRow):
        common, exceptions = row.stamp, row.stamps
    else:
        common, exceptions = pack_stamps(row.stamps)
    stamps = to_json(exceptions).decode() if exceptions else ""
    return row.entity, row.id, to_json(row.fields).decode(), common, stamps


def wire(entity: str, row_id: str, fields: str, stamp: str, stamps: str) -> WireRow:
    return WireRow(
        entity, row_id, json_to_fields(fields), stamp, json_to_stamps(stamps) if stamps else {}
    )


def row(entity: str, row_id: str, fields: str, stamp: str, stamps: str) -> Row:
    values = json_to_fields(fields)
    exceptions = json_to_stamps(stamps) if stamps else {}
    return Row(entity, row_id, values, unpack_stamps(values, stamp, exceptions))
