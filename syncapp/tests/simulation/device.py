"""A simulated device: the real replica and conversation over a store that can crash anywhere.

Beside the device lives its diary, which the code under test does not know: what its person
did, and what became of each change.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from syncapp.core.entity import Entity
from syncapp.core.messages import Ack, Changes, Welcome
from syncapp.core.session import Connect, Disconnect
from syncapp.device.conversation import Conversation, Output
from syncapp.device.replica import Replica
from syncapp.device.store import Store

from .network import Close, Down, Opening, Socket
from .oracle import EXISTS, Cell, Cells, Dispute, Key, Oracle, Rows, beats, newest, require
from .server import difference
from .typed import FIELDS


class CarelessReplica(Replica):
    """A program that checks nothing of what is typed: the server has to."""

    @property
    def entities(self) -> dict[str, Entity]:
        return {}


HOUSEHOLD_ID = "00000000-0000-4000-8000-00000000f1f1"


class DeviceCrash(BaseException):
    """The power is gone, in the middle of a statement."""


class FragileStore(Store):
    """Crashes when a countdown of statements ends; memory is what a disk would hold."""

    crash_in: int | None = None

    def _tick(self) -> None:
        if self.crash_in is not None:
            self.crash_in -= 1
            if self.crash_in < 0:
                self.crash_in = None
                raise DeviceCrash

    def run(self, statement: str, *parameters: Any) -> Any:
        if self.crash_in is not None:
            self._tick()
        return super().run(statement, *parameters)

    def run_many(self, statement: str, parameters: Any) -> None:
        self._tick()
        super().run_many(statement, parameters)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._tick()
        with super().transaction():
            yield
        self._tick()

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Look into the store without a crash on the way."""
        self.crash_in, crash_in = None, self.crash_in
        try:
            yield
        finally:
            self.crash_in = crash_in

    def peek(self, statement: str) -> list[tuple[Any, ...]]:
        return self._db.execute(statement).fetchall()

    def copy(self) -> FragileStore:
        other = FragileStore(":memory:")
        self._db.backup(other._db)
        return other


@dataclass
class Made:
    """One change as its person made it. ends: what became of it, in words of this file.

    stamp: the effective one, once it is told. life: of the household, then.
    """

    key: Key
    kind: str
    ends: str = ""
    stamp: str = ""
    life: int = 0
    into: int = 0  # the entry that it was folded into


@dataclass
class Diary:
    """By `local` of the queue."""

    made: dict[int, Made] = field(default_factory=dict)
    had_identities: set[str] = field(default_factory=set)

    def copy(self) -> Diary:
        made = {local: replace(each) for local, each in self.made.items()}
        return Diary(made, set(self.had_identities))


_decode_fields = msgspec.json.Decoder(dict[str, Any]).decode


