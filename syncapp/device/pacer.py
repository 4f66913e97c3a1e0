"""Not more frames than a server takes from one socket."""

from __future__ import annotations

from syncapp.core.messages import FRAMES_BURST, FRAMES_PER_SECOND

# A little below the limits: the server measures on its own clock.
PER_SECOND = FRAMES_PER_SECOND * 0.9
BURST = FRAMES_BURST * 0.75


class Pacer:
    """A bucket of tokens, one for each frame. now_s: monotonic seconds."""

    def __init__(self, now_s: float) -> None:
        self._tokens, self._at = BURST, now_s

    def wait_s(self, now_s: float) -> float:
        """Take a token; how long to wait before the frame may be sent."""
        self._tokens = min(BURST, self._tokens + (now_s - self._at) * PER_SECOND)
        self._at = now_s
        self._tokens -= 1
        return max(-self._tokens / PER_SECOND, 0.0)
