"""A device's conversation with its server, as a total state machine.

    offline -> connecting -> greeting -> pulling -> healing -> pushing -> idle
       ^________________________________________________________________|
    stopped: until its person does something (signs in, updates, is invited again)

`step` takes any event in any phase. It decides what is sent and when; what the frames hold,
and what they do to the store, is the replica's business, which tells its `Facts` with every
event. Time (monotonic milliseconds) and chance are passed in; nothing here reads a clock.

Each connection has a generation: whatever an old socket still says is ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from .messages import HEARTBEAT_S

Phase = Literal[
    "offline", "connecting", "greeting", "pulling", "healing", "pushing", "idle", "stopped"
]
CONVERSING: frozenset[Phase] = frozenset({"pulling", "healing", "pushing", "idle"})
CONNECTED: frozenset[Phase] = CONVERSING | {"greeting"}

BEAT_MS = HEARTBEAT_S * 1000
BEATS_MISSED_MAX = 2
# A timer this late means that the machine slept: its socket is dead, whatever it says.
# Browsers let a hidden tab's timers run once a minute, so not less.
SLEPT_MS = 90_000
CONNECT_TIMEOUT_MS = 20_000
ANSWER_TIMEOUT_MS = 60_000
EVIDENCE_MAX_AGE_MS = BEAT_MS + 5_000  # one beat, and the time its answer may take

BACKOFF_BASE_MS = 1_000
BACKOFF_CAP_MS = 60_000
SOON_MS = 3_000  # all devices of a restarting server come back spread over this
TOO_FAST_MS = 5_000

CLOSE_NORMAL = 1000

# What a close code means; all others back off.
SOON_CODES = frozenset({1012, 1013})
STOP_REASONS = {4401: "sign_in", 4403: "not_allowed", 4426: "upgrade_needed"}
TOO_FAST_CODE = 4429
# The errors that go before a 4403, and say more than the close code.
NOT_ALLOWED = frozenset({"not_yours", "forbidden", "creation_limit", "email_unverified"})
# Only signing in or an update ends these; asking again would not.
FIRM_REASONS = frozenset({"sign_in", "upgrade_needed", "left"})
CLOSE_GRACE_MS = 2_000  # the close that follows an error to hello


@dataclass(frozen=True, slots=True)
class Facts:
    """What the replica holds at the moment of an event.

    read_seq: read completely up to here. is_walking: a walk of several pages, or a reset,
    is not complete, or nothing was ever read: there is no cursor. has_rows: something to
    heal, or the empty list is not reported yet. has_changes: something to push. may_write:
    the role allows it.
    """

    read_seq: int = 0
    is_walking: bool = False
    has_rows: bool = False
    has_changes: bool = False
    may_write: bool = True


# --- events ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opened:
    generation: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The socket is gone, or never came to be (code 1006)."""

    generation: int
    code: int = 1006


@dataclass(frozen=True, slots=True)
class Welcomed:
    """says_hello_again: the replica has to, under a new identity or because it heals."""

    generation: int
    head: int
    says_hello_again: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """A `changes` frame has been handled.

    is_gap: it lay ahead and was not stored. is_empty: it held no rows and costs no credit.
    """

    generation: int
    head: int
    more: bool = False
    is_gap: bool = False
    is_empty: bool = False


@dataclass(frozen=True, slots=True)
class Acked:
    """says_hello_again: the answer has shown that this device is a copy of another."""

    generation: int
    of: Literal["push", "rows"] = "push"
    says_hello_again: bool = False


@dataclass(frozen=True, slots=True)
class HeadHeard:
    """`news` or `pong`."""

    generation: int
    head: int
    is_pong: bool = False


@dataclass(frozen=True, slots=True)
class SyncRequested:
    generation: int
    id: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An `error` frame. is_moved: the household has moved to a fresh id because of it."""

    generation: int
    of: str
    code: str
    retryable: bool = False
    retry_after_ms: int = 0
    is_moved: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame that only says that the server is at work: `provisioning`, `status`."""

    generation: int


