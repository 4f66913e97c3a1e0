"""A device's queue of its own changes: what folds, what is shown, what is sent.

The device keeps each row as the server last decided it (the base) and lays its queue over
it for the eye. Only entries that were never sent fold or get another stamp; what may have
reached the server is history. All functions are pure; the store makes their results durable.

Folding, never-sent earlier entry (down) by new entry (across); "covers" means that the new
entry writes every field of the earlier one, and each entry writes `exists`:

            create                  edit                     delete
    create  goes if covered         goes if covered; the     stays
                                    edit becomes the create
    edit    goes if covered         goes if covered          goes if it wrote no field
    delete  goes                    goes                     goes

A create that goes leaves no entry of its row before the survivor, or it stays: an edit must
not come before the create that makes its row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from .change import EXISTS, Row, written_by
from .clock import MS_MAX, NO_STAMP, Clock, is_stamp, ms_of, newest, next_stamp
from .merge import is_winner, merge
from .messages import (
    BATCH_MAX_BYTES,
    BATCH_MAX_ROWS,
    NUMBER_MAX,
    Change,
    ChangeKind,
    Result,
)

State = Literal["open", "healing", "parked", "refused"]
T = TypeVar("T")

_FRAME_HEAD_BYTES = 200  # what surrounds the changes of a push


@dataclass(slots=True)
class Entry:
    """One change in the queue.

    local: its place in the queue, never used again. number: given durably at first sending.
    was_sent: it may have reached the server, perhaps under a former identity.
    made_ms: corrected time of the edit, milliseconds since 1970 UTC.
    state: open (to be sent), healing (on its way inside a whole row), parked (the server
    does not know something yet) or refused (its person decides); code, field and message
    tell why.
    """

    local: int
    entity: str
    row_id: str
    kind: ChangeKind
    stamp: str
    fields: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    made_ms: int = 0
    number: int | None = None
    was_sent: bool = False
    state: State = "open"
    code: str = ""
    field: str = ""
    message: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.entity, self.row_id

    @property
    def written(self) -> dict[str, Any]:
        """What this entry writes: its fields, and existence."""
        return written_by(self.kind, self.fields)

    @property
    def was_never_sent(self) -> bool:
        return self.number is None and not self.was_sent


# --- folding -----------------------------------------------------------------------------


class Folded(NamedTuple):
    """gone: entries that the new one makes needless; entry: the new one, as it is queued."""

    gone: list[Entry]
    entry: Entry


def fold(entries: Sequence[Entry], new: Entry) -> Folded:
    """Decide which earlier entries of its row a new entry makes needless.

    entries: those of the row, in queue order. What the server ends with is the same whether
    the folded or the unfolded entries are sent.
    """
    gone = [each for each in entries if _is_covered(each, new)]
    for place, create in enumerate(entries):
        if (
            create.kind == "create"
            and create in gone
            and any(each not in gone for each in entries[place + 1 :])
        ):
            gone.remove(create)
    if not gone:
        return Folded([], new)
    # The oldest of them was made on what its author saw then; the new one stands in for it.
    seen = dict(new.seen)
    for each in gone:
        for name, stamp in each.seen.items():
            seen.setdefault(name, stamp)
    is_create = any(each.kind == "create" for each in gone)
    kind: ChangeKind = "create" if is_create else new.kind
    return Folded(gone, replace(new, kind=kind, seen=seen))


def _is_covered(earlier: Entry, new: Entry) -> bool:
    if not earlier.was_never_sent or earlier.state != "open":
        return False
    if earlier.kind == "create" and new.kind == "delete":
        return False
    return earlier.fields.keys() <= new.fields.keys()


# --- for the eye -------------------------------------------------------------------------


def overlay(base: Row | None, entries: Iterable[Entry]) -> Row | None:
    """The row as its person sees it: the base with the queue laid over it, by stamp.

    By stamp, not by order of arrival: so a newer value of somebody else that was pulled
    meanwhile shows at once, as it will after the push.
    """
    return _lay(base, entries)[0]


def _lay(base: Row | None, entries: Iterable[Entry]) -> tuple[Row | None, dict[str, Entry]]:
    """The overlaid row, and by field the entry whose value shows."""
    row = base.copy() if base is not None else None
    shows: dict[str, Entry] = {}
    for entry in entries:
        if row is None:
            row = Row(entry.entity, entry.row_id)
        for name, value in entry.written.items():
            if is_winner(entry.stamp, value, row.stamps.get(name, NO_STAMP), row.fields.get(name)):
                row.fields[name] = value
                row.stamps[name] = entry.stamp
                shows[name] = entry
    return row, shows


def seen_for(
    base: Row | None,
    entries: Sequence[Entry],
    written: Iterable[str],
    shown: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The `seen` of a new entry: for each field the stamp that its author was shown.

    On top of an entry of his own, sent or not, it hands on the stamp which that entry
    names: his own value hides what he has not seen.

    entries: those of the row that lie over the base, in queue order.
    shown: the stamps of the row when he began to edit, if that was earlier than now.
    """
    row, shows = _lay(base, entries)
    own = {entry.stamp: entry for entry in entries}
    seen: dict[str, str] = {}
    for name in written:
        entry: Entry | None
        if shown is not None and name in shown:
            stamp = shown[name]
            entry = own.get(stamp)
        else:
            stamp = row.stamps.get(name, NO_STAMP) if row else NO_STAMP
            entry = shows.get(name)
        if entry is not None:
            stamp = entry.seen.get(name, NO_STAMP)
        if stamp != NO_STAMP:
            seen[name] = stamp
    return seen


