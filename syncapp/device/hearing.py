"""What the server says, and what it does to the store: each frame one transaction.

After a crash at any step the frame counts as not heard, and comes again: a page because the
cursor has not moved, an answer because its number is still open.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from syncapp.core.change import EXISTS, Row
from syncapp.core.clock import NO_STAMP, newest
from syncapp.core.merge import merge
from syncapp.core.messages import (
    Ack,
    Changes,
    RefusedRow,
    Result,
    Welcome,
    WireRow,
    wire_to_row,
)
from syncapp.core.outbox import (
    Entry,
    lower,
    newest_of,
    restamp_ahead,
    restamp_behind,
    settle,
)

from .ground import CONFLICT, Ground
from .store import Key, Meta
from .timekeeping import add_sample, offset_of

CONFLICT_DAYS_MS = 90 * 24 * 3600 * 1000
FORMER_NODES_MAX = 32  # what a hello may carry


class Hearing(Ground):
    # Of this connection only: what was sent last, and when by the wall clock.
    _rows_in_flight: tuple[frozenset[int], bool] | None = None  # versions; whether the last
    _hello_sent_ms: int = 0
    _ping_sent_ms: int = 0
    _new_numbers: frozenset[int] = frozenset()  # given in this connection

    # --- welcome -----------------------------------------------------------------------

    def on_welcome(self, welcome: Welcome) -> bool:
        """Take in who is there and what time it is. Returns True if the identity is taken:
        this device has another one now, and connects again."""
        with self.store.transaction():
            meta = self.meta
            if welcome.identity == "taken":
                self._take_new_identity(meta)
                return True
            self._hear_time(meta, welcome.time_ms, self._hello_sent_ms)
            self.limits = welcome.limits
            meta.household_name = None  # a server has acknowledged it
            meta.role = welcome.role
            if welcome.version != meta.version:
                self.store.put_note("entities", welcome.entities)
                meta.version = welcome.version
                self.store.open_parked()
            if welcome.reset is not None:
                self._note_reset(meta, welcome.reset)
            self._lower_clock(meta)
            self._forget_old_conflicts(meta)
            self.store.put_meta(meta)
        return False

    def on_time(self, server_ms: int) -> None:
        """The server's time in a pong."""
        with self.store.transaction():
            meta = self.meta
            self._hear_time(meta, server_ms, self._ping_sent_ms)
            self.store.put_meta(meta)

    def _hear_time(self, meta: Meta, server_ms: int, sent_ms: int) -> None:
        meta.offset_samples = add_sample(meta.offset_samples, server_ms, sent_ms, self.wall_ms())
        meta.offset_ms = offset_of(meta.offset_samples)

    def _lower_clock(self, meta: Meta) -> None:
        """What was typed under a clock that ran ahead comes down to corrected time."""
        clock, now_ms = self.clock(meta), max(self.corrected_ms(meta), 0)
        lower(clock, now_ms)
        ahead = self.store.entries_never_sent(after_stamp=f"{now_ms:012x}-ffff-{'f' * 16}")
        floors = {}
        for key in {each.key for each in ahead}:
            sent = [each for each in self.store.entries_of(key) if not each.was_never_sent]
            floors[key] = newest_of(self._ground_row(key), sent)
        self.store.put_stamps(restamp_ahead(ahead, floors, now_ms, clock))
        meta.clock = clock.last

    def _note_reset(self, meta: Meta, reason: str) -> None:
        """Durably, before anything else: hello repeats it until the snapshot is complete."""
        if meta.reset == "restored" and reason == "horizon":
            reason = "restored"  # a second reset must not make this device forget to heal
        meta.reset = reason
        meta.cursor, meta.read_seq, meta.is_walking = None, 0, True
        self.store.empty_staging()

    def _take_new_identity(self, meta: Meta) -> None:
        """This store is a copy of another device's, or was restored: become a device of its own.

        What is open keeps its stamps, loses its numbers, and gets new ones at sending.
        """
        former = [each for each in meta.former_nodes if each != meta.node]
        needed = self.store.nodes_in_use()
        # A hello carries 32; those that stamps of open entries name must be among them.
        former.sort(key=lambda node: node in needed)
        meta.former_nodes = [*former, meta.node][-FORMER_NODES_MAX:]
        meta.device, meta.node, meta.next_number = self.new_id(), self._new_node(), 1
        self.store.lose_numbers()
        self.store.put_meta(meta)

    def move_household(self) -> bool:
        """The household's UUID is taken by somebody else's: move it, whole, to a fresh one.

        Only while no server has acknowledged it. Returns whether it moved.
        """
        with self.store.transaction():
            meta = self.meta
            if meta.household_name is None:
                return False
            meta.household = self.new_id()
            self.store.put_meta(meta)
            return True

    def _forget_old_conflicts(self, meta: Meta) -> None:
        before_ms = self.corrected_ms(meta) - CONFLICT_DAYS_MS
        old = [
            (CONFLICT, row.id)
            for row in self.store.base_rows(CONFLICT)
            if int(row.fields.get("atMs") or 0) < before_ms
        ]
        self.store.delete_base(old)
        self.store.forget_dismissed()

    # --- changes -----------------------------------------------------------------------

    def on_changes(self, frame: Changes) -> Literal["stored", "gap", "known"]:
        """Store a page and the cursor behind it; a gap or a page known already is not stored.

        A walk of several pages lies in the staging until it is complete.
        """
        with self.store.transaction():
            meta = self.meta
            if frame.start > meta.read_seq:
                return "gap"
            if frame.to < meta.read_seq:
                return "known"  # from another program that uses this store
            if not frame.rows and not meta.is_walking and frame.cursor == meta.cursor:
                return "stored"  # nothing new, nothing written
            self.received += len(frame.rows)
            if frame.more or meta.is_walking:
                self.store.stage(frame.rows)
            else:
                self._take_into_base(frame.rows)
                self.changed.update((row.entity, row.id) for row in frame.rows)
            clock = self.clock(meta)
            clock.observe(_stamps_of(frame.rows))
            meta.clock = clock.last
            meta.cursor, meta.read_seq = frame.cursor, frame.to
            if meta.is_walking and not frame.more:
                self._finish_walk(meta)
            meta.is_walking = frame.more
            self.store.put_meta(meta)
            return "stored"

    def _take_into_base(self, rows: Iterable[WireRow]) -> None:
        """Merge rows of the server into the base."""
        merged: list[Row | WireRow] = []
        for wire in rows:
            base = self.store.base_row((wire.entity, wire.id))
            merged.append(wire if base is None else _decided(base, wire_to_row(wire)))
        self.store.put_base(merged)

    def _finish_walk(self, meta: Meta) -> None:
        """The last page is staged: the whole walk becomes the base, in this transaction."""
        self.changed.update(self.store.staged_keys())
        if meta.reset is None:
            self._take_into_base(self.store.take_new_from_staging())
        else:
            self._finish_reset(meta)
        self.store.empty_staging()

    def _finish_reset(self, meta: Meta) -> None:
        """The snapshot replaces the base; after a restore, what it lacks is to be healed."""
        differing = self.store.differing_from_staging()
        self.changed.update((old.entity, old.id) for old, _ in differing)
        if meta.reset == "restored" and meta.role != "viewer":
            for old, snapshot in differing:
                if EXISTS not in old.stamps:
                    # Only its own edits are known here; each of them wrote "here".
                    old.fields[EXISTS], old.stamps[EXISTS] = True, old.newest_stamp
                merged = merge(snapshot, old)
                if merged != snapshot and not self._is_read_only(old.entity):
                    waiting = self.store.heal_row((old.entity, old.id))
                    self.store.put_heal([merge(waiting, merged)])
            meta.is_heal_open = True
        elif meta.reset == "operator":
            # Only the queue is sent into the new life of the household.
            self.store.empty_heal()
            self.store.reopen_healing()
            meta.is_heal_open = False
        self.store.replace_base_by_staging()
        self.store.release_kept()
        meta.reset = None

    def _is_read_only(self, entity: str) -> bool:
        spec = self.entities.get(entity)
        return entity == CONFLICT or (spec is not None and spec.is_read_only)

    # --- ack ---------------------------------------------------------------------------

    def on_ack(self, ack: Ack) -> bool:
        """Settle what was answered. Returns True if the answer shows that this device is a
        copy of another: it has a new identity now, and connects again."""
        if ack.of == "rows":
            self._settle_rows(ack)
            return False
        with self.store.transaction():
            meta = self.meta
            entries = self.store.entries_numbered(each.number for each in ack.results)
            used: set[int] = set()  # entries whose number somebody else has used
            effective: dict[Key, str] = {}
            for result in ack.results:
                entry = entries.get(result.number)
                if entry is None or entry.state != "open":
                    continue  # settled before
                if result.fate == "settled":  # there, but open here
                    used.add(entry.local)
                    continue
                stamp = self._settle(entry, result)
                if stamp > entry.stamp:
                    effective[entry.key] = max(stamp, effective.get(entry.key, NO_STAMP))
                self.sent += 1
            self._restamp_followers(meta, effective, used)
            self.store.release_kept()
            if used:
                self._take_new_identity(meta)
            else:
                self.store.put_meta(meta)
            return bool(used)

    def _settle(self, entry: Entry, result: Result) -> str:
        """Take one answer in. Returns the stamp under which the server has the change."""
        settled = settle(entry, result, self._ground_row(entry.key))
        if settled.won is not None:
            self._take_won(entry, settled.won, is_new=result.number in self._new_numbers)
        if settled.healing is not None:
            self.store.put_heal([settled.healing])
        if settled.remains is not None:
            self.store.put_entry(settled.remains)
        else:
            self.store.delete_entries([entry.local])
        self.changed.add(entry.key)
        return settled.effective

    def _take_won(self, entry: Entry, won: Row, *, is_new: bool) -> None:
        """Merge what the server took of an entry into the base, so that it goes on showing.

        is_new: the server has it since this moment. An answer that may be a repeated one
        makes no row: the row may be deleted and compacted since, and what the server still
        has was pulled before, or comes with the next page. Until then the row is only kept
        for the entries that follow, so that they are never brought down to before it.
        """
        base = self.store.base_row(entry.key)
        if base is None:
            if is_new:
                self.store.put_base([won])
            else:
                self.store.keep(_accepted(self.store.base_or_kept_row(entry.key), won))
            return
        is_newer = won.stamps.get(EXISTS, NO_STAMP) > base.stamps.get(EXISTS, NO_STAMP)
        if not base.is_here and is_newer and entry.kind != "edit":
            # The tombstone may have been compacted, and the server's row be made anew by this
            # very entry. If it was not, the page tells what else is in it.
            base = None
        self.store.put_base([_accepted(base, won)])

    def _restamp_followers(self, meta: Meta, effective: dict[Key, str], used: set[int]) -> None:
        """What was typed after a change that the server re-stamped stays after it.

        used: those that were sent with it, and not heard because their number was used.
        """
        if not effective:
            return
        clock, now_ms = self.clock(meta), self.corrected_ms(meta)
        clock.observe(effective.values())
        for key, stamp in effective.items():
            followers = [
                each
                for each in self.store.entries_of(key)
                if each.state == "open" and (each.was_never_sent or each.local in used)
            ]
            self.store.put_stamps(restamp_behind(followers, stamp, now_ms, clock))
        meta.clock = clock.last

    def _settle_rows(self, ack: Ack) -> None:
        """The server has merged what `rows` brought, but for what it names."""
        if self._rows_in_flight is None:
            return
        versions, was_last = self._rows_in_flight
        self._rows_in_flight = None
        with self.store.transaction():
            refused: dict[Key, list[RefusedRow]] = {}
            for each in ack.refused_rows:
                refused.setdefault((each.entity, each.id), []).append(each)
            # A row that was written to meanwhile has another version, and is sent again.
            sent = [each for each in self.store.heal_rows() if each.version in versions]
            self.store.delete_heal(each.version for each in sent)
            for heal in sent:
                row = wire_to_row(heal.wire)
                self._settle_row(row, refused.get((row.entity, row.id), []))
                self.changed.add((row.entity, row.id))
            if was_last and not self.store.has_heal_rows():
                meta = self.meta
                meta.is_heal_open = False
                self.store.put_meta(meta)
            self.store.release_kept()

    def _settle_row(self, row: Row, refused: list[RefusedRow]) -> None:
        """One healed row; what of it was refused stays here, visible.

        What was taken comes back with a page: only that tells which stamps it has now.
        """
        key = (row.entity, row.id)
        waiting = [each for each in self.store.entries_of(key) if each.state == "healing"]
        lost = Row(*key)
        for each in refused:
            is_whole = each.field in ("", EXISTS)
            names = list(row.fields) if is_whole else [each.field]
            for name in names:
                if name in row.fields and not any(name in entry.written for entry in waiting):
                    lost.fields[name], lost.stamps[name] = row.fields[name], row.stamps[name]
            for entry in waiting:
                if is_whole or each.field in entry.fields:
                    entry.state = "parked" if each.code == "unknown" else "refused"
                    entry.code, entry.field, entry.message = each.code, each.field, each.message
                    self.store.put_entry(entry)
        if lost.fields:
            lost.fields[EXISTS], lost.stamps[EXISTS] = row.fields[EXISTS], row.stamps[EXISTS]
            self.store.park_heal(lost, refused[0].code, refused[0].message)
        self.store.delete_entries(each.local for each in waiting if each.state == "healing")


