"""How far a device has read. Opaque to the device; nothing in it is secret or trusted.

A forged cursor can only make its own device read something twice or again: a cursor of
another household carries another epoch, and rows always come from the socket's household.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import NamedTuple

_TEXT = re.compile(
    r"(?P<epoch>[0-9a-f]{32})"
    r"\.(?P<seq>[0-9]{1,18})\.(?P<entity>[a-z_]{0,40})"
    # An id or none: anything else would first be noticed by the database.
    r"\.(?P<id>(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?)"
    r"\.(?P<anchor>[0-9]{1,18})\.(?P<fingerprint>[0-9a-f]{16})\.(?P<mark>[0-9]{1,18})\Z",
    re.ASCII,
)

_ANCHOR = re.compile(r"(?P<seq>[0-9]{1,18})\.(?P<fingerprint>[0-9a-f]{16})\Z", re.ASCII)


class Position(NamedTuple):
    """A place in the order (seq, entity, id) in which rows are read.

    entity "" sorts before every entity; `END_OF_SEQ` sorts after.
    """

    seq: int
    entity: str
    id: str


END_OF_SEQ = "zzzz"
START = Position(0, "", "")


def end_of(seq: int) -> Position:
    """The place behind every row of this seq."""
    return Position(seq, END_OF_SEQ, "")


@dataclass(frozen=True, slots=True)
class Cursor:
    """epoch: which life of the household; position: read up to here.

    anchor_seq, anchor_fingerprint: the head in whose snapshot the last page was read.
    mark: the number of compactions when this walk began.
    """

    epoch: str
    position: Position
    anchor_seq: int
    anchor_fingerprint: str
    mark: int

    def to_text(self) -> str:
        seq, entity, row_id = self.position
        return (
            f"{self.epoch}.{seq}.{entity}.{row_id}"
            f".{self.anchor_seq}.{self.anchor_fingerprint}.{self.mark}"
        )

    def at(self, position: Position) -> Cursor:
        return replace(self, position=position)


def anchor_to_text(seq: int, fingerprint: str) -> str:
    """The anchor that an ack names: the household's head when it was written."""
    return f"{seq}.{fingerprint}"


def text_to_anchor(text: str) -> tuple[int, str] | None:
    """(seq, fingerprint); None for anything that is not an anchor."""
    match = _ANCHOR.match(text)
    return None if match is None else (int(match["seq"]), match["fingerprint"])


def text_to_cursor(text: str) -> Cursor | None:
    """Parse; None for anything that is not a cursor (the device then starts over)."""
    match = _TEXT.match(text)
    if match is None:
        return None
    return Cursor(
        epoch=match["epoch"],
        position=Position(int(match["seq"]), match["entity"], match["id"]),
        anchor_seq=int(match["anchor"]),
        anchor_fingerprint=match["fingerprint"],
        mark=int(match["mark"]),
    )
