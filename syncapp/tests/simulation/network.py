"""Sockets of the simulation: frames in order within one, in any order between two.

A socket that is cut may still deliver a part of what was under way, late, to either side;
what is sent into it afterwards is lost.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from syncapp.core.messages import Pull
from syncapp.core.session import Disconnect

from .oracle import Rows


class Down(NamedTuple):
    """A frame to the device; for `changes` also what the server held when it was read."""

    text: str
    frame: Any
    rows: Rows | None = None
    disputes: frozenset[Any] = frozenset()


class Close(NamedTuple):
    code: int


class Opening(NamedTuple):
    """The handshake."""


@dataclass(eq=False)
class Socket:
    """talk: the device's conversation that opened it; another one after a crash."""

    device: Any
    talk: Any
    generation: int
    user: str
    up: deque[str | Disconnect] = field(default_factory=deque)
    down: deque[Down | Close | Opening] = field(default_factory=lambda: deque([Opening()]))
    is_cut: bool = False
    is_served: bool = False  # the server has a conversation on it
    # The server's side of the conversation.
    server: Any = None

    def send_up(self, text: str | Disconnect) -> None:
        if not self.is_cut:
            self.up.append(text)

    def send_down(self, what: Down | Close) -> None:
        if not self.is_cut:
            self.down.append(what)

    def cut(self, rng: random.Random) -> None:
        """Lose an end of what is under way in each direction, and all that would follow."""
        self.is_cut = True
        for queue in (self.up, self.down):
            keep = rng.randint(0, len(queue))
            while len(queue) > keep:
                queue.pop()


__all__ = ["Close", "Down", "Opening", "Pull", "Socket"]
