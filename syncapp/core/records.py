"""What a household's server keeps beside the rows, as plain records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .messages import PROTOCOL, Result


@dataclass(slots=True)
class Head:
    """The one record that orders a household. Whoever writes holds its lock.

    epoch: which life of the household (32 hex); seq: number of the newest transaction;
    fingerprint: random, of that transaction (16 hex); stamp: the newest stamp accepted;
    horizon: the newest compacted delete stamp (H); compactions: how many there were;
    compacted_seq: the greatest seq of a compacted tombstone.
    """

    epoch: str
    seq: int
    fingerprint: str
    stamp: str = ""
    horizon: str = ""
    compactions: int = 0
    compacted_seq: int = 0


@dataclass(slots=True)
class Device:
    """What the server remembers of a device of this household.

    last_number: the greatest number it has handled or adopted; acknowledged: all numbers
    up to here are settled on the device; read_seq: the device has durably read up to here;
    reset: a reset reason that the device has not yet noted; is_healing: its heal list is
    not yet reported empty. pending, oldest_pending_ms (an age), refused and parked are the
    device's own words, of told_ms. left_ms: when its socket last ended; written by
    `presence.py` alone.
    """

    id: str
    user_id: str
    node: str
    former_nodes: list[str] = field(default_factory=list)
    name: str = ""
    app: str = ""
    last_number: int = 0
    acknowledged: int = 0
    read_seq: int = 0
    last_seen_ms: int = 0
    reset: str = ""
    is_healing: bool = False
    is_revoked: bool = False
    pending: int = 0
    oldest_pending_ms: int = 0
    refused: int = 0
    parked: int = 0
    clock_offset_ms: int = 0
    protocol: str = PROTOCOL
    told_ms: int = 0
    left_ms: int = 0

    @property
    def nodes(self) -> set[str]:
        return {self.node, *self.former_nodes}


class Located(NamedTuple):
    """A row (a `WireRow` on its way to a device) and the seq that last touched it."""

    seq: int
    row: Any


class StoredFate(NamedTuple):
    """The whole answer to a change, kept until the device names its number as acknowledged.

    digest: of the change's content. Copies of a device whose clocks read alike may give two
    changes the same number and the same stamp. entity, row_id: what it was about; kept of a
    refusal only.
    """

    key: str
    number: int
    stamp: str
    digest: str
    result: Result
    entity: str = ""
    row_id: str = ""


class NodeOwner(NamedTuple):
    device_id: str
    user_id: str
    name: str


@dataclass(slots=True, frozen=True)
class Conflict:
    """A value overruled by a newer one whose author had not seen it. Never changes."""

    id: str
    entity: str
    row_id: str
    field: str
    winning_value: Any
    winning_stamp: str
    winning_device: str | None
    winning_user: str | None
    losing_value: Any
    losing_stamp: str
    losing_device: str | None
    losing_user: str | None
    at_ms: int
