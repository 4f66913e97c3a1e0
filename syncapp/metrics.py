"""What is counted while serving, for Prometheus.

A label never names a household, a person or a device, and never holds anything that a client
sent: its values come from closed lists of ours. Amounts are measured nowhere.

Counted in this process; `finwise/monitoring.py` answers for it at a port of its own.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable
from typing import TYPE_CHECKING, get_args

from prometheus_client import Counter, Gauge, Histogram

from .core.errors import FRAME_ERRORS, REFUSAL_CODES
from .core.messages import Fate, Result

if TYPE_CHECKING:
    from .rooms import Room

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

SOCKETS = Gauge("finwise_sockets", "Devices that are connected to this process.")
HOUSEHOLDS = Gauge("finwise_households_served", "Households with a device connected here.")
PUSH = Histogram("finwise_push_seconds", "From a push received to its answer.", buckets=SECONDS)
DELIVERY = Histogram(
    "finwise_delivery_seconds",
    "From a commit heard of here until a connected device has stored it.",
    buckets=SECONDS,
)
SOCKETS_BEHIND = Gauge(
    "finwise_sockets_behind", "Connected devices that have not read up to the head, each beat."
)
LAG = Gauge(
    "finwise_lag_transactions", "How far the furthest connected device is behind, each beat."
)
LISTENING = Gauge("finwise_listening", "1 while PostgreSQL's notifications are being heard.")

_changes = Counter("finwise_changes_total", "Changes by their fate.", ["fate"])
_refusals = Counter("finwise_refusals_total", "Refused changes by code.", ["code"])
_frames = Counter("finwise_frames_refused_total", "Frames not accepted, by code.", ["code"])

# Bound once: looking a label up costs more than counting. And a series that is there from the
# beginning shows its first increase.
_by_fate = {fate: _changes.labels(fate) for fate in get_args(Fate)}
_by_refusal = {code: _refusals.labels(code) for code in (*REFUSAL_CODES, "other")}
_by_frame = {code: _frames.labels(code) for code in (*(e.code for e in FRAME_ERRORS), "other")}


def note_answer(results: Iterable[Result], took_s: float) -> None:
    """A push was answered."""
    PUSH.observe(took_s)
    results = list(results)
    for fate, count in Tally(each.fate for each in results).items():
        _by_fate[fate].inc(count)
        if fate == "refused":
            for each in results:
                if each.fate == fate:
                    _by_refusal.get(each.code, _by_refusal["other"]).inc()


def note_refused_frame(code: str) -> None:
    """A frame was not accepted; it settled nothing."""
    _by_frame.get(code, _by_frame["other"]).inc()


def note_beat(rooms: Iterable[Room], *, is_listening: bool) -> None:
    """Once a beat: how far the devices here are behind what their households have."""
    behind = [
        room.head - socket.position.seq
        for room in rooms
        for socket in room.sockets
        if socket.position.seq < room.head
    ]
    SOCKETS_BEHIND.set(len(behind))
    LAG.set(max(behind, default=0))
    LISTENING.set(is_listening)
