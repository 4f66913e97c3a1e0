"""Stamps: when a value was written, so that everybody agrees who wrote last.

A stamp is a hybrid logical clock value (Kulkarni et al. 2014, "Logical Physical
Clocks"): 48 bits of milliseconds since 1970 UTC, a 16-bit counter, a 64-bit node. Its
text form is fixed-width lowercase hex

    MMMMMMMMMMMM-CCCC-NNNNNNNNNNNNNNNN

so that text order is stamp order in Python, JavaScript and PostgreSQL (collation "C").
Everything outside this module compares stamps as text.

All time is passed in; nothing here reads a clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

COUNTER_MAX = 0xFFFF
MS_MAX = 0xFFFF_FFFF_FFFF
SERVER_NODE = "0" * 16
NO_STAMP = ""  # sorts before every stamp: "never written"

STAMP_PATTERN = "^[0-9a-f]{12}-[0-9a-f]{4}-[0-9a-f]{16}$"
NODE_PATTERN = "^[0-9a-f]{16}$"

# \Z, not $: "$" also matches before a final newline.
_STAMP = re.compile(r"[0-9a-f]{12}-[0-9a-f]{4}-[0-9a-f]{16}\Z")


class Stamp(NamedTuple):
    """A stamp in parts; tuple order is stamp order."""

    ms: int
    counter: int
    node: str


def stamp_to_text(stamp: Stamp) -> str:
    return f"{stamp.ms:012x}-{stamp.counter:04x}-{stamp.node}"


def text_to_stamp(text: str) -> Stamp:
    """Parse the text form. Raises ValueError for anything else, never a zero stamp."""
    if not isinstance(text, str) or not _STAMP.match(text):
        raise ValueError("not a stamp")
    return Stamp(int(text[:12], 16), int(text[13:17], 16), text[18:])


def is_stamp(text: object) -> bool:
    return isinstance(text, str) and _STAMP.match(text) is not None


def node_of(text: str) -> str:
    """The node of a stamp in text form ("" for NO_STAMP)."""
    return text[18:]


def ms_of(text: str) -> int:
    """The milliseconds since 1970 UTC of a stamp in text form."""
    return int(text[:12], 16)


def next_stamp(after: str, now_ms: int, node: str) -> str:
    """Return the first stamp of `node` that is not before now and later than `after`.

    after: a stamp in text form, or NO_STAMP.
    now_ms: wall clock, milliseconds since 1970, UTC; clamped to what a stamp can hold.

    A full counter moves the millisecond on by one, so it never fails. (Only at the last
    millisecond of the year 10889 there is nothing later; the last stamp is repeated.)
    """
    now_ms = min(max(now_ms, 0), MS_MAX)
    if after == NO_STAMP or now_ms > ms_of(after):
        return f"{now_ms:012x}-0000-{node}"
    ms, counter, _ = text_to_stamp(after)
    if counter < COUNTER_MAX:
        return f"{ms:012x}-{counter + 1:04x}-{node}"
    if ms < MS_MAX:
        return f"{ms + 1:012x}-0000-{node}"
    return f"{ms:012x}-{counter:04x}-{node}"


def newest(stamps: Iterable[str]) -> str:
    """The newest of some stamps; NO_STAMP of none."""
    return max(stamps, default=NO_STAMP)


class Clock:
    """One identity's clock: the newest stamp it has given or heard, and its node.

    The holder persists `last` together with whatever it stamped.
    """

    def __init__(self, node: str, last: str = NO_STAMP) -> None:
        self.node = node
        self.last = last

    def tick(self, now_ms: int, after: str = NO_STAMP) -> str:
        """A new stamp, later than everything given or heard and later than `after`."""
        self.last = next_stamp(max(self.last, after), now_ms, self.node)
        return self.last

    def observe(self, heard: Iterable[str]) -> None:
        """Hear a batch: the clock moves once, to its maximum."""
        self.last = max(self.last, newest(heard))