def _decided(base: Row, told: Row) -> Row:
    """The base after the server has told a row: newer stamps win, and at equal ones its word.

    (A value that this device had queued in another form than the server stored it would
    otherwise stay different here for ever.) A told row is whole: where this device knows a
    tombstone and the server a newer existence, the row may have been compacted and made anew
    with less in it, or with older values; then nothing of the tombstone remains.
    """
    if not base.is_here and told.stamps.get(EXISTS, NO_STAMP) > base.stamps.get(EXISTS, NO_STAMP):
        return told
    for name, stamp in told.stamps.items():
        if stamp >= base.stamps.get(name, NO_STAMP):
            base.fields[name] = told.fields.get(name)
            base.stamps[name] = stamp
    return base


def _accepted(base: Row | None, won: Row) -> Row:
    """The base with what the server took of a change, by stamp.

    At equal stamps the base stays: it was told by the server, perhaps in another form than
    the one that was typed here.
    """
    if base is None:
        return won
    for name, stamp in won.stamps.items():
        if stamp > base.stamps.get(name, NO_STAMP):
            base.fields[name] = won.fields[name]
            base.stamps[name] = stamp
    return base


def _stamps_of(rows: Iterable[WireRow]) -> list[str]:
    return [newest([row.stamp, *row.stamps.values()]) for row in rows]