def newest_of(base: Row | None, entries: Iterable[Entry]) -> str:
    """The newest stamp that a row carries in its base and its entries."""
    return max(base.newest_stamp if base else NO_STAMP, newest(each.stamp for each in entries))


# --- stamps of what was never sent ---------------------------------------------------------


def restamp_ahead(
    entries: Iterable[Entry], floors: Mapping[tuple[str, str], str], now_ms: int, clock: Clock
) -> dict[int, str]:
    """Bring never-sent entries that lie ahead of corrected time down to it, no further.

    entries: all never-sent ones, in queue order. floors: by row, the newest stamp in its
    base and its sent entries: what is re-stamped stays later. now_ms: corrected time.
    clock: lowered by the caller; its stamps are used, so they stay its latest.

    Returns the new stamp by `local`. The order of a row's entries is kept.
    """
    stamps: dict[int, str] = {}
    latest: dict[tuple[str, str], str] = {}
    for entry in entries:
        floor = max(latest.get(entry.key, NO_STAMP), floors.get(entry.key, NO_STAMP))
        stamp = entry.stamp
        if ms_of(stamp) > now_ms:
            stamp = _later(floor, now_ms, clock)
            if stamp < entry.stamp:
                stamps[entry.local] = stamp
            else:  # its floor lies ahead, too: nothing lower is later than that
                stamp = entry.stamp
        latest[entry.key] = stamp
    return stamps


def restamp_behind(
    entries: Iterable[Entry], own: str, effective: str, now_ms: int, clock: Clock
) -> dict[int, str]:
    """Lift a row's waiting entries over the effective stamp of one that was sent.

    The server re-stamped the earlier entry; what was typed after it stays after it. own: the
    stamp it was sent with; what is not later than that was typed before, and parked since.
    entries: those of the row that wait, in queue order. Returns new stamps by `local`.
    """
    stamps: dict[int, str] = {}
    floor = effective
    for entry in entries:
        if entry.stamp <= own:
            continue
        if entry.stamp <= floor:
            stamps[entry.local] = floor = _later(floor, now_ms, clock)
        else:
            floor = entry.stamp
    return stamps


def _later(floor: str, now_ms: int, clock: Clock) -> str:
    """The next stamp of the clock that is later than `floor`.

    A floor ahead of the clock does not lift it: it would drag every later edit along.
    """
    if floor <= clock.last or ms_of(floor) <= now_ms:
        return clock.tick(now_ms, floor)
    return next_stamp(floor, now_ms, clock.node)


