"""The server is the referee of time: how far this device's clock is off."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low

SAMPLES_MAX = 9
# A sample that differs by more than its own uncertainty and this was taken on another clock.
STEP_MS = 1_000
# No answer is waited for as long: what seems to have taken longer is a clock that was set.
ROUND_TRIP_MAX_MS = 60_000


def add_sample(samples: Sequence[int], server_ms: int, sent_ms: int, received_ms: int) -> list[int]:
    """The recent samples of (server's clock minus ours), with that of one round trip.

    server_ms: what the server said; sent_ms, received_ms: our wall clock around it.
    When our clock was set meanwhile, what was measured before says nothing any more.
    """
    round_trip_ms = received_ms - sent_ms
    if not 0 <= round_trip_ms <= ROUND_TRIP_MAX_MS:
        # Our clock was set during the round trip; only what it shows now counts. Keeping the
        # old samples would bring what was typed before down to the time of the new clock.
        return [server_ms - received_ms]
    sample = server_ms + round_trip_ms // 2 - received_ms
    if samples and abs(sample - offset_of(samples)) > round_trip_ms // 2 + STEP_MS:
        return [sample]
    return [*samples, sample][-SAMPLES_MAX:]


def offset_of(samples: Sequence[int]) -> int:
    """The median: one slow round trip does not count."""
    return median_low(samples) if samples else 0
