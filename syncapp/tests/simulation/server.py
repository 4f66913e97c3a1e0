"""The simulated server process: the real engine behind the protocol's rules of turn and credit.

The same decisions as `syncapp.conversation` and `syncapp.fanout`, without an event loop, so
that one seed decides what happens between any two transactions. Every commit is told to
the oracle, and the tables are compared with it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from syncapp import engine, greetings
from syncapp.core import messages
from syncapp.core.cursor import START, Cursor, Position, end_of, text_to_anchor, text_to_cursor
from syncapp.core.entity import describe, version_of
from syncapp.core.errors import Busy, NotYours, OutOfTurn, Restarting, SyncError
from syncapp.core.messages import Ack, Changes, Error, Hello, News, Ping, Pong, Pull, Push, Report
from syncapp.core.messages import Rows as RowsFrame
from syncapp.core.records import Head
from syncapp.core.session import Disconnect

from .ground import Ground, ServerDied
from .network import Close, Down, Socket
from .oracle import Key, Oracle, require


@dataclass(eq=False)
class Standing:
    """The server's side of one socket."""

    device_id: str = ""
    is_greeted: bool = False
    cursor: Cursor | None = None
    limit: int = messages.BATCH_MAX_ROWS
    outstanding: Position | None = None
    has_pulled: bool = False
    is_asked: bool = False
    has_news: bool = False
    anchor: str = ""  # of the newest ack, until a page has told as much
    acknowledged: int = 0
    is_healing: bool = False
    told_reset: str = ""

    @property
    def position(self) -> Position:
        return self.cursor.position if self.cursor is not None else START


