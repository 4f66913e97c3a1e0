"""Replica and session together: frames in, frames out, no socket and no clock of its own.

The asyncio client and the simulation drive it alike. Each call returns what to do now:
a frame's text to send, `Connect` or `Disconnect`.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from syncapp.core.messages import (
    Ack,
    Changes,
    DownFrame,
    Error,
    News,
    Pong,
    Provisioning,
    Status,
    SyncRequest,
    Welcome,
    encode,
    text_to_down,
)
from syncapp.core.session import (
    Acked,
    Action,
    Asked,
    Closed,
    Connect,
    Disconnect,
    Edited,
    Event,
    Failed,
    HeadHeard,
    Heard,
    Left,
    Opened,
    SendHello,
    SendPing,
    SendPull,
    SendPush,
    SendReport,
    SendRows,
    Session,
    Stored,
    SyncRequested,
    Timer,
    Unblocked,
    Welcomed,
    is_up_to_date,
    step,
    wake_at,
)

from .replica import Replica

Output = str | Connect | Disconnect
TOO_LARGE_CODES = frozenset({1009, 4413})


class Conversation:
    """now_ms, everywhere: a monotonic clock, not the wall clock. chance: random in [0, 1).

    last_error: the sentence of the latest `error` or status, for people; "" after success.
    """

    def __init__(self, replica: Replica, *, chance: Callable[[], float] = random.random) -> None:
        self.replica = replica
        self.session = Session()
        self.chance = chance
        self.last_error = ""
        self.provisioning: tuple[int, int] | None = None  # step, of

    # --- what happens --------------------------------------------------------------------

    def opened(self, generation: int, now_ms: int) -> list[Output]:
        return self._take(Opened(generation), now_ms)

    def closed(self, generation: int, code: int, reason: str, now_ms: int) -> list[Output]:
        if reason and generation == self.session.generation:
            self.last_error = reason
        if code in TOO_LARGE_CODES:
            # Somebody on the way takes less than the protocol allows.
            self.replica.carry_less(is_limit=True)
        return self._take(Closed(generation, code), now_ms)

    def received(self, generation: int, text: str | bytes, now_ms: int) -> list[Output]:
        """Raises BadFrame for what is no frame of the protocol; nothing is changed then."""
        if generation != self.session.generation:
            return []  # the store is not for a socket that is not ours any more
        return self._take(self._heard(generation, text_to_down(text)), now_ms)

    def edited(self, now_ms: int) -> list[Output]:
        """The queue has a new entry, made here or by another program on the same store."""
        return self._take(Edited(), now_ms)

    def asked(self, now_ms: int) -> list[Output]:
        """A person asks for a sync, or the network is back."""
        return self._take(Asked(), now_ms)

    def unblocked(self, now_ms: int) -> list[Output]:
        """Signed in again."""
        return self._take(Unblocked(), now_ms)

    def timer(self, now_ms: int) -> list[Output]:
        return self._take(Timer(), now_ms)

    def left(self, now_ms: int) -> list[Output]:
        return self._take(Left(), now_ms)

    def wake_at(self) -> int | None:
        """When to call `timer`; None: nothing happens by itself."""
        return wake_at(self.session)

    def is_up_to_date(self, now_ms: int) -> bool:
        """Whether there is evidence for green at this moment."""
        replica, facts = self.replica, self.replica.facts()
        return is_up_to_date(
            pending=replica.pending,
            parked=replica.parked_count,
            is_healing=facts.has_rows and facts.may_write,
            is_walking=facts.is_walking,
            read_seq=facts.read_seq,
            head=self.session.head,
            heard_ms=self.session.heard_ms,
            now_ms=now_ms,
        )

    # --- frames --------------------------------------------------------------------------

    def _heard(self, generation: int, frame: DownFrame) -> Event:
        """Take a frame into the store, and tell the session what it was."""
        replica = self.replica
        match frame:
            case Welcome():
                self.last_error, self.provisioning = "", None
                says_hello_again = replica.on_welcome(frame)
                return Welcomed(generation, frame.head, says_hello_again)
            case Changes():
                came_to = replica.on_changes(frame)
                if frame.rows and came_to == "stored":
                    replica.carry_more()
                return Stored(
                    generation,
                    frame.head,
                    more=frame.more and came_to == "stored",
                    is_gap=came_to == "gap",
                    is_empty=not frame.rows and came_to == "stored",
                )
            case Ack():
                is_copy = replica.on_ack(frame)
                replica.carry_more()
                return Acked(generation, frame.of, is_copy)
            case News():
                return HeadHeard(generation, frame.head)
            case Pong():
                replica.on_time(frame.time_ms)
                return HeadHeard(generation, frame.head, is_pong=True)
            case SyncRequest():
                return SyncRequested(generation, frame.id)
            case Error():
                self.last_error = frame.message
                is_moved = (
                    frame.of == "hello" and frame.code == "not_yours" and replica.move_household()
                )
                return Failed(
                    generation,
                    frame.of,
                    frame.code,
                    frame.retryable,
                    frame.retry_after_ms,
                    is_moved,
                )
            case Provisioning():
                self.provisioning = frame.step, frame.of
                return Heard(generation)
            case Status():
                self.last_error = frame.message if frame.state != "online" else ""
                return Heard(generation)

    def _take(self, event: Event, now_ms: int) -> list[Output]:
        facts = self.replica.facts()
        was_carrying = self.session.awaits != "" or self.session.is_asking
        self.session, actions = step(self.session, event, facts, now_ms, self.chance())
        if was_carrying and self.session.phase == "offline":
            self.replica.carry_less()
        return [self._output(action) for action in actions]

    def _output(self, action: Action) -> Output:
        replica = self.replica
        match action:
            case Connect() | Disconnect():
                return action
            case SendHello():
                return encode(replica.hello())
            case SendPull():
                return encode(replica.pull(ask=action.ask))
            case SendPush():
                return encode(replica.push())
            case SendRows():
                return encode(replica.rows_to_heal())
            case SendPing():
                return encode(replica.ping())
            case SendReport():
                return encode(replica.report(action.id, action.outcome))
