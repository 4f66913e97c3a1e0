"""One hostile device against a real server, and others that must not notice.

Each frame gets a code or the answer of a good frame; a hostile one gets the door, with a
documented close code. Frames of a good shape that mean nonsense are part of it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from websockets.exceptions import ConnectionClosed

from syncapp.core import messages
from syncapp.core.errors import FRAME_ERRORS, REFUSAL_CODES, SyncError
from syncapp.tests.faults.nonsense import Source
from syncapp.tests.socket.phone import Phone

# 1007 and 1009 are WebSocket's own (no UTF-8, too large); 1012 brings a device back.
CLOSE_CODES = {1007, 1009, 1012, 4400, 4403, 4413, 4429}
ERROR_CODES = {error.code for error in FRAME_ERRORS} - {"internal"}
# A socket may send a burst of 200; each frame here is followed by a ping that shows its end.
FRAMES_OF_A_SOCKET = 90
A_BYSTANDER_WAITS_AT_MOST_S = 5


class Fuzz:
    """tally: how many frames came to which end."""

    def __init__(self, hostile: Phone, bystander: Phone, seed: int) -> None:
        self._hostile = hostile
        self._bystander = bystander
        self._source = Source(seed, hostile.id, hostile.node)
        self._left = 0
        self.tally: Counter[str] = Counter()
        self.slowest_bystander_s = 0.0

    def run(self, frames: int) -> Iterator[int]:
        """Send so many; yields the number sent so far now and then.

        Raises AssertionError with the frame that was answered wrongly.
        """
        for sent in range(1, frames + 1):
            self._one()
            if sent % 200 == 0:
                self._look_at_the_bystander()
                yield sent
        self._look_at_the_bystander()
        self._hostile.hang_up()
        self._left = 0

    def _one(self) -> None:
        if self._left == 0:
            self._connect()
        name, data, is_text = self._source.next()
        ends = self._send(data, is_text)
        try:
            self._judge(data, is_text, ends)
        except AssertionError as error:
            raise AssertionError(f"{error} after {name}: {data[:2000]!r} -> {ends}") from error
        self.tally.update([f"{name}: {self._in_a_word(ends)}"])

    def _connect(self) -> None:
        self._hostile.connect()
        hello = self._hostile.hello_frame(cursor=None, household={"name": "Fuzz"})
        self._hostile.say(hello)
        while self._hostile.hear()["type"] != "welcome":
            pass
        self._left = FRAMES_OF_A_SOCKET

    def _send(self, data: bytes, is_text: bool) -> list[dict[str, Any]]:
        """Send, and return what came back; the last is a pong or {"close": code}."""
        socket = self._hostile.socket
        assert socket is not None
        self._left -= 1
        answers: list[dict[str, Any]] = []
        try:
            with suppress(ConnectionClosed):  # the reason is heard below
                socket.send(data, text=is_text)
                socket.send('{"type":"ping","pending":7}')
            while True:
                answers.append(self._hostile.hear())
                if answers[-1]["type"] == "pong" and self._is_last_pong(data, answers):
                    return answers
        except ConnectionClosed as closed:
            self._left = 0
            return [*answers, {"close": closed.rcvd.code if closed.rcvd else 1006}]

    def _is_last_pong(self, data: bytes, answers: list[dict[str, Any]]) -> bool:
        """A frame that is a good ping itself is answered by a pong of its own."""
        pongs = sum(answer["type"] == "pong" for answer in answers)
        return pongs == (2 if _kind_of(data) == "ping" else 1)

    def _judge(self, data: bytes, is_text: bool, ends: list[dict[str, Any]]) -> None:
        errors = [each for each in ends if each.get("type") == "error"]
        for error in errors:
            assert error["code"] in ERROR_CODES, "no such code"
            assert 0 < len(error["message"]) < 300, "no sentence"
        for ack in (each for each in ends if each.get("type") == "ack"):
            for result in ack.get("results", []):
                assert result["fate"] in ("applied", "superseded", "refused", "settled")
                assert result["fate"] != "refused" or result["code"] in REFUSAL_CODES
        code = ends[-1].get("close")
        # A frame that is too large is not read to its end, and then TCP may lose the last word.
        is_cut_off = code == 1006 and len(data) > messages.FRAME_MAX_BYTES
        assert code is None or code in CLOSE_CODES or is_cut_off, "no such close code"
        kind = _kind_of(data) if is_text else ""
        if not kind:
            assert errors or code in (1007, 1009) or is_cut_off, "no code for a bad frame"
        elif kind in ("push", "rows"):
            assert errors or any(each.get("type") == "ack" for each in ends), "no ack"
        elif kind == "hello":
            assert errors, "a second hello"

    def _in_a_word(self, ends: list[dict[str, Any]]) -> str:
        code = ends[-1].get("close")
        errors = [each["code"] for each in ends if each.get("type") == "error"]
        return " ".join([*errors, *([f"close {code}"] if code else [])]) or "answered"

    def _look_at_the_bystander(self) -> None:
        """It pushes, and gets its own change back, as if nobody else were there."""
        began_s = time.monotonic()
        change = self._bystander.new_group("bystander")
        self._bystander.push(change)
        seen = {"ack": False, "changes": False}
        while not all(seen.values()):
            frame = self._bystander.hear()
            assert frame["type"] in ("ack", "changes", "news"), frame
            if frame["type"] == "ack":
                assert frame["results"][0]["fate"] == "applied", frame
                self._bystander.acknowledged = change["number"]
                seen["ack"] = True
            elif frame["type"] == "changes":
                self._bystander.cursor = frame["cursor"]
                self._bystander.pull(ask=False)
                seen["changes"] |= any(row["id"] == change["id"] for row in frame["rows"])
        took_s = time.monotonic() - began_s
        self.slowest_bystander_s = max(self.slowest_bystander_s, took_s)
        assert took_s < A_BYSTANDER_WAITS_AT_MOST_S, f"a bystander waited for {took_s:.1f} s"


def _kind_of(data: bytes) -> str:
    """The type of a frame that our own parser takes, or ""."""
    try:
        return type(messages.text_to_up(data.decode())).__struct_config__.tag  # type: ignore[return-value]
    except (SyncError, UnicodeDecodeError):
        return ""
