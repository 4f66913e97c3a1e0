"""The base (rows as the server last decided them) and the pages of an unfinished walk."""

from __future__ import annotations

from collections.abc import Iterable

from syncapp.core.change import Row
from syncapp.core.messages import WireRow

from .database import Database
from .packing import Key, packed, row, to_json, wire


class BaseRows(Database):
    def base_row(self, key: Key) -> Row | None:
        """The row as the server last decided it."""
        found = self.run(
            "SELECT fields, stamp, stamps FROM base WHERE entity = ? AND id = ? AND NOT is_kept",
            *key,
        ).fetchone()
        return None if found is None else row(*key, *found)

    def base_or_kept_row(self, key: Key) -> Row | None:
        """Also a row that the server has no more, as long as an edit of it is undecided."""
        found = self.run(
            "SELECT fields, stamp, stamps FROM base WHERE entity = ? AND id = ?", *key
        ).fetchone()
        return None if found is None else row(*key, *found)

    def shows(self, key: Key) -> bool:
        """Whether the base row is to be seen: not what is kept for a refused edit only."""
        return not self.run(
            "SELECT 1 FROM base WHERE entity = ? AND id = ? AND is_kept AND NOT EXISTS"
            " (SELECT 1 FROM outbox o WHERE o.entity = base.entity AND o.id = base.id"
            " AND o.state <> 'refused')",
            *key,
        ).fetchone()

    def base_rows(self, entity: str) -> list[Row]:
        """Those that are to be seen."""
        found = self.run(
            "SELECT entity, id, fields, stamp, stamps FROM base WHERE entity = ?"
            " AND (NOT is_kept OR EXISTS (SELECT 1 FROM outbox o WHERE o.entity = base.entity"
            " AND o.id = base.id AND o.state <> 'refused'))",
            entity,
        )
        return [row(*each) for each in found]

    def put_base(self, rows: Iterable[Row | WireRow], revived_at: int = 0) -> None:
        """revived_at: an ack that named this head has written over their tombstones."""
        self.run_many(
            "REPLACE INTO base (entity, id, fields, stamp, stamps, revived_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            ((*packed(each), revived_at) for each in rows),
        )

    def note_revived(self, keys: Iterable[Key], head: int) -> None:
        """A walk has told their tombstones and, with a page of this head, a newer existence."""
        self.run_many(
            "UPDATE base SET revived_at = ? WHERE entity = ? AND id = ? AND revived_at = 0",
            ((head, *key) for key in keys),
        )

    def revived(self) -> dict[Key, int]:
        """Rows over whose tombstone an ack or a walk has written and no page has told since, and
        its head."""
        found = self.run("SELECT entity, id, revived_at FROM base WHERE revived_at > 0")
        return {(entity, row_id): revived_at for entity, row_id, revived_at in found}

    def delete_base(self, keys: Iterable[Key]) -> None:
        self.run_many("DELETE FROM base WHERE entity = ? AND id = ?", keys)

    def release_kept(self) -> None:
        """Drop rows that the server has no more and that no entry speaks of any more."""
        self.run(
            "DELETE FROM base WHERE is_kept AND NOT EXISTS"
            " (SELECT 1 FROM outbox o WHERE o.entity = base.entity AND o.id = base.id)"
        )

    # --- staging -----------------------------------------------------------------------

    def stage(self, rows: Iterable[WireRow]) -> None:
        """A row that comes twice in a walk is newer the second time."""
        self.run_many(
            "REPLACE INTO staging (entity, id, fields, stamp, stamps) VALUES (?, ?, ?, ?, ?)",
            map(packed, rows),
        )

    def staged(self) -> list[WireRow]:
        found = self.run("SELECT entity, id, fields, stamp, stamps FROM staging")
        return [wire(*each) for each in found]

    def staged_row(self, key: Key) -> Row | None:
        found = self.run(
            "SELECT fields, stamp, stamps FROM staging WHERE entity = ? AND id = ?", *key
        ).fetchone()
        return None if found is None else row(*key, *found)

    def staged_among(self, keys: Iterable[Key]) -> list[Row]:
        found = self.run(
            "SELECT s.entity, s.id, s.fields, s.stamp, s.stamps FROM json_each(?) wanted"
            " JOIN staging s ON s.entity = json_extract(wanted.value, '$[0]')"
            " AND s.id = json_extract(wanted.value, '$[1]')",
            to_json(list(keys)).decode(),
        )
        return [row(*each) for each in found]

    def staged_keys(self) -> list[Key]:
        return self.run("SELECT entity, id FROM staging").fetchall()

    def take_new_from_staging(self) -> list[WireRow]:
        """Move staged rows without a base row into the base; returns the others.

        Most of a first load goes this way, and never leaves SQLite.
        """
        self.run(
            "INSERT OR IGNORE INTO base (entity, id, fields, stamp, stamps)"
            " SELECT entity, id, fields, stamp, stamps FROM staging s WHERE NOT EXISTS"
            " (SELECT 1 FROM base b WHERE b.entity = s.entity AND b.id = s.id)"
        )
        found = self.run(
            "SELECT s.entity, s.id, s.fields, s.stamp, s.stamps FROM staging s"
            " JOIN base b ON b.entity = s.entity AND b.id = s.id"
            " WHERE (s.fields, s.stamp, s.stamps) IS NOT (b.fields, b.stamp, b.stamps)"
            " OR b.is_kept"
        )
        return [wire(*each) for each in found]

    def differing_from_staging(self) -> list[tuple[Row, Row | None]]:
        """Base rows that the staged snapshot lacks or holds otherwise, with its version.

        Kept rows, too: what was compacted is older than any horizon that would take it back.
        """
        found = self.run(
            "SELECT b.entity, b.id, b.fields, b.stamp, b.stamps, s.fields, s.stamp, s.stamps"
            " FROM base b LEFT JOIN staging s ON b.entity = s.entity AND b.id = s.id"
            " WHERE s.id IS NULL"
            " OR (s.fields, s.stamp, s.stamps) IS NOT (b.fields, b.stamp, b.stamps)"
        )
        return [
            (
                row(*each[:5]),
                None if each[5] is None else row(each[0], each[1], *each[5:]),
            )
            for each in found
        ]

    def replace_base_by_staging(self) -> None:
        """The snapshot is the base now. Rows with entries of ours that it lacks are kept."""
        self.run(
            "DELETE FROM base WHERE NOT EXISTS"
            " (SELECT 1 FROM outbox o WHERE o.entity = base.entity AND o.id = base.id)"
        )
        self.run("UPDATE base SET is_kept = 1, revived_at = 0")
        self.run(
            "REPLACE INTO base (entity, id, fields, stamp, stamps)"
            " SELECT entity, id, fields, stamp, stamps FROM staging"
        )

    def empty_staging(self) -> None:
        self.run("DELETE FROM staging")

    # --- conflicts that nobody wants to see any more -------------------------------------

    def dismiss(self, conflict_id: str) -> None:
        self.run("INSERT OR IGNORE INTO dismissed (id) VALUES (?)", conflict_id)

    def forget_dismissed(self) -> None:
        """Of conflicts that are gone."""
        self.run(
            "DELETE FROM dismissed WHERE id NOT IN (SELECT id FROM base WHERE entity = 'conflict')"
        )

    def dismissed(self) -> set[str]:
        return {each[0] for each in self.run("SELECT id FROM dismissed")}
