"""The oracle: what the household must hold after what the server says it has accepted.

An implementation of its own, as plain as can be, that shares no code with `core.merge` or
the engine: for every field the newest accepted write survives. It checks every answer of
the server while it learns from it, and knows each state that a reader may have been shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .typed import DEFAULTS, FIELDS, kept, text_of

Key = tuple[str, str]  # entity, row id
EXISTS = "exists"
AHEAD_MS = 5_000
HEALED_AHEAD_MS = 20 * 366 * 24 * 3600 * 1000
RETENTION_MS = 90 * 24 * 3600 * 1000
SERVER = "0" * 16


class Cell(NamedTuple):
    """One field: who wrote last, and what."""

    stamp: str
    value: Any


Cells = Mapping[str, Cell]
Rows = dict[Key, Cells]  # never mutated once published: copied on write


class Wrong(AssertionError):
    """Something happened that must not. The simulation adds where and when."""


def require(condition: bool, sentence: str, *facts: Any) -> None:
    if not condition:
        raise Wrong("\n    ".join([sentence, *map(repr, facts)]))


def ms(stamp: str) -> int:
    return int(stamp[:12], 16)


def node(stamp: str) -> str:
    return stamp[18:]


def beats(new: Cell, old: Cell | None) -> bool:
    if old is None or new.stamp != old.stamp:
        return old is None or new.stamp > old.stamp
    return text_of(new.value) > text_of(old.value)


def newest(cells: Cells) -> str:
    return max((cell.stamp for cell in cells.values()), default="")


def is_here(cells: Cells) -> bool:
    return EXISTS in cells and cells[EXISTS].value


class Dispute(NamedTuple):
    """What makes a conflict the same conflict."""

    entity: str
    row_id: str
    field: str
    winning_stamp: str
    losing_stamp: str


@dataclass
class State:
    """All that a backup of the household brings back."""

    rows: Rows = field(default_factory=dict)
    conflicts: dict[Dispute, tuple[Any, Any, int]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)  # newest number by device
    acknowledged: dict[str, int] = field(default_factory=dict)  # by device
    nodes: dict[str, set[str]] = field(default_factory=dict)  # by device, as it said in hello
    # By device and number: the change and its answer. None: answered, and forgotten.
    answered: dict[tuple[str, int], tuple[Any, Any] | None] = field(default_factory=dict)
    seq: int = 0
    stamp: str = ""  # the newest accepted
    horizon: str = ""
    life: int = 0  # of the household: between an operator's resets and imports

    def copy(self) -> State:
        return State(
            self.rows, dict(self.conflicts), dict(self.numbers), dict(self.acknowledged),
            dict(self.nodes), dict(self.answered), self.seq, self.stamp, self.horizon,
            self.life,
        )  # fmt: skip


class Oracle:
    """Is told of every committed transaction, in order. Raises Wrong."""

    def __init__(self) -> None:
        self.state = State()
        # In every life of the household: what was accepted, and what compaction took.
        self.accepted: set[tuple[Key, str, str, str]] = set()
        self.compacted: dict[Key, str] = {}  # the newest stamp of the tombstone
        # Conflicts dropped after 90 days: a backup may bring them back, nobody has to hear.
        self.dropped: set[Dispute] = set()
        self.lives = 0  # grows with every restore
        self._epochs = 0

    @property
    def rows(self) -> Rows:
        return self.state.rows

    @property
    def disputes(self) -> frozenset[Dispute]:
        """The conflicts that every device has to hear of."""
        return frozenset(self.state.conflicts.keys() - self.dropped)

    def without_compacted(self, rows: Rows, known: Rows) -> Rows:
        """Without tombstones that a reader does not know because they had been compacted.

        A backup brings them back under the seq that they had, which the reader has passed.
        Neither it nor the server shows such a row. Who has deleted it, too, knows only that.
        """
        found: Rows = {}
        for key, cells in rows.items():
            if is_here(cells) or newest(cells) > self.compacted.get(key, ""):
                found[key] = cells
            elif key in known:
                found[key] = {name: cells[name] for name in cells if name in known[key]}
        return found

    # --- hello -------------------------------------------------------------------------

    def greeted(self, device: str, nodes: Iterable[str], acknowledged: int) -> None:
        """After the server has adopted the device's number, if it had to."""
        self.state.nodes[device] = set(nodes)
        for counts in (self.state.numbers, self.state.acknowledged):
            counts[device] = max(counts.get(device, 0), acknowledged)

    # --- push --------------------------------------------------------------------------

    def pushed(
        self,
        device: str,
        changes: Sequence[Any],
        results: Sequence[Any],
        acknowledged: int,
        known: Mapping[str, Iterable[str]],
        now_ms: int,
        seq: int | None,
    ) -> None:
        """known: the fields by entity that the server knows at this time."""
        work = _Push(self, device, known, now_ms)
        require(len(changes) == len(results), "each change has one answer", changes, results)
        state = self.state
        acknowledged = max(acknowledged, state.acknowledged.get(device, 0))
        state.acknowledged[device] = acknowledged
        is_copy = False  # it has shown that it is one: the rest waits for its new identity
        for change, result in zip(changes, results, strict=True):
            require(change.number == result.number, "answers come in order", change, result)
            key = (device, change.number)
            earlier = state.answered.get(key)
            if is_copy or change.number <= acknowledged:
                require(result.fate == "settled", "an acknowledged number is settled", result)
                is_copy = True
            elif earlier is None:
                last = state.numbers.get(device, 0)
                require(
                    change.number == last + 1 or key in state.answered,
                    f"no number has a hole: {change.number} after {last} of {device}",
                )
                state.numbers[device] = max(change.number, last)
                state.answered[key] = (change, result)
                work.decide(change, result)
            elif _content(earlier[0]) == _content(change):
                work.note_restamped(change, result)
                is_gone = (change.entity, change.id) not in self.rows  # compacted since
                is_same = result == earlier[1] or (is_gone and result.fate == "superseded")
                require(is_same, "a repeat gets the same answer", result, earlier[1])
            else:
                require(result.fate == "settled", "two changes with one number", change, earlier)
                is_copy = True
        self._commit(work.rows, work.conflicts, seq)

    # --- rows ---------------------------------------------------------------------------

    def healed(
        self,
        incoming: Sequence[tuple[Key, Mapping[str, Any], Mapping[str, str]]],
        refused: Iterable[tuple[str, str, str]],
        stored: Mapping[Key, Cells],
        now_ms: int,
        seq: int | None,
        *,
        is_healing: bool,
    ) -> None:
        """incoming: (key, values, stamps) of each row. stored: the rows as they are now; only
        for stamps that the server had to replace, which an ack of `rows` does not tell.
        is_healing: the server had asked this device to heal it."""
        refusals = set(refused)
        rows, state = dict(self.rows), self.state
        for key, values, stamps in incoming:
            if (*key, "") in refusals or (*key, EXISTS) in refusals:
                continue
            current = rows.get(key)
            given = {
                name: Cell(stamps[name], kept(key[0], name, value)[0] if name != EXISTS else value)
                for name, value in values.items()
                if (*key, name) not in refusals
            }
            if current is None and newest(given) <= state.horizon:
                continue
            cells = dict(current or {})
            ahead_ms = HEALED_AHEAD_MS if is_healing else AHEAD_MS
            limit = max(now_ms + ahead_ms, ms(state.stamp) if state.stamp else 0)
            for name, cell in given.items():
                old, found = cells.get(name), stored.get(key, {}).get(name)
                is_lifted = current is None and cell.stamp <= state.horizon
                if ms(cell.stamp) > limit or is_lifted:
                    # Re-stamped, and the ack does not say to what.
                    require(found is not None, "a healed value is stored", key, name, cell)
                    cell = cell._replace(stamp=found.stamp) if found != old else old
                if beats(cell, old):
                    cells[name] = cell
                state.stamp = max(state.stamp, cell.stamp)
            rows[key] = cells
        self._commit(_changed(self.rows, rows), {}, seq)

    # --- writes on the server ---------------------------------------------------------------

    def written_on_server(
        self,
        key: Key,
        kind: str,
        fields: Mapping[str, Any],
        known: Iterable[str],
        stored: Cells,
        seq: int | None,
        *,
        by_engine: bool,
    ) -> None:
        """kind: insert (also over a tombstone), update, delete. known: the fields that the
        writer knows. stored: the row now.

        The engine's own edit writes its fields even if they are equal; a trigger only what
        differs."""
        current = self.rows.get(key)
        values = {name: kept(key[0], name, value)[0] for name, value in fields.items()}
        if kind == "delete":
            values = {EXISTS: False}
        elif kind == "insert" and (current is None or not by_engine):
            values = {name: DEFAULTS[key[0]].get(name) for name in known} | values
            values[EXISTS] = True
        elif by_engine:
            values[EXISTS] = True
        cells = dict(current or {})
        stamps = set()
        for name, value in values.items():
            # What nobody has written yet lies in its column as the default.
            now = cells[name].value if name in cells else DEFAULTS[key[0]].get(name, "")
            is_equal = name != EXISTS and text_of(now) == text_of(value)
            if is_equal and kind != "insert" and not by_engine:
                continue
            stamps.add(stored[name].stamp)
            cells[name] = Cell(stored[name].stamp, value)
        if kind == "delete" and not by_engine and (current is None or not is_here(current)):
            cells, stamps = dict(current or {}), set()
        if stamps:
            [stamp] = stamps
            require(stamp > self.state.stamp, "the server's stamps are later than all", stamp)
            require(node(stamp) == SERVER, "the server's node is zero", stamp)
            self.state.stamp = stamp
        rows = {key: cells} if cells else {}
        self._commit(_changed(self.rows, {**self.rows, **rows}), {}, seq)

    # --- compaction, restore ------------------------------------------------------------------

    def compacted_to(self, left: Iterable[Key], horizon: str, now_ms: int) -> None:
        """left: the rows that are still there."""
        before = now_ms - RETENTION_MS
        rows: Rows = {}
        left = set(left)
        for key, cells in self.rows.items():
            if key in left:
                rows[key] = cells
                continue
            require(not is_here(cells), "compaction takes tombstones", key, cells)
            require(ms(newest(cells)) < before, "compaction takes old tombstones", key, cells)
            require(horizon >= newest(cells), "the horizon covers what was compacted", key)
            self.compacted[key] = max(newest(cells), self.compacted.get(key, ""))
        self.state.rows, self.state.horizon = rows, horizon
        old = {key for key, each in self.state.conflicts.items() if each[2] < before}
        self.dropped |= old
        self.state.conflicts = {
            key: each for key, each in self.state.conflicts.items() if key not in old
        }

    def restore(self, backup: State) -> None:
        self.state = backup.copy()
        self.lives += 1

    def forgotten(self, device: str) -> None:
        """The server knows nothing of this device any more."""
        for counts in (self.state.numbers, self.state.acknowledged):
            counts[device] = 0
        self._forget_answers(device)

    def imported(self, exported: State) -> None:
        """Another life of the household, which begins with these rows."""
        state = self.state
        self.dropped |= state.conflicts.keys()
        state.rows, state.conflicts = dict(exported.rows), {}
        state.horizon = max(state.horizon, exported.horizon)
        state.stamp = max([state.stamp, state.horizon, *map(newest, state.rows.values())])
        state.seq += 1
        self._forget_answers()
        self.lives += 1
        self.new_epoch()

    def new_epoch(self) -> None:
        self._epochs += 1
        self.state.life = self._epochs

    # --- inside -----------------------------------------------------------------------------

    def _forget_answers(self, device: str = "") -> None:
        for key in self.state.answered:
            if device in ("", key[0]):
                self.state.answered[key] = None

    def _commit(self, rows: Rows, conflicts: Mapping[Dispute, Any], seq: int | None) -> None:
        state = self.state
        is_changed = bool(rows or conflicts)
        expected = state.seq + 1 if is_changed else None
        require(seq == expected, f"a changing transaction takes the next seq: {seq}, {expected}")
        if not is_changed:
            return
        for key, cells in rows.items():
            for name, (stamp, value) in cells.items():
                self.accepted.add((key, name, stamp, text_of(value)))
        state.rows = {**state.rows, **rows}
        state.conflicts.update(conflicts)
        state.seq += 1


