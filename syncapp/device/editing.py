"""What a person does: one write path, online or offline.

The row (as base with the queue over it) and the queue are one thing, so an edit is one
entry in one transaction: it is stored whole, with its stamp, or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncapp.core.change import Row, canonical_text
from syncapp.core.messages import ChangeKind
from syncapp.core.outbox import Entry, fold, is_here, newest_of, overlay, seen_for

from .errors import NotAllowed, RowExists, RowMissing
from .ground import Ground
from .specs import check_size, checked
from .store import Key


class Editing(Ground):
    def create(self, entity: str, fields: Mapping[str, Any], row_id: str | None = None) -> str:
        """Queue a new row; returns its id. Over a tombstone's id it brings the row back.

        Raises ValueRefused, NotAllowed, RowExists, StoreError; then nothing is stored.
        """
        row_id = row_id or self.new_id()
        with self.store.transaction():
            if is_here(self.row(entity, row_id)):
                raise RowExists(f"There is a row {row_id} already. Edit it instead.")
            values = checked(self.entities, entity, fields, is_create=True)
            self._queue((entity, row_id), "create", values)
        return row_id

    def edit(
        self,
        entity: str,
        row_id: str,
        fields: Mapping[str, Any],
        *,
        shown: Mapping[str, str] | None = None,
        revives: bool = False,
    ) -> bool:
        """Queue new values of a row. Returns False if they are what the row shows already.

        shown: the stamps of the row when its person began to edit, if that was not now.
        revives: a deleted row comes back with the edit. Raises like `create`, or RowMissing.
        """
        with self.store.transaction():
            row = self.row(entity, row_id)
            if row is None or not (revives or row.is_here):
                raise RowMissing(f"There is no such {entity} on this device: {row_id}.")
            values = checked(self.entities, entity, fields, is_create=False)
            values = {name: value for name, value in values.items() if not _has(row, name, value)}
            if not values and row.is_here:
                return False
            self._queue((entity, row_id), "edit", values, shown)
            return True

    def delete(self, entity: str, row_id: str, *, shown: Mapping[str, str] | None = None) -> None:
        """Queue the deletion of a row. Rows that refer to it are left as they are."""
        with self.store.transaction():
            if not is_here(self.row(entity, row_id)):
                raise RowMissing(f"There is no such {entity} on this device: {row_id}.")
            checked(self.entities, entity, {}, is_create=False)
            self._queue((entity, row_id), "delete", {}, shown)

    def _queue(
        self,
        key: Key,
        kind: ChangeKind,
        fields: Mapping[str, Any],
        shown: Mapping[str, str] | None = None,
        seen: Mapping[str, str] | None = None,
    ) -> None:
        """Stamp and queue one change, inside the caller's transaction.

        seen: what the author was shown, where that is known already; it goes before `shown`.
        """
        meta = self.meta
        if meta.role == "viewer":
            raise NotAllowed("You may read this household, but not change it.")
        base, entries = self._ground_row(key), self.store.entries_of(key)
        row = overlay(base, entries)
        check_size({**(row.fields if row else {}), **fields})
        clock, now_ms = self.clock(meta), self.corrected_ms(meta)
        entry = Entry(
            local=0,
            entity=key[0],
            row_id=key[1],
            kind=kind,
            stamp=clock.tick(now_ms, newest_of(base, entries)),
            fields=dict(fields),
            made_ms=max(now_ms, 0),
        )
        entry.seen = {**seen_for(base, entries, entry.written, shown), **(seen or {})}
        folded = fold(entries, entry)
        self.store.delete_entries(each.local for each in folded.gone)
        self.store.add_entry(folded.entry)
        meta.clock = clock.last
        self.store.put_meta(meta)
        self.changed.add(key)


def _has(row: Row, name: str, value: Any) -> bool:
    return name in row.stamps and canonical_text(row.fields.get(name)) == canonical_text(value)
