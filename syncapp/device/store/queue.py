"""The durable queue of the device's own changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from syncapp.core.merge import merge
from syncapp.core.messages import wire_to_row
from syncapp.core.outbox import Entry, State

from .heal import HealList
from .packing import Key, entry, entry_values, to_json


class Queue(HealList):
    def _entries(self, statement: str, *parameters: Any) -> list[Entry]:
        return [entry(*each) for each in self.run(statement, *parameters)]

    def entry(self, local: int) -> Entry | None:
        return next(iter(self._entries("SELECT * FROM outbox WHERE local = ?", local)), None)

    def entries_of(self, key: Key) -> list[Entry]:
        """Those of a row that lie over its base: open, parked or being healed; in order."""
        return self._entries(
            "SELECT * FROM outbox WHERE entity = ? AND id = ? AND state <> 'refused'"
            " ORDER BY local",
            *key,
        )

    def entries_over(self, entity: str) -> list[Entry]:
        """`entries_of` every row of an entity."""
        return self._entries(
            "SELECT * FROM outbox WHERE entity = ? AND state <> 'refused' ORDER BY local", entity
        )

    def spoken_of(self) -> set[Key]:
        """The rows that have an entry, in whatever state."""
        return set(self.run("SELECT DISTINCT entity, id FROM outbox"))

    def entries_in(self, state: State) -> list[Entry]:
        return self._entries("SELECT * FROM outbox WHERE state = ? ORDER BY local", state)

    def entries_to_send(self, limit: int) -> list[Entry]:
        """Open entries: first those that have a number, in its order, then as queued."""
        return self._entries(
            "SELECT * FROM outbox WHERE state = 'open'"
            " ORDER BY number IS NULL, number, local LIMIT ?",
            limit,
        )

    def entries_never_sent(self, after_stamp: str) -> list[Entry]:
        """Those that carry a later stamp than this, in queue order."""
        return self._entries(
            "SELECT * FROM outbox WHERE stamp > ? AND number IS NULL AND NOT was_sent"
            " AND state = 'open' ORDER BY local",
            after_stamp,
        )

    def entries_numbered(self, numbers: Iterable[int]) -> dict[int, Entry]:
        found = self._entries(
            "SELECT * FROM outbox WHERE number IN (SELECT value FROM json_each(?))",
            to_json(list(numbers)).decode(),
        )
        return {each.number: each for each in found if each.number is not None}

    def add_entry(self, entry: Entry) -> int:
        """Queue an entry; returns its place (`local`)."""
        added = self.run(
            "INSERT INTO outbox VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *entry_values(entry),
        )
        return int(added.lastrowid or 0)

    def put_entry(self, entry: Entry) -> None:
        self.run(
            "REPLACE INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            entry.local,
            *entry_values(entry),
        )

    def delete_entries(self, locals_: Iterable[int]) -> None:
        self.run_many("DELETE FROM outbox WHERE local = ?", [(each,) for each in locals_])

    def put_numbers(self, numbers: Mapping[int, int]) -> None:
        """numbers: by local."""
        self.run_many(
            "UPDATE outbox SET number = ?, was_sent = 1 WHERE local = ?",
            [(number, local) for local, number in numbers.items()],
        )

    def put_stamps(self, stamps: Mapping[int, str]) -> None:
        """stamps: by local."""
        self.run_many(
            "UPDATE outbox SET stamp = ? WHERE local = ?",
            [(stamp, local) for local, stamp in stamps.items()],
        )

    def has_changes(self) -> bool:
        return bool(
            self.run("SELECT EXISTS (SELECT 1 FROM outbox WHERE state = 'open')").fetchone()[0]
        )

    def counts(self) -> dict[str, int]:
        """How many entries there are in each state."""
        return dict(self.run("SELECT state, count(*) FROM outbox GROUP BY state").fetchall())

    def lose_numbers(self) -> None:
        """Under a new identity they are to be given again, from 1."""
        self.run("UPDATE outbox SET number = NULL")

    def open_parked(self) -> bool:
        """The server has learned something: parked entries and rows are sent again.

        Returns True if there are rows among them.
        """
        self.run(
            "UPDATE outbox SET state = 'open', code = '', field = '', message = ''"
            " WHERE state = 'parked'"
        )
        parked = self.heal_rows(is_parked=True)
        for each in parked:
            key = each.wire.entity, each.wire.id
            self.put_heal([merge(self.heal_row(key), wire_to_row(each.wire))])
        self.delete_heal([each.version for each in parked])
        return bool(parked)

    def reopen_healing(self) -> None:
        """Edits that were on their way as whole rows are to be sent as changes again."""
        self.run("UPDATE outbox SET state = 'open' WHERE state = 'healing'")

    def nodes_in_use(self) -> set[str]:
        """The nodes in the stamps of what is still to be sent."""
        return {each[0] for each in self.run("SELECT DISTINCT substr(stamp, 19) FROM outbox")}

    def oldest_made_ms(self) -> int | None:
        found = self.run("SELECT min(made_ms) FROM outbox WHERE state IN ('open', 'healing')")
        oldest: int | None = found.fetchone()[0]
        return oldest

    def least_open_number(self) -> int | None:
        least: int | None = self.run("SELECT min(number) FROM outbox").fetchone()[0]
        return least
