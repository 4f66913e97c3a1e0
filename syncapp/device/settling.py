"""What an answer to `push` or `rows` does to the queue, the base and the heal list."""

from __future__ import annotations

from dataclasses import replace

from syncapp.core.change import EXISTS, Row
from syncapp.core.clock import NO_STAMP
from syncapp.core.messages import Ack, RefusedRow, Result, wire_to_row
from syncapp.core.outbox import Entry, restamp_behind, settle

from .identity import Identity
from .store import Key, Meta


class Settling(Identity):
    # Of this connection only: what was sent.
    _rows_in_flight: tuple[frozenset[int], bool] | None = None  # versions; whether the last

    def on_ack(self, ack: Ack) -> bool:
        """Settle what was answered. Returns True if the answer shows that this device is a
        copy of another: it has a new identity now, and connects again."""
        if ack.of == "rows":
            self._settle_rows(ack)
            return False
        with self.store.transaction():
            meta = self.meta
            meta.anchor = ack.anchor
            entries = self.store.entries_numbered(each.number for each in ack.results)
            used: set[int] = set()  # entries whose number somebody else has used
            restamped: dict[Key, list[tuple[str, str]]] = {}  # its own stamp, a later one given
            for result in ack.results:
                entry = entries.get(result.number)
                if entry is None or entry.state != "open":
                    continue  # settled before
                if result.fate == "settled":  # there, but open here
                    used.add(entry.local)
                    continue
                stamp = self._settle(entry, result, ack.head)
                if stamp > entry.stamp:
                    restamped.setdefault(entry.key, []).append((entry.stamp, stamp))
                self.sent += 1
            self._restamp_followers(meta, restamped, used)
            self.store.release_kept()
            if used:
                self._take_new_identity(meta)
            else:
                self.store.put_meta(meta)
            return bool(used)

    def _settle(self, entry: Entry, result: Result, head: int) -> str:
        """Take one answer in. Returns the stamp under which the server has the change."""
        settled = settle(entry, result, self._ground_row(entry.key))
        if settled.won is not None:
            self._take_won(entry, settled.won, head)
        if settled.healing is not None:
            self.store.put_heal([settled.healing])
        if settled.remains is not None:
            self.store.put_entry(self._reopened(settled.remains))
        else:
            self.store.delete_entries([entry.local])
        self.changed.add(entry.key)
        return settled.effective

    def _reopened(self, remains: Entry) -> Entry:
        """A repeated answer may be older than the server: what that knows by now is not parked,
        but sent again at once."""
        told = self.told_fields(remains.entity)
        if remains.state != "parked" or told is None or not told.issuperset(remains.fields):
            return remains
        return replace(remains, state="open", code="", field="", message="")

    def _take_won(self, entry: Entry, won: Row, head: int) -> None:
        """Merge what the server took of an entry into the base, so that it goes on showing.

        At once, not with the next page: until that comes, this device is the only one that
        could give it back to a server that is restored to a moment before.
        """
        base, revived_at = self.store.base_row(entry.key), self.store.revived().get(entry.key, 0)
        # What a walk has told so far counts, though it is not shown yet.
        gone_at = max(_gone_at(base), _gone_at(self.store.staged_row(entry.key)))
        is_revived = gone_at != NO_STAMP and won.stamps.get(EXISTS, NO_STAMP) > gone_at
        if is_revived and entry.kind != "edit":
            # The tombstone may have been compacted, and the server's row be made anew by this
            # very entry. If it was not, the page tells what else is in it.
            base = None
        is_unsure = is_revived or revived_at > 0  # of what else is in it
        self.store.put_base([_accepted(base, won)], head if is_unsure else 0)

    def _restamp_followers(
        self, meta: Meta, restamped: dict[Key, list[tuple[str, str]]], used: set[int]
    ) -> None:
        """What was typed after a change that the server re-stamped stays after it.

        Also what is parked, unless it was typed before. used: what was sent with it, and not
        heard because somebody else has used its number.
        """
        if not restamped:
            return
        clock, now_ms = self.clock(meta), self.corrected_ms(meta)
        clock.observe(given for pairs in restamped.values() for _, given in pairs)
        for key, pairs in restamped.items():
            for own, given in pairs:
                waiting = [
                    each
                    for each in self.store.entries_of(key)
                    if each.state in ("open", "parked")
                    and (each.number is None or each.local in used)
                ]
                self.store.put_stamps(restamp_behind(waiting, own, given, now_ms, clock))
        meta.clock = clock.last

    def _settle_rows(self, ack: Ack) -> None:
        """The server has merged what `rows` brought, but for what it names."""
        if self._rows_in_flight is None:
            return
        versions, was_last = self._rows_in_flight
        self._rows_in_flight = None
        with self.store.transaction():
            meta = self.meta
            meta.anchor = ack.anchor
            refused: dict[Key, list[RefusedRow]] = {}
            for each in ack.refused_rows:
                refused.setdefault((each.entity, each.id), []).append(each)
            # A row that was written to meanwhile has another version, and is sent again.
            sent = [each for each in self.store.heal_rows() if each.version in versions]
            self.store.delete_heal(each.version for each in sent)
            for heal in sent:
                row = wire_to_row(heal.wire)
                healed = self._settle_row(row, refused.get((row.entity, row.id), []))
                if healed is not None:
                    self.store.put_healed(healed, ack.head)
                self.changed.add((row.entity, row.id))
            if was_last and not self.store.has_heal_rows():
                meta.is_heal_open = False
            if not meta.is_walking:
                self.store.delete_healed(meta.read_seq)  # nothing has changed there
            self.store.put_meta(meta)
            self.store.release_kept()

    def _settle_row(self, row: Row, refused: list[RefusedRow]) -> Row | None:
        """One healed row; what of it was refused stays here, visible.

        Returns what was taken. It does not go into the base: only a page tells which stamps
        it has now, or that it lies before the horizon and is gone.
        """
        key = (row.entity, row.id)
        waiting = [each for each in self.store.entries_of(key) if each.state == "healing"]
        lost, healed = Row(*key), row.copy()
        for each in refused:
            is_whole = each.field in ("", EXISTS)
            names = list(row.fields) if is_whole else [each.field]
            for name in names:
                healed.fields.pop(name, None), healed.stamps.pop(name, None)
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
        return healed if healed.fields else None


def _gone_at(row: Row | None) -> str:
    """The stamp of a tombstone; NO_STAMP of anything else."""
    return NO_STAMP if row is None or row.is_here else row.stamps.get(EXISTS, NO_STAMP)


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
