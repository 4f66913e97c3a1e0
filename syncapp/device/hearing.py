"""What the server says, and what it does to the store: each frame one transaction.

After a crash at any step the frame counts as not heard, and comes again: a page because the
cursor has not moved, an answer because its number is still open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from syncapp.core.change import EXISTS, Row
from syncapp.core.clock import NO_STAMP, newest
from syncapp.core.merge import merge
from syncapp.core.messages import Changes, Welcome, WireRow, wire_to_row
from syncapp.core.outbox import lower, newest_of, restamp_ahead

from .ground import CONFLICT
from .settling import Settling
from .store import Meta
from .timekeeping import add_sample, offset_of

CONFLICT_DAYS_MS = 90 * 24 * 3600 * 1000


class Hearing(Settling):
    # Of this connection only, by the wall clock.
    _hello_sent_ms: int = 0
    _ping_sent_ms: int = 0

    # --- welcome -----------------------------------------------------------------------

    def on_welcome(self, welcome: Welcome) -> bool:
        """Take in who is there and what time it is. Returns True if this device has to say
        hello again: the identity was taken, and it has another one now; or it heals after all."""
        with self.store.transaction():
            meta = self.meta
            if welcome.identity == "taken":
                self._take_new_identity(meta)
                return True
            self._hear_time(meta, welcome.time_ms, self._hello_sent_ms)
            self.limits = welcome.limits
            meta.household_name = None  # a server has acknowledged it
            meta.role = welcome.role
            heals_again = False
            if welcome.version != meta.version:
                self.store.put_note("entities", welcome.entities)
                meta.version = welcome.version
                # What was parked while this device healed keeps its stamps only if it heals again.
                heals_again = self.store.open_parked() and not meta.is_heal_open
                meta.is_heal_open |= heals_again
            if welcome.reset is not None:
                self._note_reset(meta, welcome.reset)
            self._lower_clock(meta)
            self._forget_old_conflicts(meta)
            self.store.put_meta(meta)
        return heals_again

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
        floors, lowered = {}, {each.local for each in ahead}
        for key in {each.key for each in ahead}:
            # Also never-sent ones that are not ahead: the order of a row's entries is kept.
            others = [each for each in self.store.entries_of(key) if each.local not in lowered]
            floors[key] = newest_of(self._ground_row(key), others)
        self.store.put_stamps(restamp_ahead(ahead, floors, now_ms, clock))
        meta.clock = clock.last

    def _note_reset(self, meta: Meta, reason: str) -> None:
        """Durably, before anything else: hello repeats it until the snapshot is complete."""
        if meta.reset == "restored" and reason == "horizon":
            reason = "restored"  # a second reset must not make this device forget to heal
        meta.reset = reason
        # Said until there is another: a household restored meanwhile could not be told without.
        meta.cursor_before = meta.cursor or meta.cursor_before
        meta.cursor, meta.read_seq, meta.is_walking = None, 0, True
        self.store.empty_staging()
        if reason != "horizon":
            meta.anchor = ""  # it has told, or is of a life that has ended
        if reason == "restored":
            self.store.heal_again()

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
                if meta.is_walking and meta.reset is None:
                    self._note_made_anew(frame.rows, frame.head)
                self.store.stage(frame.rows)
            else:
                self._take_into_base(frame.rows, frame.head)
                self.changed.update((row.entity, row.id) for row in frame.rows)
            clock = self.clock(meta)
            clock.observe(_stamps_of(frame.rows))
            meta.clock = clock.last
            meta.cursor, meta.read_seq, meta.cursor_before = frame.cursor, frame.to, None
            if meta.is_walking and not frame.more:
                self._finish_walk(meta, frame.head)
            meta.is_walking = frame.more
            if not meta.is_walking:
                self.changed.update(self.store.delete_healed(meta.read_seq))
            self.store.put_meta(meta)
            return "stored"

    def _note_made_anew(self, rows: Sequence[WireRow], head: int) -> None:
        """Where the pages before have told a tombstone, and this one a newer existence.

        The tombstone counts as in `_decided`, though nobody was shown it: staged over, it would
        be forgotten, and what it has in common with the base would remain.
        """
        told = {(each.entity, each.id): each.stamps.get(EXISTS, each.stamp) for each in rows}
        staged = self.store.staged_among(told)
        gone_at = {(row.entity, row.id): row.stamps[EXISTS] for row in staged if not row.is_here}
        if not gone_at:
            return
        self.store.note_revived((key for key in gone_at if told[key] > gone_at[key]), head)

    def _take_into_base(self, rows: Sequence[WireRow], head: int) -> None:
        """Merge rows of the server into the base. head: when the page was read.

        By stamp: until a restore is noticed, this device may be the only one that still has the
        newer value. But see `_decided`; where an ack or a walk has written over a tombstone, the
        row counts as one, as soon as a page has been read later than that.
        """
        revived = self.store.revived()
        told: list[Row | WireRow] = []
        for wire in rows:
            key = (wire.entity, wire.id)
            revived_at = revived.get(key, 0)
            base = self.store.base_row(key) if revived_at == 0 or revived_at > head else None
            if base is None:
                told.append(wire)
            elif revived_at:
                self.store.put_base([_decided(base, wire_to_row(wire))], revived_at)
            else:
                told.append(_decided(base, wire_to_row(wire)))
        self.store.put_base(told)

    def _finish_walk(self, meta: Meta, head: int) -> None:
        """The last page is staged: the whole walk becomes the base, in this transaction."""
        self.changed.update(self.store.staged_keys())
        if meta.reset is None:
            self._take_into_base(self.store.take_new_from_staging(), head)
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
        elif meta.reset == "horizon" and meta.role != "viewer":
            self._complete_bare_rows(differing)
        elif meta.reset == "operator":
            # Only the queue is sent into the new life of the household.
            self.store.empty_heal()
            self.store.reopen_healing()
            meta.is_heal_open = False
        self.store.replace_base_by_staging()
        self.store.release_kept()
        meta.reset = None

    def _complete_bare_rows(self, differing: Iterable[tuple[Row, Row | None]]) -> None:
        """Of a row that was compacted and deleted once more the server holds the bare fact. An
        edit of it that waits here is to bring it back whole: what else it held goes first."""
        spoken_of = self.store.spoken_of()
        for old, snapshot in differing:
            if snapshot is None or (old.entity, old.id) not in spoken_of:
                continue
            lacking = old.stamps.keys() - snapshot.stamps.keys()
            if lacking:
                snapshot.fields.update((name, old.fields[name]) for name in lacking)
                snapshot.stamps.update((name, old.stamps[name]) for name in lacking)
                waiting = self.store.heal_row((old.entity, old.id))
                self.store.put_heal([merge(waiting, snapshot)])

    def _is_read_only(self, entity: str) -> bool:
        spec = self.entities.get(entity)
        return entity == CONFLICT or (spec is not None and spec.is_read_only)


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


def _stamps_of(rows: Iterable[WireRow]) -> list[str]:
    return [newest([row.stamp, *row.stamps.values()]) for row in rows]