@dataclass
class _Push:
    """One push: rows as they become, in the order of its changes."""

    oracle: Oracle
    device: str
    known: Mapping[str, Iterable[str]]
    now_ms: int
    rows: Rows = field(default_factory=dict)
    conflicts: dict[Dispute, tuple[Any, Any, int]] = field(default_factory=dict)
    refused_creates: set[Key] = field(default_factory=set)
    restamped: dict[Key, list[tuple[str, str]]] = field(default_factory=dict)  # own, given

    def decide(self, change: Any, result: Any) -> None:
        key = (change.entity, change.id)
        state = self.oracle.state
        current = self.rows.get(key, state.rows.get(key))
        codes = self._refusal_codes(change, key, current)
        if codes:
            require(
                result.fate == "refused" and result.code in codes,
                f"this change is refused ({codes})", change, result,
            )  # fmt: skip
            if change.kind == "create":
                self.refused_creates.add(key)
            return
        require(result.fate in ("applied", "superseded"), "nothing to refuse", change, result)
        is_missing = current is None
        if is_missing and change.kind == "delete" and change.stamp <= state.horizon:
            require(result.fate == "superseded", "a delete from before the horizon", result)
            return
        stamp = self._effective(change, result, key, is_missing)
        known = set(self.known[change.entity])
        unknown = sorted(name for name in change.fields if name not in known)
        require(sorted(result.unknown) == unknown, "unknown fields are told", change, result)
        written = {
            name: kept(change.entity, name, value)[0]
            for name, value in change.fields.items()
            if name in known
        }
        if change.kind == "create":  # completes what nobody has ever written
            unwritten = known - (current or {}).keys()
            written = {name: DEFAULTS[change.entity].get(name) for name in unwritten} | written
        written[EXISTS] = change.kind != "delete"
        self._lay(change, result, key, dict(current or {}), written, stamp)

    def note_restamped(self, change: Any, result: Any) -> None:
        key = (change.entity, change.id)
        if result.stamp:
            self.restamped.setdefault(key, []).append((change.stamp, result.stamp))

    def _lay(
        self, change: Any, result: Any, key: Key, cells: dict[str, Cell], written: Any, stamp: str
    ) -> None:
        own = self.oracle.state.nodes[self.device]
        lost = []
        is_changed = False
        for name, value in written.items():
            new, old = Cell(stamp, value), cells.get(name)
            if old is not None and old.stamp == stamp and text_of(old.value) == text_of(value):
                continue  # a repeat
            is_foreign = (
                old is not None
                and node(old.stamp) not in own
                and text_of(old.value) != text_of(value)
            )
            if beats(new, old):
                cells[name] = new
                is_changed = True
                if is_foreign and change.seen.get(name, "") != old.stamp:
                    self._dispute(key, name, new, old)
            else:
                lost.append(name)
                if is_foreign:
                    self._dispute(key, name, old, new)
        require(sorted(result.lost) == sorted(lost), "lost fields are told", change, result, lost)
        fate = "superseded" if len(lost) == len(written) else "applied"
        require(result.fate == fate, f"a change that is {fate}", change, result)
        if is_changed:
            self.rows[key] = cells

    def _dispute(self, key: Key, name: str, winner: Cell, loser: Cell) -> None:
        dispute = Dispute(*key, name, winner.stamp, loser.stamp)
        if dispute not in self.oracle.state.conflicts:
            self.conflicts[dispute] = (winner.value, loser.value, self.now_ms)

    def _effective(self, change: Any, result: Any, key: Key, is_missing: bool) -> str:
        """The stamp that counts; it is another one only for a reason, and later than all."""
        state = self.oracle.state
        stamp = result.stamp or change.stamp
        is_due = (
            ms(change.stamp) > self.now_ms + AHEAD_MS
            or (is_missing and change.kind == "create" and change.stamp <= state.horizon)
            or any(own < change.stamp <= given for own, given in self.restamped.get(key, []))
        )
        require(is_due or not result.stamp, "re-stamped only when due", change, result)
        if is_due:
            require(stamp > state.stamp, "a server's stamp is later than all", stamp, state.stamp)
            require(node(stamp) == node(change.stamp), "it keeps its author's node", stamp)
            self.restamped.setdefault(key, []).append((change.stamp, stamp))
        state.stamp = max(state.stamp, stamp)
        return stamp

    def _refusal_codes(self, change: Any, key: Key, current: Cells | None) -> set[str]:
        """The codes of which one has to be answered; empty if nothing is wrong."""
        if change.entity not in self.known:
            return {"unknown"}
        if change.entity not in FIELDS:
            return {"read_only"}
        if key in self.refused_creates:
            return {"depends"}
        known = self.known[change.entity]
        codes = {
            kept(change.entity, name, value)[1]
            for name, value in change.fields.items()
            if name in known
        } - {""}
        is_whole = current is not None and set(known) <= current.keys()
        if not codes and change.kind == "create" and not is_whole:
            codes |= {"required"} if "name" not in change.fields else set()
        if not codes and change.kind == "edit" and current is None:
            codes = {"row_missing"}
        return codes


def _content(change: Any) -> tuple[Any, ...]:
    fields = sorted((name, text_of(value)) for name, value in change.fields.items())
    return change.stamp, change.entity, change.id, change.kind, fields


def _changed(before: Rows, after: Rows) -> Rows:
    return {key: cells for key, cells in after.items() if before.get(key) != cells}