class Server:
    """now_ms: its wall clock. batch_rows: the limit that it tells devices."""

    def __init__(
        self, ground: Ground, oracle: Oracle, rng: random.Random, now_ms: Callable[[], int]
    ) -> None:
        self.ground, self.oracle, self.rng, self.now_ms = ground, oracle, rng, now_ms
        self.sockets: list[Socket] = []
        self.is_up = True
        self.head = 0  # the newest heard in this process
        self._read_head: Head | None = None  # as it was read last
        self.batch_rows = messages.BATCH_MAX_ROWS
        self.busy = 0.0  # the probability that a call finds the database busy
        # Set to die at the next write: before its commit, or after it, before the answer.
        self.dies: str = ""
        self._told: dict[int, tuple[dict[str, Any], str]] = {}

    # --- sockets

    def serve(self, socket: Socket) -> None:
        socket.is_served, socket.server = True, Standing()
        self.sockets.append(socket)

    def drop(self, socket: Socket) -> None:
        socket.is_served = False
        socket.up.clear()
        if socket in self.sockets:
            self.sockets.remove(socket)

    def close(self, socket: Socket, code: int) -> None:
        socket.send_down(Close(code))
        self.drop(socket)

    def end(self, device_id: str) -> None:
        """All sockets of one device."""
        for socket in list(self.sockets):
            if socket.server.device_id == device_id:
                self.close(socket, Restarting.close_code)

    def restart(self, code: int) -> None:
        """All conversations end; what the process remembered is gone."""
        for socket in list(self.sockets):
            self.close(socket, code)
        self.head, self.dies, self._read_head = 0, "", None

    # --- frames

    def take(self, socket: Socket, text: str | Disconnect) -> None:
        """Handle one frame. Raises ServerDied if the process was to die in it."""
        if isinstance(text, Disconnect):
            self.drop(socket)
            return
        frame = messages.text_to_up(text)
        try:
            self._handle(socket, socket.server, frame)
        except SyncError as error:
            self._fail(socket, error, frame.__struct_config__.tag)

    def _fail(self, socket: Socket, error: SyncError, of: str = "") -> None:
        self._send(
            socket,
            Error(
                code=error.code,
                message=error.message,
                of=of,
                retryable=error.retryable,
                retry_after_ms=error.retry_after_ms or 0,
            ),
        )
        if error.close_code is not None:
            self.close(socket, error.close_code)

    def _send(self, socket: Socket, frame: Any, *state: Any) -> None:
        socket.send_down(Down(messages.encode(frame), frame, *state))

    def _handle(self, socket: Socket, standing: Standing, frame: messages.UpFrame) -> None:
        if isinstance(frame, Hello):
            self._hello(socket, standing, frame)
        elif not standing.is_greeted:
            raise OutOfTurn()
        elif isinstance(frame, Push):
            self._push(socket, standing, frame)
        elif isinstance(frame, RowsFrame):
            self._rows(socket, standing, frame)
        elif isinstance(frame, Pull):
            if standing.told_reset:
                told, standing.told_reset = standing.told_reset, ""
                self._call(greetings.note_reset, standing.device_id, self.now_ms(), told)
                self._after_commit()
            self._pull(standing, frame)
        elif isinstance(frame, Ping):
            self._note(socket, standing, frame)
            self._send(socket, Pong(time_ms=self.now_ms(), head=self.head))
        elif isinstance(frame, Report):
            said = Ping(pending=frame.pending, refused=frame.refused, cursor=frame.cursor)
            self._note(socket, standing, said)

    def _hello(self, socket: Socket, standing: Standing, hello: Hello) -> None:
        if standing.is_greeted:
            raise OutOfTurn()
        now_ms = self.now_ms()
        greeting = self._call(greetings.greet, hello, socket.user, now_ms)
        if not greeting.is_identity_taken:
            nodes = {hello.node, *hello.former_nodes}
            self.oracle.greeted(hello.device, nodes, hello.acknowledged)
        self._after_commit()
        standing.device_id = hello.device
        entities, version = self._entities()
        self._send(
            socket,
            messages.Welcome(
                time_ms=now_ms,
                head=greeting.head.seq,
                role=greeting.role,
                version=version,
                entities=entities,
                limits=messages.Limits(batch_rows=self.batch_rows),
                resume=greeting.resume,
                reset=greeting.reset,
                identity="taken" if greeting.is_identity_taken else "kept",
            ),
        )
        if greeting.is_identity_taken:
            self.close(socket, Restarting.close_code)
            return
        standing.is_greeted, standing.acknowledged = True, hello.acknowledged
        standing.anchor = "" if greeting.reset else hello.anchor
        standing.is_healing = greeting.is_healing
        standing.told_reset = greeting.reset or ""
        self.head = max(self.head, greeting.head.seq)

    def _entities(self) -> tuple[dict[str, Any], str]:
        known = self.ground.entities
        if id(known) not in self._told:
            self._told[id(known)] = describe(known), version_of(known)
        return self._told[id(known)]

    def _push(self, socket: Socket, standing: Standing, push: Push) -> None:
        now_ms = self.now_ms()
        apply_push = partial(engine.apply_push, anchor=standing.anchor)
        outcome = self._call(apply_push, standing.device_id, socket.user, push, now_ms)
        known = {name: list(each.fields) for name, each in self.ground.entities.items()}
        self.oracle.pushed(
            standing.device_id,
            push.changes,
            outcome.ack.results,
            push.acknowledged,
            known,
            now_ms,
            outcome.seq,
        )
        standing.acknowledged = max(standing.acknowledged, push.acknowledged)
        self._answer(socket, outcome)

    def _rows(self, socket: Socket, standing: Standing, frame: RowsFrame) -> None:
        now_ms = self.now_ms()
        device, _ = self.ground.read(_visitor, standing.device_id, socket.user)
        heal = partial(engine.apply_rows, is_healing=standing.is_healing, anchor=standing.anchor)
        outcome = self._call(heal, standing.device_id, socket.user, frame, now_ms)
        standing.is_healing = standing.is_healing and not frame.last
        incoming = []
        for wire in frame.rows:
            row = messages.wire_to_row(wire)
            incoming.append(((row.entity, row.id), row.fields, row.stamps))
        refused = [(each.entity, each.id, each.field) for each in outcome.ack.refused_rows]
        self.oracle.healed(
            incoming,
            refused,
            self.ground.rows(),
            now_ms,
            outcome.seq,
            is_healing=device.is_healing,
        )
        self._answer(socket, outcome)

    def _answer(self, socket: Socket, outcome: engine.Outcome) -> None:
        self._after_commit()
        ack: Ack = outcome.ack
        socket.server.anchor = ack.anchor
        self._send(socket, ack)
        if outcome.seq is not None:
            self.head = max(self.head, outcome.seq)

    def _pull(self, standing: Standing, pull: Pull) -> None:
        cursor = text_to_cursor(pull.cursor) if pull.cursor is not None else None
        if pull.cursor is not None and cursor is None:
            raise Restarting()
        standing.cursor, standing.limit = cursor, pull.limit
        standing.is_asked = standing.is_asked or pull.ask
        outstanding = standing.outstanding
        if outstanding is None or pull.ask or standing.position >= outstanding:
            standing.outstanding = None
            standing.has_news = False
            standing.has_pulled = True

    def _note(self, socket: Socket, standing: Standing, ping: Ping) -> None:
        who = (standing.device_id, socket.user)
        head = self._call(
            greetings.note_ping, *who, ping, self.now_ms(), standing.anchor, standing.acknowledged
        )
        self._after_commit()
        self.head = max(self.head, head.seq)

    # --- pages and news

    def due(self) -> list[Socket]:
        """Sockets to which something is to be said."""
        found = []
        head = end_of(self.head)
        for socket in self.sockets:
            standing = socket.server
            if not standing.is_greeted:
                continue
            is_behind = standing.position < head
            may_get_rows = standing.has_pulled and standing.outstanding is None
            may_tell = not may_get_rows and not standing.has_news
            if (may_get_rows and standing.is_asked) or (is_behind and (may_get_rows or may_tell)):
                found.append(socket)
        return found

    def deliver(self, socket: Socket) -> None:
        """One page, or news, to a socket that is due it."""
        standing: Standing = socket.server
        if not (standing.has_pulled and standing.outstanding is None):
            standing.has_news = True
            self._send(socket, News(head=self.head))
            return
        try:
            page = self.ground.read(
                _page, standing.anchor, standing.cursor, socket.user, standing.limit
            )
        except engine.CursorLost:
            standing.is_asked = standing.has_pulled = standing.has_news = False
            self._fail(socket, Restarting())
            return
        except SyncError as error:
            standing.is_asked = standing.has_pulled = standing.has_news = False
            self._fail(socket, error)
            return
        if not self._learn(page.head):
            return
        anchor = text_to_anchor(standing.anchor)
        if anchor is not None and anchor[0] <= page.head.seq:
            standing.anchor = ""
        if page.cursor == standing.cursor and not standing.is_asked:
            return
        standing.is_asked = False
        standing.cursor = page.cursor
        if page.rows:
            standing.outstanding = page.cursor.position
        frame = Changes(
            rows=[messages.row_to_wire(row) for row in page.rows],
            start=page.start,
            to=page.to,
            cursor=page.cursor.to_text(),
            more=page.more,
            head=page.head.seq,
        )
        self._send(socket, frame, self.oracle.rows, self.oracle.disputes)

    def hear_head(self) -> None:
        """The beat: the head is read from the database."""
        self._learn(self.ground.head())

    def _learn(self, head: Head) -> bool:
        """Take a head that was read. False: of another past, and all conversations end."""
        known, self._read_head = self._read_head, head
        is_other = known is not None and (
            head.seq < known.seq
            or (head.seq == known.seq and head.fingerprint != known.fingerprint)
        )
        if is_other:
            self.restart(Restarting.close_code)
            return False
        self.head = head.seq
        return True

    # --- one transaction

    def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        dies, self.dies = self.dies, ""
        if self.busy and self.rng.random() < self.busy:
            raise Busy(retry_after_ms=self.rng.choice([0, 200]))
        self._pending_death = dies == "after"
        return self.ground.call(function, *args, dies_before_commit=dies == "before")

    def _after_commit(self) -> None:
        """The oracle has heard of it; if this process is to die, it dies now."""
        self.compare()
        if self._pending_death:
            self._pending_death = False
            raise ServerDied

    def compare(self) -> None:
        """The tables hold what the oracle expects."""
        state = self.oracle.state
        head = self.ground.head()
        require(head.seq == state.seq, f"seqs have no hole: {head.seq}, {state.seq}")
        found = self.ground.rows()
        if found != state.rows:
            raise_difference(found, state.rows)
        conflicts = self.ground.conflicts()
        require(
            conflicts.keys() == state.conflicts.keys(),
            "each overruled, unseen value is a conflict, once",
            sorted(conflicts.keys() - state.conflicts.keys()),
            sorted(state.conflicts.keys() - conflicts.keys()),
        )
        for key, each in conflicts.items():
            require(each[:2] == state.conflicts[key][:2], "both values are told", key, each)
        # Server stamps are told by the head; a stamp that was not accepted must not lift it.
        state.stamp = max(state.stamp, head.stamp)
        require(state.horizon == head.horizon, "the horizon", state.horizon, head.horizon)


def _page(repository: Any, anchor: str, *args: Any) -> Any:
    page = engine.changes_since(repository, *args)
    if engine.is_lost(repository, page.head, anchor):
        raise engine.CursorLost("restored")
    return page


def _visitor(repository: Any, device_id: str, user_id: str) -> Any:
    return repository.visitor(device_id, user_id)


def raise_difference(found: dict[Key, Any], expected: dict[Key, Any]) -> None:
    facts = difference(found, expected)
    require(not facts, "the server holds what was accepted (field: found, expected)", *facts)


def difference(found: dict[Key, Any], expected: dict[Key, Any]) -> list[Any]:
    facts: list[Any] = []
    for key in sorted({*found, *expected}):
        mine, theirs = found.get(key), expected.get(key)
        if mine is None or theirs is None:
            if mine != theirs:
                facts.append((key, "found" if theirs is None else "missing", mine or theirs))
            continue
        for name in sorted({*mine, *theirs}):
            if mine.get(name) != theirs.get(name):
                facts.append((key, name, mine.get(name), theirs.get(name)))
    return facts


__all__ = ["NotYours", "Server", "Standing", "difference"]
