"""A household in memory: exactly what the engine asks of a repository, without a database.

The simulation and the reference device's tests run the real engine on it. A transaction
undoes everything on an exception, as PostgreSQL would; there is one writer at a time, so
the head's lock is only checked for having been taken.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from syncapp.core.change import EXISTS, Row
from syncapp.core.clock import SERVER_NODE, next_stamp
from syncapp.core.cursor import Position
from syncapp.core.entity import Entity
from syncapp.core.messages import BATCH_MAX_BYTES, row_to_wire
from syncapp.core.records import Conflict, Device, Head, Located, NodeOwner, StoredFate

CONFLICT = "conflict"
_ABSENT = object()


@dataclass(slots=True)
class _Transaction:
    fingerprint: str
    device_id: str | None
    at_ms: int


@dataclass(slots=True)
class _Tables:
    """What a dump of the household's schema would hold. Stored records are never mutated."""

    head: Head
    rows: dict[tuple[str, str], Located] = field(default_factory=dict)
    conflicts: dict[str, tuple[int, Conflict]] = field(default_factory=dict)
    transactions: dict[int, _Transaction] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    fates: dict[tuple[str, str], StoredFate] = field(default_factory=dict)
    fates_at_ms: dict[tuple[str, str], int] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)  # role by user id

    def copy(self) -> _Tables:
        return _Tables(
            replace(self.head),
            dict(self.rows),
            dict(self.conflicts),
            dict(self.transactions),
            dict(self.devices),
            dict(self.fates),
            dict(self.fates_at_ms),
            dict(self.members),
        )


