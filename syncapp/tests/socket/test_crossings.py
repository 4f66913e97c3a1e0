"""Households hammered through one process over sockets: nobody's row is ever anybody else's."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.server import ServerThread

ROUNDS = 40


class Member:
    """A device that pushes, asks, vanishes in the middle, and comes back; it looks at every row."""

    def __init__(self, phone: Phone, mark: str, seed: int) -> None:
        self.phone, self.mark = phone, mark
        self._random = random.Random(seed)
        self.seen = 0

    def work(self) -> None:
        self.phone.online()
        for _ in range(ROUNDS):
            match self._random.randrange(5):
                case 0 | 1:
                    self.phone.push(self.phone.new_group(self.mark))
                case 2:
                    # Refused, so its transaction writes a fate and no row.
                    self.phone.push(self.phone.new_group("x" * 10_000))
                case 3:
                    self.phone.pull(ask=True, cursor=None)
                case _:
                    self._vanish()
                    continue
            self._hear_until_answered()
        self.phone.online()

    def _vanish(self) -> None:
        """Leave while a push is under way: its task is on a worker when the socket ends."""
        self.phone.push(self.phone.new_group(self.mark))
        assert self.phone.socket is not None
        self.phone.socket.socket.close()
        self.phone.socket = None
        self.phone.acknowledged = self.phone.number
        self.phone.cursor = None
        self.phone.id, self.phone.node = str(uuid.uuid4()), f"{self._random.getrandbits(64):016x}"
        self.phone.clock = type(self.phone.clock)(self.phone.node)
        self.phone.number = self.phone.acknowledged = 0
        self.phone.online()

    def _hear_until_answered(self) -> None:
        self.phone.say({"type": "ping"})
        while (frame := self.phone.hear())["type"] != "pong":
            self._look(frame)

    def _look(self, frame: dict[str, Any]) -> None:
        assert frame["type"] in ("changes", "ack", "news"), frame
        for row in frame.get("rows") or []:
            if isinstance(row, dict) and row["entity"] == "account_group":
                assert row["fields"]["name"] == self.mark, (row, self.mark)
                self.seen += 1
        if frame["type"] == "changes":
            self.phone.cursor = frame["cursor"]
            self.phone.pull(ask=False)


@pytest.mark.slow
def test_two_households_through_one_process_never_meet(
    households: Callable[[], Household], new_phone: Callable[..., Phone], server: ServerThread
) -> None:
    """L01, L02, L05, L06"""
    places = [households(), households()]
    members = [
        Member(new_phone(at=place), f"of {number}", seed=number * 10 + each)
        for number, place in enumerate(places)
        for each in range(4)
    ]
    with ThreadPoolExecutor(len(members)) as pool:
        list(pool.map(Member.work, members))
    assert sum(member.seen for member in members) > 100
    for number, place in enumerate(places):
        names = {row.fields["name"] for row in place.rows().values()}
        assert names == {f"of {number}"}