@dataclass(frozen=True, slots=True)
class Edited:
    """The queue has a new entry."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A person asks for a sync, the network is back, or the app is visible again."""


@dataclass(frozen=True, slots=True)
class Unblocked:
    """Signed in again, or the app was updated."""


@dataclass(frozen=True, slots=True)
class Left:
    """The program ends the conversation for good."""


@dataclass(frozen=True, slots=True)
class Timer:
    """Time has passed; at the latest at `wake_at`."""


Event = (
    Opened
    | Closed
    | Welcomed
    | Stored
    | Acked
    | HeadHeard
    | SyncRequested
    | Failed
    | Heard
    | Edited
    | Asked
    | Unblocked
    | Left
    | Timer
)


# --- actions -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connect:
    generation: int


@dataclass(frozen=True, slots=True)
class Disconnect:
    generation: int
    code: int = CLOSE_NORMAL


@dataclass(frozen=True, slots=True)
class SendHello:
    pass


@dataclass(frozen=True, slots=True)
class SendPull:
    ask: bool


@dataclass(frozen=True, slots=True)
class SendRows:
    pass


@dataclass(frozen=True, slots=True)
class SendPush:
    pass


@dataclass(frozen=True, slots=True)
class SendPing:
    pass


@dataclass(frozen=True, slots=True)
class SendReport:
    id: str
    outcome: Literal["done", "pending", "failed"]


Action = Connect | Disconnect | SendHello | SendPull | SendRows | SendPush | SendPing | SendReport


# --- state -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Session:
    """Where the conversation stands. Times are monotonic milliseconds.

    reason: why it is offline, stopped or does not push: an error's code or a word of ours.
    attempt: connections in a row that brought nothing; failures: frames in a row that were
    answered by a retryable error. hold_until_ms: the server asked for patience until then.
    awaits: the frame whose answer is open; is_asking: a pull with `ask` is unanswered.
    deadline_ms: when the open answer is overdue. may_push: False after an error that a
    repetition would not cure. head, heard_ms: the server's head and when it was told.
    requests: sync requests to be reported.
    """

    phase: Phase = "offline"
    generation: int = 0
    reason: str = ""
    attempt: int = 0
    failures: int = 0
    retry_at_ms: int = 0
    hold_until_ms: int = 0
    awaits: Literal["", "push", "rows"] = ""
    is_asking: bool = False
    deadline_ms: int | None = None
    may_push: bool = True
    is_moved: bool = False
    is_last_error_retryable: bool = False
    head: int = 0
    heard_ms: int | None = None
    beat_at_ms: int = 0
    beats_missed: int = 0
    requests: tuple[str, ...] = ()


def backoff_ms(attempt: int, chance: float, base_ms: int = BACKOFF_BASE_MS) -> int:
    """Full jitter: anywhere between nothing and a bound that doubles up to the cap.

    chance: random, 0 <= chance < 1. Marc Brooker 2015, Exponential Backoff And Jitter.
    """
    bound: int = min(BACKOFF_CAP_MS, base_ms * 2 ** min(max(attempt, 0), 16))
    return int(chance * bound)


def wake_at(session: Session) -> int | None:
    """When `Timer` is due, or None: then nothing happens by itself."""
    if session.phase == "stopped":
        return None
    if session.phase == "offline":
        return session.retry_at_ms
    times = [] if session.deadline_ms is None else [session.deadline_ms]
    if session.phase in CONVERSING:
        times.append(session.beat_at_ms)
        if session.hold_until_ms:
            times.append(session.hold_until_ms)
    return min(times, default=None)


def is_up_to_date(
    *,
    pending: int,
    parked: int,
    is_healing: bool,
    is_walking: bool,
    read_seq: int,
    head: int,
    heard_ms: int | None,
    now_ms: int,
) -> bool:
    """Whether "up to date" may be said: only with fresh evidence from the server.

    pending, parked: changes of this device that the server has not decided.
    head, heard_ms: the server's head as it was last told, and when (None: not in this
    connection); now_ms: of the same clock as heard_ms.
    """
    return (
        pending == 0
        and parked == 0
        and not is_healing
        and not is_walking
        and heard_ms is not None
        and 0 <= now_ms - heard_ms <= EVIDENCE_MAX_AGE_MS
        and read_seq == head
    )