def lower(clock: Clock, now_ms: int) -> bool:
    """Lower a clock that is ahead of corrected time. Returns whether it was."""
    now_ms = min(max(now_ms, 0), MS_MAX)
    if not is_stamp(clock.last) or ms_of(clock.last) <= now_ms:
        return False
    clock.last = f"{now_ms:012x}-0000-{clock.node}"
    return True


# --- sending -------------------------------------------------------------------------------


def cut(
    items: Iterable[T],
    size_of: Callable[[T], int],
    max_rows: int = BATCH_MAX_ROWS,
    max_bytes: int = BATCH_MAX_BYTES,
) -> list[T]:
    """The head of a queue that fits into one frame; at least one item if there is any."""
    batch: list[T] = []
    size = _FRAME_HEAD_BYTES
    for item in items:
        size += size_of(item) + 1
        if batch and (len(batch) >= max_rows or size > max_bytes):
            break
        batch.append(item)
    return batch


def size_of(entry: Entry) -> int:
    """The bytes that an entry takes in a push, whatever number it gets."""
    return len(msgspec.json.encode(to_change(entry, entry.number or NUMBER_MAX)))


def to_change(entry: Entry, number: int) -> Change:
    return Change(
        number, entry.entity, entry.row_id, entry.kind, entry.stamp, entry.fields, entry.seen
    )


def settled_up_to(open_numbers: Iterable[int], next_number: int) -> int:
    """The greatest number such that all numbers up to it are settled."""
    return min(open_numbers, default=next_number) - 1


# --- answers -------------------------------------------------------------------------------


@dataclass(slots=True)
class Settled:
    """What one answer means for its entry.

    won: what the server took, to be merged into the base. effective: the stamp it has there.
    remains: what stays of the entry, parked, healing or refused; None when it is done.
    healing: a whole row to be sent as `rows`, with the entry in it.
    """

    won: Row | None = None
    effective: str = NO_STAMP
    remains: Entry | None = None
    healing: Row | None = None


def settle(entry: Entry, result: Result, base: Row | None) -> Settled:
    """Decide what an answer other than `settled` does. base: the row of the entry."""
    if result.fate == "refused":
        return _settle_refused(entry, result, base)
    effective = result.stamp or entry.stamp
    gone = {*result.lost, *result.unknown}
    won = {name: value for name, value in entry.written.items() if name not in gone}
    unknown = {name: entry.fields[name] for name in result.unknown if name in entry.fields}
    remains = None
    if unknown:
        # Under its old stamp: later values that are not parked must be able to win.
        remains = replace(
            entry,
            kind="edit",
            stamp=effective,
            fields=unknown,
            seen={name: stamp for name, stamp in entry.seen.items() if name in unknown},
            number=None,
            was_sent=True,
            state="parked",
            code="unknown",
            message="The server does not know this field yet.",
        )
    row = Row(entry.entity, entry.row_id, won, dict.fromkeys(won, effective))
    return Settled(row if won else None, effective, remains)


def _settle_refused(entry: Entry, result: Result, base: Row | None) -> Settled:
    if (
        result.code == "row_missing"
        and base is not None
        and entry.kind == "edit"
        and entry.stamp > result.horizon
    ):
        # The server lost the row (a restore) or compacted its tombstone, and this edit is
        # newer: the row comes back whole, with the edit in it.
        edit = Row(entry.entity, entry.row_id, entry.written)
        edit.stamps = dict.fromkeys(edit.fields, entry.stamp)
        waits = replace(entry, number=None, was_sent=True, state="healing")
        return Settled(remains=waits, healing=merge(base, edit))
    return Settled(
        remains=replace(
            entry,
            number=None,
            was_sent=True,
            state="parked" if result.code == "unknown" else "refused",
            code=result.code,
            field=result.field,
            message=result.message,
        )
    )


def is_here(row: Row | None) -> bool:
    return row is not None and bool(row.fields.get(EXISTS, False))
