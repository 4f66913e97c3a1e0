"""What apps were shown, in the household's schema."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import msgspec
import psycopg

from ..dialects.shown import Shown
from ..repository import statement
from .household import Key


class PostgresShown:
    """`household.ShownStore` over a Django connection that stands inside the household."""

    def __init__(self, connection: Any, schema: str) -> None:
        self._schema = schema
        self._cursor = psycopg.Cursor(connection.connection)

    def _run(self, name: str, **values: Any) -> psycopg.Cursor:
        return self._cursor.execute(statement(self._schema, name, "shown"), values)

    def of(self, device_id: str, keys: Collection[Key]) -> dict[Key, Shown]:
        """What this device was shown of these rows, by (entity, id)."""
        wanted = set(keys)
        found = {}
        rows = self._run("shown_of", device=device_id, ids=[row_id for _, row_id in wanted])
        for entity, row_id, *times, versions in rows:
            if (entity, row_id) in wanted:
                plain = msgspec.json.decode(versions)
                found[entity, row_id] = Shown.from_plain(entity, row_id, *times, plain)
        return found

    def keys(self, device_id: str) -> set[Key]:
        """All rows of which this device was shown anything."""
        return {(entity, row_id) for entity, row_id in self._run("shown_ids", device=device_id)}

    def write(self, device_id: str, shown: Iterable[Shown]) -> None:
        """Keep what this device is shown, in the place of what it was shown before."""
        records = [
            {
                "entity": each.entity,
                "row_id": each.id,
                "told_ms": each.told_ms,
                "last_stamp": each.last_stamp,
                "last_entry_ms": each.last_entry_ms,
                "versions": each.to_plain(),
            }
            for each in shown
        ]
        if records:
            self._run("write_shown", device=device_id, shown=_to_json(records))


def _to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