# --- the machine ---------------------------------------------------------------------------

Step = tuple[Session, list[Action]]


def step(session: Session, event: Event, facts: Facts, now_ms: int, chance: float) -> Step:
    """The next state and what to do now. Total: every phase takes every event.

    facts: after the event has been taken into the store. chance: random, 0 <= chance < 1.
    """
    generation = getattr(event, "generation", session.generation)
    if generation != session.generation:
        return session, []  # a late word of a socket that is not ours any more
    return _HANDLERS[type(event)](session, event, facts, now_ms, chance)


def _on_opened(session: Session, event: Opened, facts: Facts, now_ms: int, chance: float) -> Step:
    if session.phase != "connecting":
        return session, []
    greeting = replace(session, phase="greeting", deadline_ms=now_ms + ANSWER_TIMEOUT_MS)
    return greeting, [SendHello()]


def _on_closed(session: Session, event: Closed, facts: Facts, now_ms: int, chance: float) -> Step:
    if session.phase in ("offline", "stopped"):
        return session, []
    code = event.code
    if session.is_moved:
        return _offline(session, now_ms, "moved", 0), []
    if code in STOP_REASONS and not session.is_last_error_retryable:
        says_more = code == 4403 and session.reason in NOT_ALLOWED
        return _stopped(session, session.reason if says_more else STOP_REASONS[code]), []
    if code in SOON_CODES:
        delay_ms = backoff_ms(session.attempt, chance, SOON_MS)
    else:
        delay_ms = backoff_ms(session.attempt, chance)
    if code == TOO_FAST_CODE:
        delay_ms += TOO_FAST_MS
    delay_ms = max(delay_ms, session.hold_until_ms - now_ms)
    reason = session.reason or ("restarting" if code in SOON_CODES else "unreachable")
    return _offline(session, now_ms, reason, delay_ms), []


def _on_welcomed(
    session: Session, event: Welcomed, facts: Facts, now_ms: int, chance: float
) -> Step:
    if session.phase != "greeting":
        return session, []
    if event.says_hello_again:
        return _anew(session, now_ms, chance)
    pulling = replace(
        session,
        phase="pulling",
        reason="",
        head=event.head,
        heard_ms=now_ms,
        beat_at_ms=now_ms + BEAT_MS,
        is_asking=True,
        deadline_ms=None,
    )
    return _advance(pulling, facts, now_ms, [SendPull(ask=True)])


def _on_stored(session: Session, event: Stored, facts: Facts, now_ms: int, chance: float) -> Step:
    if session.phase not in CONVERSING:
        return session, []
    heard = replace(session, head=event.head, heard_ms=now_ms)
    if event.is_gap:  # counts as news: the answer to a pull fills it
        return _ask(heard, facts, now_ms)
    # With more to come, the credit brings the next page.
    going = replace(_progressed(heard), is_asking=event.more)
    needs_no_credit = event.is_empty and not event.more
    return _advance(going, facts, now_ms, [] if needs_no_credit else [SendPull(ask=False)])


def _on_acked(session: Session, event: Acked, facts: Facts, now_ms: int, chance: float) -> Step:
    if session.phase not in CONVERSING:
        return session, []
    if event.says_hello_again:
        return _anew(session, now_ms, chance)
    if session.awaits == event.of:
        session = replace(_progressed(session), awaits="")
    return _advance(session, facts, now_ms, [])


def _on_head_heard(
    session: Session, event: HeadHeard, facts: Facts, now_ms: int, chance: float
) -> Step:
    if session.phase not in CONVERSING:
        return session, []
    session = replace(session, head=event.head, heard_ms=now_ms)
    if event.is_pong:
        session = replace(session, beats_missed=0)
    return _advance(session, facts, now_ms, [])


