"""How fast a peer may speak, and who has spoken too fast.

The count is a socket's. Whoever emptied it does not get a full one by coming anew: the person's
next sockets share what is left, until it has filled up again.
"""

from __future__ import annotations

import asyncio
import time
from uuid import UUID


class TokenBucket:
    """So many frames a second, and a burst; monotonic time."""

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._left = burst
        self._at = time.monotonic()

    def take(self) -> bool:
        self._fill()
        if self._left < 1:
            return False
        self._left -= 1
        return True

    async def wait(self) -> None:
        """Take one, as soon as there is one."""
        while not self.take():  # noqa: ASYNC110  nobody tells when it is filled again
            await asyncio.sleep((1 - self._left) / self._per_second)

    def is_full(self) -> bool:
        self._fill()
        return self._left >= self._burst

    def _fill(self) -> None:
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now


# Of this process, and small: who is in it fills up within seconds, and then is forgotten.
_emptied: dict[UUID, TokenBucket] = {}


def remember(user_id: UUID, bucket: TokenBucket) -> None:
    """This person has emptied the bucket: it counts for their next sockets, too."""
    for known in [each for each, left in _emptied.items() if left.is_full()]:
        del _emptied[known]
    _emptied[user_id] = bucket


def bucket_for(user_id: UUID, per_second: float, burst: float) -> TokenBucket:
    """What a new socket of this person begins with."""
    left = _emptied.get(user_id)
    if left is not None and not left.is_full():
        return left
    return TokenBucket(per_second, burst)
