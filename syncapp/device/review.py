"""What needs a person: refusals, conflicts, and what the server does not know yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from syncapp.core.change import EXISTS, Row
from syncapp.core.clock import node_of
from syncapp.core.outbox import Entry, is_here

from .editing import Editing
from .errors import RowMissing
from .ground import CONFLICT
from .specs import checked
from .store import HealRow


@dataclass(frozen=True, slots=True)
class OpenConflict:
    """A value that was overruled by one whose author had not seen it.

    is_mine: the losing value was typed on this device.
    """

    id: str
    entity: str
    row_id: str
    field: str
    winning_value: Any
    losing_value: Any
    at_ms: int
    is_mine: bool


class Review(Editing):
    # --- refusals ------------------------------------------------------------------------

    def refused(self) -> list[Entry]:
        """Changes that the server could not accept, oldest first; each says why."""
        return self.store.entries_in("refused")

    def parked(self) -> list[Entry | HealRow]:
        """What waits for a newer server. It is sent again by itself."""
        return [*self.store.entries_in("parked"), *self.store.heal_rows(is_parked=True)]

    def discard(self, local: int) -> None:
        """Give up a refused or parked change; what the server decided shows."""
        with self.store.transaction():
            entry = self._undecided(local)
            self.store.delete_entries([entry.local])
            self.store.release_kept()
            self.changed.add(entry.key)

    def edit_again(self, local: int, fields: Mapping[str, Any] | None = None) -> None:
        """Queue a refused change anew, with other values for some of its fields.

        A refused create takes what was typed after it along. A row that the server does not
        have any more is brought back whole. Raises ValueRefused and the like; then the
        refused change stays as it is.
        """
        with self.store.transaction():
            entry = self._undecided(local)
            row = self.row(*entry.key)
            base = self.store.base_or_kept_row(entry.key)
            followers = [
                each
                for each in self.store.entries_in("refused")
                if each.key == entry.key and each.local > local and entry.kind == "create"
            ]
            # Not "what is shown now": its person may not have looked since.
            seen = entry.seen
            values = dict(entry.fields)
            for each in followers:
                values.update(each.fields)
            values.update(fields or {})
            self.store.delete_entries([local, *(each.local for each in followers)])
            if entry.kind == "delete":
                if is_here(row):
                    self._queue(entry.key, "delete", {}, seen=seen)
            elif is_here(row):
                checked_values = checked(self.entities, entry.entity, values, is_create=False)
                self._queue(entry.key, "edit", checked_values, seen=seen)
            else:
                whole = {name: value for name, value in _fields_of(base).items() if name != EXISTS}
                whole.update(values)
                checked_values = checked(self.entities, entry.entity, whole, is_create=True)
                self._queue(entry.key, "create", checked_values, seen=seen)
            self.store.release_kept()

    def _undecided(self, local: int) -> Entry:
        entry = self.store.entry(local)
        if entry is None or entry.state not in ("refused", "parked"):
            raise RowMissing(f"There is no refused change {local} on this device.")
        return entry

    # --- conflicts -----------------------------------------------------------------------

    def conflicts(self) -> list[OpenConflict]:
        """Those whose winning value still stands and that nobody has dismissed here."""
        meta, dismissed = self.meta, self.store.dismissed()
        nodes = self.own_nodes(meta)
        found = []
        for told in self.store.base_rows(CONFLICT):
            fields = told.fields
            if told.id in dismissed:
                continue
            row = self.row(str(fields.get("rowEntity")), str(fields.get("rowId")))
            name = str(fields.get("field"))
            if row is None or row.stamps.get(name) != fields.get("winningStamp"):
                continue
            if not row.is_here and name != EXISTS:
                continue  # a value of a row that nobody sees
            found.append(
                OpenConflict(
                    told.id,
                    row.entity,
                    row.id,
                    name,
                    fields.get("winningValue"),
                    fields.get("losingValue"),
                    int(fields.get("atMs") or 0),
                    node_of(str(fields.get("losingStamp"))) in nodes,
                )
            )
        return sorted(found, key=lambda each: (each.at_ms, each.id))

    def use_mine(self, conflict_id: str) -> None:
        """Take the overruled value after all: an ordinary new change."""
        with self.store.transaction():
            conflict = self._open_conflict(conflict_id)
            key = (conflict.entity, conflict.row_id)
            if conflict.field != EXISTS:
                self.edit(*key, {conflict.field: conflict.losing_value}, revives=True)
            elif conflict.losing_value:
                self.edit(*key, {}, revives=True)
            else:
                self.delete(*key)

    def dismiss(self, conflict_id: str) -> None:
        """Leave the winning value, and say no more about it on this device."""
        with self.store.transaction():
            self.store.dismiss(self._open_conflict(conflict_id).id)

    def _open_conflict(self, conflict_id: str) -> OpenConflict:
        for each in self.conflicts():
            if each.id == conflict_id:
                return each
        raise RowMissing(f"There is no open conflict {conflict_id} on this device.")


def _fields_of(row: Row | None) -> dict[str, Any]:
    return row.fields if row is not None else {}