def _on_sync_requested(
    session: Session, event: SyncRequested, facts: Facts, now_ms: int, chance: float
) -> Step:
    if session.phase not in CONVERSING:
        return session, []
    session = replace(session, requests=(*session.requests, event.id)[-8:])
    return _ask(session, facts, now_ms)


def _on_failed(session: Session, event: Failed, facts: Facts, now_ms: int, chance: float) -> Step:
    if session.phase not in CONNECTED:
        return session, []
    session = replace(
        session,
        reason=event.code,
        is_moved=session.is_moved or event.is_moved,
        is_last_error_retryable=event.retryable,
    )
    if event.retryable or event.of == "pull":
        patience_ms = max(event.retry_after_ms, backoff_ms(session.failures, chance), 50)
        session = replace(
            session, failures=session.failures + 1, hold_until_ms=now_ms + patience_ms
        )
    if event.of in ("push", "rows"):
        session = replace(
            session,
            awaits="" if session.awaits == event.of else session.awaits,
            may_push=session.may_push and event.retryable,
        )
    elif event.of == "pull":
        session = replace(session, is_asking=False)
    if session.phase == "greeting":
        return replace(session, deadline_ms=now_ms + CLOSE_GRACE_MS), []
    return _advance(session, facts, now_ms, [])


def _on_heard(session: Session, event: Heard, facts: Facts, now_ms: int, chance: float) -> Step:
    if session.phase == "greeting":
        session = replace(session, deadline_ms=now_ms + ANSWER_TIMEOUT_MS)
    return session, []


def _on_edited(session: Session, event: Edited, facts: Facts, now_ms: int, chance: float) -> Step:
    # Offline: the retry timer runs regardless of what its person does.
    if session.phase not in CONVERSING:
        return session, []
    return _advance(session, facts, now_ms, [])


def _on_asked(session: Session, event: Asked, facts: Facts, now_ms: int, chance: float) -> Step:
    may_try = session.phase == "stopped" and session.reason not in FIRM_REASONS
    if session.phase == "offline" or may_try:
        return _connect(replace(session, attempt=0), now_ms)
    if session.phase in CONVERSING:
        return _ask(replace(session, hold_until_ms=0), facts, now_ms)
    return session, []


def _on_unblocked(
    session: Session, event: Unblocked, facts: Facts, now_ms: int, chance: float
) -> Step:
    if session.phase in ("offline", "stopped") and session.reason != "left":
        return _connect(replace(session, attempt=0), now_ms)
    return session, []


def _on_left(session: Session, event: Left, facts: Facts, now_ms: int, chance: float) -> Step:
    is_open = session.phase not in ("offline", "stopped")
    actions: list[Action] = [Disconnect(session.generation)] if is_open else []
    return _stopped(session, "left"), actions


def _on_timer(session: Session, event: Timer, facts: Facts, now_ms: int, chance: float) -> Step:
    if session.phase == "stopped":
        return session, []
    if session.phase == "offline":
        return _connect(session, now_ms) if now_ms >= session.retry_at_ms else (session, [])
    gone: list[Action] = [Disconnect(session.generation)]
    if session.deadline_ms is not None and now_ms >= session.deadline_ms:
        delay_ms = backoff_ms(session.attempt, chance)
        return _offline(session, now_ms, session.reason or "no_answer", delay_ms), gone
    if session.phase not in CONVERSING:
        return session, []
    if session.hold_until_ms and now_ms >= session.hold_until_ms:
        session = replace(session, hold_until_ms=0)
    if now_ms < session.beat_at_ms:
        return _advance(session, facts, now_ms, [])
    if now_ms - session.beat_at_ms > SLEPT_MS:
        return _offline(session, now_ms, "slept", 0), gone
    if session.beats_missed >= BEATS_MISSED_MAX:
        delay_ms = backoff_ms(session.attempt, chance)
        return _offline(session, now_ms, "no_answer", delay_ms), gone
    session = replace(session, beat_at_ms=now_ms + BEAT_MS, beats_missed=session.beats_missed + 1)
    return _advance(session, facts, now_ms, [SendPing()])