class MemoryRepository:
    """One household. Implements `syncapp.core.repository.Repository`.

    Call the engine inside `transaction()`; reads need none. `before_commit`, when set, is
    called at the end of every transaction: a test raises in it to fail the commit.
    """

    def __init__(
        self,
        entities: Mapping[str, Entity],
        owner_id: str,
        *,
        epoch: str | None = None,
        token: Callable[[int], str] = secrets.token_hex,
        now_ms: int = 1_700_000_000_000,
    ) -> None:
        """token: makes n random bytes as hex; a simulation passes its seeded one.
        now_ms: when the household is made."""
        self.entities = entities
        self.token = token
        self.before_commit: Callable[[], None] | None = None
        fingerprint = token(8)
        self._tables = _Tables(
            Head(epoch or token(16), 0, fingerprint),
            members={owner_id: "owner"},
            # A cursor may be anchored in the empty household.
            transactions={0: _Transaction(fingerprint, None, now_ms)},
        )
        # What to put back, newest last: (table, key, earlier value). None outside a transaction.
        self._undo: list[tuple[dict[Any, Any], Any, Any]] | None = None
        self._is_locked = False

    # --- transactions ------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[MemoryRepository]:
        """All or nothing: an exception puts every table back as it was."""
        if self._undo is not None:
            raise RuntimeError("one transaction at a time")
        undo = self._undo = []
        head = replace(self._tables.head)
        try:
            yield self
            if self.before_commit is not None:
                self.before_commit()
        except BaseException:
            for table, key, value in reversed(undo):
                if value is _ABSENT:
                    table.pop(key, None)
                else:
                    table[key] = value
            self._tables.head = head
            raise
        finally:
            self._undo = None
            self._is_locked = False

    def _set(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        if self._undo is None:
            raise RuntimeError("writes need a transaction")
        self._undo.append((table, key, table.get(key, _ABSENT)))
        if value is _ABSENT:
            table.pop(key, None)
        else:
            table[key] = value

    def _needs_lock(self) -> None:
        if not self._is_locked:
            raise RuntimeError("the head is locked before any row is read or written")

    # --- Repository --------------------------------------------------------------------

    def lock_head(self) -> Head:
        if self._undo is None:
            raise RuntimeError("a lock lasts as long as its transaction: there is none")
        self._is_locked = True
        return replace(self._tables.head)

    def read_head(self) -> Head:
        return replace(self._tables.head)

    def fingerprint_of(self, seq: int) -> str | None:
        found = self._tables.transactions.get(seq)
        return found.fingerprint if found else None

    def visitor(self, device_id: str, user_id: str) -> tuple[Device | None, str | None]:
        device = self._tables.devices.get(device_id)
        return deepcopy(device), self._tables.members.get(user_id)

    def fates(self, device_id: str, keys: Sequence[str]) -> dict[str, StoredFate]:
        stored = self._tables.fates
        return {key: stored[device_id, key] for key in keys if (device_id, key) in stored}

    def owners_of(self, nodes: Iterable[str]) -> dict[str, NodeOwner]:
        wanted = set(nodes)
        owners: dict[str, NodeOwner] = {}
        for device in self._tables.devices.values():
            owner = NodeOwner(device.id, device.user_id, device.name)
            for node in wanted.intersection(device.former_nodes):
                owners.setdefault(node, owner)
        for device in self._tables.devices.values():  # who has a node now goes before
            if device.node in wanted:
                owners[device.node] = NodeOwner(device.id, device.user_id, device.name)
        return owners

    def rows(self, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Row]:
        self._needs_lock()
        stored = self._tables.rows
        return {key: stored[key].row.copy() for key in wanted if key in stored}

    def page(self, after: Position, limit: int) -> tuple[list[Located], bool]:
        tables = self._tables
        places = [
            Position(located.seq, *key)
            for key, located in tables.rows.items()
            if located.seq >= after.seq
        ]
        places += [
            Position(seq, CONFLICT, conflict_id)
            for conflict_id, (seq, _) in tables.conflicts.items()
            if seq >= after.seq
        ]
        places = sorted(place for place in places if place > after)
        found: list[Located] = []
        size = 0
        for place in places[:limit]:
            row = self._row_at(place)
            size += len(msgspec.json.encode(row_to_wire(row)))
            if found and size > BATCH_MAX_BYTES:
                break
            found.append(Located(place.seq, row))
        return found, len(found) < len(places)

    def _row_at(self, place: Position) -> Row:
        if place.entity == CONFLICT:
            return conflict_to_row(self._tables.conflicts[place.id][1])
        return self._tables.rows[place.entity, place.id].row.copy()

    def new_conflicts(self, conflicts: Sequence[Conflict]) -> list[Conflict]:
        return [each for each in conflicts if each.id not in self._tables.conflicts]

    def write(
        self,
        head: Head,
        now_ms: int,
        *,
        is_new_seq: bool = False,
        rows: Sequence[Row] = (),
        conflicts: Sequence[Conflict] = (),
        device: Device | None = None,
        fates: Sequence[StoredFate] = (),
    ) -> None:
        self._needs_lock()
        tables = self._tables
        if (rows or conflicts) and not is_new_seq:
            raise RuntimeError("rows are written under a seq of their own")
        if is_new_seq:
            done_by = device.id if device else None
            self._set(
                tables.transactions, head.seq, _Transaction(head.fingerprint, done_by, now_ms)
            )
        for row in rows:
            self._set(tables.rows, (row.entity, row.id), Located(head.seq, row.copy()))
        for conflict in conflicts:
            self._set(tables.conflicts, conflict.id, (head.seq, conflict))
        if device is not None:
            self._set(tables.devices, device.id, deepcopy(device))
            for fate in fates:
                self._set(tables.fates, (device.id, fate.key), fate)
                self._set(tables.fates_at_ms, (device.id, fate.key), now_ms)
            settled = [
                key
                for key, fate in tables.fates.items()
                if key[0] == device.id and 0 < fate.number <= device.acknowledged
            ]
            for key in settled:
                self._set(tables.fates, key, _ABSENT)
        tables.head = replace(head)

    def count_devices(self) -> int:
        return len(self._tables.devices)

    def forget_stalest_device(self) -> None:
        devices = self._tables.devices.values()
        self.forget_device(min(devices, key=lambda each: (each.last_seen_ms, each.id)).id)

    def forget_device(self, device_id: str) -> bool:
        is_known = device_id in self._tables.devices
        for key in [key for key in self._tables.fates if key[0] == device_id]:
            self._set(self._tables.fates, key, _ABSENT)
        self._set(self._tables.devices, device_id, _ABSENT)
        return is_known

    def compact(self, before_stamp: str, up_to_seq: int) -> tuple[int, str, int]:
        self._needs_lock()
        gone = [
            (key, located)
            for key, located in self._tables.rows.items()
            if not located.row.is_here
            and located.seq <= up_to_seq
            and located.row.newest_stamp < before_stamp
        ]
        for key, _ in gone:
            self._set(self._tables.rows, key, _ABSENT)
        newest_stamp = max((each.row.newest_stamp for _, each in gone), default="")
        return len(gone), newest_stamp, max((each.seq for _, each in gone), default=0)

    def least_read_seq(self, seen_since_ms: int) -> int | None:
        # A device that still has to heal the server holds everything back.
        read = [
            0 if device.is_healing else device.read_seq
            for device in self._tables.devices.values()
            if device.last_seen_ms >= seen_since_ms and not device.is_revoked
        ]
        return min(read, default=None)

    def prune(self, before_ms: int) -> None:
        tables = self._tables
        # By the age of the one that followed, as in PostgreSQL.
        old = [
            seq
            for seq in tables.transactions
            if seq + 1 in tables.transactions and tables.transactions[seq + 1].at_ms < before_ms
        ]
        for seq in old:
            self._set(tables.transactions, seq, _ABSENT)
        for key in [key for key, (_, each) in tables.conflicts.items() if each.at_ms < before_ms]:
            self._set(tables.conflicts, key, _ABSENT)
        for key, fate in [*tables.fates.items()]:
            if fate.number == 0 and tables.fates_at_ms[key] < before_ms:  # of a dialect
                self._set(tables.fates, key, _ABSENT)

    # --- what a test or the simulation does to the household ------------------------------

    def set_role(self, user_id: str, role: str | None) -> None:
        """role None ends the membership."""
        with self.transaction():
            self._set(self._tables.members, user_id, _ABSENT if role is None else role)

    def revoke(self, device_id: str) -> None:
        with self.transaction():
            device = replace(self._tables.devices[device_id], is_revoked=True)
            self._set(self._tables.devices, device_id, device)

    def write_by_hand(
        self, entity: str, row_id: str, now_ms: int, fields: Mapping[str, Any] | None
    ) -> int | None:
        """INSERT, UPDATE or (fields None) DELETE as psql would, and what the triggers do.

        Returns the seq, or None if nothing changed. An UPDATE leaves existence alone.
        """
        with self.transaction():
            head = self.lock_head()
            located = self._tables.rows.get((entity, row_id))
            if fields is None:
                if located is None or not located.row.is_here:
                    return None
                written: dict[str, Any] = {EXISTS: False}
            elif located is None or not located.row.is_here:
                written = {**self._defaults(entity), **fields, EXISTS: True}
            else:
                # What nobody has written yet lies in its column as the default.
                stored = {**self._defaults(entity), **located.row.fields}
                written = {name: value for name, value in fields.items() if stored[name] != value}
                if not written:
                    return None
            row = located.row.copy() if located else Row(entity, row_id)
            head.stamp = next_stamp(head.stamp, now_ms, SERVER_NODE)
            row.fields.update(written)
            row.stamps.update(dict.fromkeys(written, head.stamp))
            head.seq += 1
            head.fingerprint = self.token(8)
            self.write(head, now_ms, is_new_seq=True, rows=[row])
            return head.seq

    def _defaults(self, entity: str) -> dict[str, Any]:
        return {each.name: each.default for each in self.entities[entity].fields.values()}

    def new_epoch(self) -> None:
        """What an operator does to force a reset on every device."""
        with self.transaction():
            self._tables.head = replace(self._tables.head, epoch=self.token(16))

    def import_rows(self, backup: object, now_ms: int) -> None:
        """As `syncapp.portable` does it: the rows of an export, and a new epoch."""
        assert isinstance(backup, _Tables)
        with self.transaction():
            head = self.lock_head()
            tables = self._tables
            for table in (tables.rows, tables.conflicts, tables.fates, tables.transactions):
                for key in list(table):
                    self._set(table, key, _ABSENT)
            for device in list(tables.devices.values()):
                started = replace(device, read_seq=0, is_healing=False)
                self._set(tables.devices, device.id, started)
            head.epoch, head.fingerprint = self.token(16), self.token(8)
            head.seq += 1
            head.horizon = max(head.horizon, backup.head.horizon)
            rows = [located.row for located in backup.rows.values()]
            head.stamp = max([head.stamp, head.horizon, *(row.newest_stamp for row in rows)])
            self.write(head, now_ms, is_new_seq=True, rows=rows)

    def dump(self) -> object:
        """A backup for `restore`."""
        return self._tables.copy()

    def restore(self, backup: object) -> None:
        assert isinstance(backup, _Tables)
        self._tables = backup.copy()

    def all_rows(self) -> dict[tuple[str, str], Row]:
        """Every row, tombstones included: what all replicas should end as."""
        return {key: located.row.copy() for key, located in self._tables.rows.items()}

    def all_conflicts(self) -> list[Conflict]:
        return [conflict for _, conflict in self._tables.conflicts.values()]

    def device(self, device_id: str) -> Device | None:
        return deepcopy(self._tables.devices.get(device_id))


def conflict_to_row(conflict: Conflict) -> Row:
    """How a conflict travels: a row of the read-only entity `conflict`."""
    fields = {
        "rowEntity": conflict.entity,
        "rowId": conflict.row_id,
        "field": conflict.field,
        "winningValue": conflict.winning_value,
        "winningStamp": conflict.winning_stamp,
        "winningDevice": conflict.winning_device,
        "winningUser": conflict.winning_user,
        "losingValue": conflict.losing_value,
        "losingStamp": conflict.losing_stamp,
        "losingDevice": conflict.losing_device,
        "losingUser": conflict.losing_user,
        "atMs": conflict.at_ms,
        EXISTS: True,
    }
    return Row(CONFLICT, conflict.id, fields, dict.fromkeys(fields, conflict.winning_stamp))
