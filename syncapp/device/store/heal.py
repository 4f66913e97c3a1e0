"""The heal list: whole rows that a restored server lacks, on their way to it.

What the server has taken stays until a page has told it: until then this device may be the
only one that could give it to a server that is restored once more.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from syncapp.core.change import Row
from syncapp.core.messages import WireRow

from .database import Database
from .packing import Key, packed, row, wire


class HealRow(msgspec.Struct):
    """A row of the heal list, packed. version: of this state of it."""

    version: int
    wire: WireRow
    code: str = ""
    message: str = ""


class HealList(Database):
    def heal_row(self, key: Key) -> Row | None:
        found = self.run(
            "SELECT fields, stamp, stamps FROM heal WHERE entity = ? AND id = ? AND NOT is_parked",
            *key,
        ).fetchone()
        return None if found is None else row(*key, *found)

    def heal_rows_of(self, entity: str) -> list[Row]:
        found = self.run(
            "SELECT entity, id, fields, stamp, stamps FROM heal WHERE entity = ? AND NOT is_parked",
            entity,
        )
        return [row(*each) for each in found]

    def heal_rows(self, *, is_parked: bool = False, limit: int = -1) -> list[HealRow]:
        """Those that are to be sent, or wait for a newer server."""
        found = self.run(
            "SELECT version, code, message, entity, id, fields, stamp, stamps FROM heal"
            " WHERE is_parked = ? AND healed_at IS NULL ORDER BY version LIMIT ?",
            is_parked,
            limit,
        )
        return [
            HealRow(version, wire(*packed), code, message)
            for version, code, message, *packed in found
        ]

    def has_heal_rows(self) -> bool:
        return bool(
            self.run(
                "SELECT EXISTS (SELECT 1 FROM heal WHERE NOT is_parked AND healed_at IS NULL)"
            ).fetchone()[0]
        )

    def count_parked_rows(self) -> int:
        return int(self.run("SELECT count(*) FROM heal WHERE is_parked").fetchone()[0])

    def put_heal(self, rows: Iterable[Row]) -> None:
        self.run_many(
            "REPLACE INTO heal (entity, id, fields, stamp, stamps) VALUES (?, ?, ?, ?, ?)",
            map(packed, rows),
        )

    def put_healed(self, row: Row, head: int) -> None:
        """The server has taken this; a page that reaches `head` tells what became of it."""
        self.run(
            "REPLACE INTO heal (entity, id, fields, stamp, stamps, healed_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            *packed(row),
            head,
        )

    def delete_healed(self, read_seq: int) -> list[Key]:
        """What pages have told up to `read_seq` needs no keeping. Returns the rows."""
        found = self.run("SELECT entity, id FROM heal WHERE healed_at <= ?", read_seq).fetchall()
        if found:
            self.run("DELETE FROM heal WHERE healed_at <= ?", read_seq)
        return found

    def heal_again(self) -> None:
        """The server was restored once more."""
        self.run("UPDATE heal SET healed_at = NULL WHERE healed_at IS NOT NULL")

    def park_heal(self, row: Row, code: str, message: str) -> None:
        self.run(
            "REPLACE INTO heal (entity, id, fields, stamp, stamps, is_parked, code, message)"
            " VALUES (?, ?, ?, ?, ?, 1, ?, ?)",
            *packed(row),
            code,
            message,
        )

    def delete_heal(self, versions: Iterable[int]) -> None:
        self.run_many("DELETE FROM heal WHERE version = ?", [(each,) for each in versions])

    def empty_heal(self) -> None:
        self.run("DELETE FROM heal")