_Handler = Callable[..., Step]
_HANDLERS: dict[type, _Handler] = {
    Opened: _on_opened,
    Closed: _on_closed,
    Welcomed: _on_welcomed,
    Stored: _on_stored,
    Acked: _on_acked,
    HeadHeard: _on_head_heard,
    SyncRequested: _on_sync_requested,
    Failed: _on_failed,
    Heard: _on_heard,
    Edited: _on_edited,
    Asked: _on_asked,
    Unblocked: _on_unblocked,
    Left: _on_left,
    Timer: _on_timer,
}


# --- transitions ---------------------------------------------------------------------------


def _connect(session: Session, now_ms: int) -> Step:
    generation = session.generation + 1
    connecting = Session(
        phase="connecting",
        generation=generation,
        attempt=session.attempt,
        deadline_ms=now_ms + CONNECT_TIMEOUT_MS,
    )
    return connecting, [Connect(generation)]


def _offline(session: Session, now_ms: int, reason: str, delay_ms: int) -> Session:
    return Session(
        phase="offline",
        generation=session.generation,
        reason=reason,
        attempt=session.attempt + 1,
        retry_at_ms=now_ms + delay_ms,
    )


def _stopped(session: Session, reason: str) -> Session:
    return Session(phase="stopped", generation=session.generation, reason=reason)


def _anew(session: Session, now_ms: int, chance: float) -> Step:
    """The replica has to introduce itself anew: leave, and come back."""
    # Counted as an attempt: a server that takes every identity is not asked in a tight loop.
    delay_ms = 0 if session.attempt == 0 else backoff_ms(session.attempt, chance)
    return _offline(session, now_ms, "hello_again", delay_ms), [Disconnect(session.generation)]


def _progressed(session: Session) -> Session:
    """The server has answered: patience and the deadline of what is still open begin anew."""
    return replace(
        session,
        attempt=0,
        failures=0,
        reason=session.reason if not session.may_push else "",
        is_last_error_retryable=False,
        deadline_ms=None,
    )


def _ask(session: Session, facts: Facts, now_ms: int) -> Step:
    """Pull in any case, unless an answer is on its way already."""
    if session.is_asking or session.hold_until_ms > now_ms:
        return _advance(session, facts, now_ms, [])
    return _advance(replace(session, is_asking=True), facts, now_ms, [SendPull(ask=True)])


def _advance(session: Session, facts: Facts, now_ms: int, actions: list[Action]) -> Step:
    """Send what is next: pull up to the head, then heal, then push, then be idle."""
    is_held = session.hold_until_ms > now_ms
    is_behind = facts.is_walking or facts.read_seq != session.head
    if is_behind and not session.is_asking and not is_held:
        actions = [*actions, SendPull(ask=True)]
        session = replace(session, is_asking=True)
    if session.phase == "pulling" and is_behind:
        return _with_deadline(session, now_ms), actions
    may_send = facts.may_write and session.may_push
    awaits: Literal["", "push", "rows"] = ""
    if may_send and (facts.has_rows or facts.has_changes):
        awaits = "rows" if facts.has_rows else "push"
    phase: Phase = "idle"
    if session.awaits or awaits:
        phase = "healing" if (session.awaits or awaits) == "rows" else "pushing"
    if awaits and not session.awaits and not is_held:
        actions = [*actions, SendRows() if awaits == "rows" else SendPush()]
        session = replace(session, awaits=awaits)
    session = replace(session, phase=phase)
    if session.phase == "idle" and session.requests and not session.is_asking and not is_held:
        is_done = not (facts.has_rows or facts.has_changes)
        outcome: Literal["done", "failed"] = "done" if is_done else "failed"
        actions = [*actions, *(SendReport(each, outcome) for each in session.requests)]
        session = replace(session, requests=())
    return _with_deadline(session, now_ms), actions


def _with_deadline(session: Session, now_ms: int) -> Session:
    """A deadline while an answer is open, none otherwise."""
    if not (session.awaits or session.is_asking):
        return replace(session, deadline_ms=None)
    if session.deadline_ms is None:
        return replace(session, deadline_ms=now_ms + ANSWER_TIMEOUT_MS)
    return session