class Device:
    """program: the entities that it knows; None: it knows none, and never checks anything.

    portion_min: 1: it never carries less, and plays what was played before it could.
    """

    def __init__(
        self,
        name: str,
        user: str,
        program: Mapping[str, Entity] | None,
        rng: random.Random,
        true_ms: Callable[[], int],
        oracle: Oracle,
        store: FragileStore | None = None,
        diary: Diary | None = None,
        *,
        portion_min: float = 1.0,
    ) -> None:
        self.name, self.user, self.program = name, user, program
        self.portion_min = portion_min
        self.rng, self.true_ms, self.oracle = rng, true_ms, oracle
        self.store = store or FragileStore(":memory:")
        self.diary = diary or Diary()
        self.off_ms = 0
        self.socket: Socket | None = None
        self.is_on = False
        self.backup: tuple[FragileStore, Diary] | None = None
        # Rows as shown at some moment: an edit may begin long before it is saved.
        self.shown: dict[Key, dict[str, str]] = {}
        # What it held when the server was last restored, as long as it owes the server that.
        self.owes: Rows = {}
        # Rows that it keeps for undecided edits, out of a life of the household that has ended.
        self.ended: set[Key] = set()
        # Conflicts that it has forgotten of its own accord, after 90 days by its clock.
        self.dropped: set[Dispute] = set()
        self._base_before: tuple[int, Rows] = (-1, {})
        self._cells: dict[tuple[Any, ...], Cells] = {}
        self.switch_on()

    # --- life

    def switch_on(self) -> None:
        kind = CarelessReplica if self.program is None else Replica
        self.replica = kind(
            self.store,
            HOUSEHOLD_ID,
            entities=self.program,
            name=self.name,
            wall_ms=lambda: self.true_ms() + self.off_ms,
            new_id=self._new_id,
            token=lambda n: f"{self.rng.getrandbits(8 * n):0{2 * n}x}",
        )
        self.replica.portion_min = self.portion_min
        self.talk = Conversation(self.replica, chance=self.rng.random)
        self.is_on = True

    def crash(self) -> None:
        """What is not in the store is gone; what is under way may still arrive at the server."""
        self.store.crash_in = None
        self.is_on = False
        if self.socket is not None:
            self.socket.cut(self.rng)
            self.socket = None

    def _new_id(self) -> str:
        text = f"{self.rng.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"

    @property
    def mono_ms(self) -> int:
        return self.true_ms()

    def holds(self) -> Rows:
        """What it can give back to a server that has lost it."""
        with self.store.quietly():
            if self.replica.meta.role == "viewer":
                return {}
            healing = [row for entity in FIELDS for row in self.store.heal_rows_of(entity)]
        ended = self.ended & self.kept()
        rows = {
            key: dict(cells)
            for key, cells in self.base().items()
            if key[0] != "conflict" and key not in ended
        }
        for row in healing:
            cells = rows.setdefault((row.entity, row.id), {})
            for name, stamp in row.stamps.items():
                new = Cell(stamp, row.fields[name])
                if beats(new, cells.get(name)):
                    cells[name] = new
        return dict(rows)

    # --- the conversation

    def take(self, outputs: list[Output]) -> list[Socket]:
        """Do what the conversation says; returns new sockets."""
        made = []
        for output in outputs:
            if isinstance(output, Connect):
                self.socket = Socket(self, self.talk, output.generation, self.user)
                made.append(self.socket)
            elif isinstance(output, Disconnect):
                if self.socket is not None and self.socket.generation == output.generation:
                    self.socket.send_up(output)
                    self.socket = None
            elif self.socket is not None:
                self.socket.send_up(output)
        return made

    def hear(self, socket: Socket, what: Down | Close | Opening, is_served: bool) -> list[Output]:
        """One thing out of a socket. May raise DeviceCrash."""
        if socket.talk is not self.talk or not self.is_on:
            return []
        now = self.mono_ms
        if isinstance(what, Opening):
            if is_served:
                return self.talk.opened(socket.generation, now)
            what = Close(1006)
        if isinstance(what, Close):
            if socket is self.socket:
                self.socket = None
            return self.talk.closed(socket.generation, what.code, "", now)
        is_current = socket.generation == self.talk.session.generation
        before = self._numbered() if isinstance(what.frame, Ack) and is_current else {}
        had_reset = self.replica.meta.reset if isinstance(what.frame, Changes) else None
        had = self.disputes(self.base()) if isinstance(what.frame, Welcome) else set()
        try:
            return self.talk.received(socket.generation, what.text, now)
        finally:  # also after a crash: the store knows whether it came before the commit
            if is_current:
                with self.store.quietly():
                    self._note(what, before, had_reset)
                self.dropped |= had - self.disputes(self.base()) if had else set()

    # --- what the diary says

    def _numbered(self) -> dict[int, tuple[int, str]]:
        """local and stamp by number."""
        found = self.store.peek("SELECT number, local, stamp FROM outbox WHERE number NOT NULL")
        return {number: (local, stamp) for number, local, stamp in found}

    def open_numbers(self) -> set[int]:
        """Numbers that were given and not answered."""
        return set(self._numbered())

    def queue(self) -> dict[int, str]:
        """State by local."""
        return dict(self.store.peek("SELECT local, state FROM outbox ORDER BY local"))

    def parked_values(self) -> set[tuple[str, str, str, str]]:
        """(entity, id, field, stamp) of what waits in the queue for a newer server."""
        with self.store.quietly():
            parked = self.store.entries_in("parked")
        return {(*each.key, name, each.stamp) for each in parked for name in each.fields}

    def note_made(self, before: Mapping[int, str]) -> None:
        """After something that a person did: there may be new entries, and some are gone."""
        after = self.queue()
        new = [local for local in after if local not in before]
        for local in new:
            found = self.store.peek(f"SELECT entity, id, kind FROM outbox WHERE local = {local}")
            [(entity, row_id, kind)] = found
            self.diary.made[local] = Made((entity, row_id), kind)
        for local in before:
            if local not in after:
                made = self.diary.made[local]
                require(not made.ends or made.ends in ("refused", "parked"), "it had an end", made)
                made.ends, made.into = ("folded", new[0]) if new else ("given up", 0)

    def _note(self, down: Down, before: dict[int, tuple[int, str]], had_reset: str | None) -> None:
        if isinstance(down.frame, Ack):
            if down.frame.of == "push":
                self._note_fates(down.frame, before)
            else:
                self._note_healed()
        elif isinstance(down.frame, Changes):
            self._note_read(down, had_reset)

    def _note_fates(self, ack: Ack, before: dict[int, tuple[int, str]]) -> None:
        queue = self.queue()
        if self._numbered() == before:
            return  # crashed before the commit, or all this was known
        for result in ack.results:
            if result.number not in before or result.fate == "settled":
                continue
            local, stamp = before[result.number]
            made = self.diary.made[local]
            is_open = made.ends in (
                "",
                "open",
                "parked",
                "healing",
            )  # what healed may be open again
            require(is_open, f"{local} has one fate", made, result)
            made.stamp, made.life = result.stamp or stamp, self.oracle.state.life
            if result.fate == "refused":
                made.ends = queue.get(local, "gone")
                if made.ends == "open" and result.code == "unknown":
                    made.ends = "parked"  # a repeated answer: known by now, and sent again
                require(made.ends in ("refused", "parked", "healing"), "it stays", made, result)
                continue
            made.ends = "parked" if result.unknown and local in queue else result.fate
            if result.unknown and made.kind != "delete":
                is_kept = queue.get(local) in ("parked", "open")  # open: known by now
                require(is_kept, "what is unknown is kept", made, result)
            else:
                require(local not in queue, "a settled entry goes", made, result)
            self._check_order(local, made)

    def _check_order(self, local: int, made: Made) -> None:
        """A device's changes to one row keep their order, whoever re-stamped them.

        One that was superseded has left nothing to come before: all its fields lost to newer
        ones, and nobody can tell whether what was typed after it is stamped before it. Nor
        has one whose row was compacted since, or belongs to a life that has ended.
        """
        compacted = self.oracle.compacted.get(made.key, "")
        stands_at = newest(self.oracle.rows.get(made.key, {}))
        for other, each in self.diary.made.items():
            is_there = each.ends == "applied" and compacted < each.stamp <= stands_at
            is_there = is_there and each.life == made.life
            if other < local and each.key == made.key and is_there:
                require(each.stamp < made.stamp, f"{other} before {local}", each, made)

    def _note_healed(self) -> None:
        queue = self.queue()
        for local, made in self.diary.made.items():
            if made.ends == "healing":
                made.ends = queue.get(local, "healed")

    # --- what it has read

    def base(self) -> Rows:
        """The base, as cells; packed rows that did not change are not unpacked again."""
        rows: Rows = {}
        cells: dict[tuple[Any, ...], Cells] = {}
        found = self.store.peek("SELECT entity, id, fields, stamp, stamps FROM base")
        for packed in found:
            known = self._cells.get(packed)
            if known is None:
                fields = _decode_fields(packed[2])
                stamps = msgspec.json.decode(packed[4]) if packed[4] else {}
                known = {
                    name: Cell(stamps.get(name, packed[3]), value) for name, value in fields.items()
                }
            cells[packed] = known
            rows[packed[0], packed[1]] = known
        self._cells = cells
        return rows

    def kept(self) -> set[Key]:
        """Rows of its base that the server has no more."""
        return set(self.store.peek("SELECT entity, id FROM base WHERE is_kept"))  # type: ignore[arg-type]

    def _note_read(self, down: Down, had_reset: str | None) -> None:
        """At each end of a walk the device holds what the server held, and nothing older."""
        meta = self.replica.meta
        read_before, base_before = self._base_before
        if had_reset is not None and meta.reset is None:
            read_before, base_before = -1, {}
            if had_reset != "restored" or meta.role == "viewer":
                self.owes = {}
            if had_reset == "operator":
                self.ended = self.kept()
        if meta.is_walking or meta.cursor != down.frame.cursor:
            return
        base = self.base()
        require(meta.read_seq >= read_before, "a device reads on", read_before, meta.read_seq)
        for key, cells in base_before.items():
            now = base.get(key, {})  # a conflict goes after 90 days
            if key in self.oracle.compacted:
                continue  # it may have come back with less than the tombstone held
            for name, cell in cells.items():
                if name in now:
                    require(now[name].stamp >= cell.stamp, "nothing older is read", key, name)
        kept = self.kept()
        self._base_before = (
            meta.read_seq,
            {key: cells for key, cells in base.items() if key not in kept},
        )
        self._compare_with(base, down.rows or {}, down.disputes)

    def _compare_with(self, base: Rows, server: Rows, disputes: frozenset[Any]) -> None:
        nodes, kept = self.replica.own_nodes(self.replica.meta), self.kept()
        mine: Rows = {}
        for key, cells in base.items():
            theirs = server.get(key, {})
            if key[0] == "conflict" or key in kept:
                continue
            if not theirs:
                if not cells[EXISTS].value and key in self.oracle.compacted:
                    continue
                if all(cell.stamp[18:] in nodes for cell in cells.values()):
                    continue  # acknowledged, and newer than the page
            mine[key] = {}
            for name, cell in cells.items():
                their = theirs.get(name, Cell("", None))
                if cell.stamp > their.stamp and cell.stamp[18:] in nodes:
                    if name in theirs:  # acknowledged, and newer than the page
                        mine[key][name] = their
                else:
                    mine[key][name] = cell
        facts = difference(mine, self.oracle.without_compacted(server, mine))
        require(not facts, "a complete walk shows what the server held (mine, its)", *facts)
        missing = set(disputes) - self.disputes(base) - self.dropped
        require(not missing, "conflicts reach the device", *sorted(missing))

    def disputes(self, base: Rows) -> set[Dispute]:
        return {
            Dispute(*(cells[name].value for name in _DISPUTE))
            for key, cells in base.items()
            if key[0] == "conflict"
        }


_DISPUTE = ("rowEntity", "rowId", "field", "winningStamp", "losingStamp")
