"""Last write wins, field by field: the only place that decides who wins.

Every field carries the stamp of its last write. The greater stamp wins; at equal stamps
the greater canonical value wins, so an equal one is a repeat. The result does not depend
on order, repetition or grouping, which makes all replicas end equal.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from .change import Row, canonical_text
from .clock import NO_STAMP, node_of

_CONFLICT_NAMESPACE = uuid.UUID("6f1d4c1e-1c0f-5a52-9d5b-6d4c3f0f6a11")


def is_winner(stamp: str, value: Any, over_stamp: str, over_value: Any) -> bool:
    """Whether (stamp, value) beats (over_stamp, over_value). An equal one does not."""
    if stamp != over_stamp:
        return stamp > over_stamp
    return canonical_text(value) > canonical_text(over_value)


def merge(a: Row | None, b: Row) -> Row:
    """Merge two states of one row: commutative, associative, idempotent."""
    if a is None:
        return b.copy()
    merged = a.copy()
    for name, stamp in b.stamps.items():
        value = b.fields.get(name)
        if is_winner(stamp, value, merged.stamps.get(name, NO_STAMP), merged.fields.get(name)):
            merged.fields[name] = value
            merged.stamps[name] = stamp
    return merged


def is_same(a: Row | None, b: Row) -> bool:
    return a is not None and a.stamps == b.stamps and a.fields == b.fields


@dataclass(slots=True, frozen=True)
class Overruled:
    """A value that lost against one whose author had not seen it."""

    field: str
    winning_value: Any
    winning_stamp: str
    losing_value: Any
    losing_stamp: str


@dataclass(slots=True)
class Decision:
    """What a change does to a row."""

    row: Row
    won: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    overruled: list[Overruled] = field(default_factory=list)
    is_changed: bool = False  # False for a repeat: nothing to write, nobody to wake

    @property
    def fate(self) -> str:
        return "applied" if self.won else "superseded"


def decide(
    current: Row | None,
    entity: str,
    row_id: str,
    written: Mapping[str, Any],
    stamp: str,
    seen: Mapping[str, str],
    own_nodes: Collection[str],
) -> Decision:
    """Lay one change over a row.

    written: canonical values by field, existence included.
    seen: for each field the stamp that its author was shown when he began to edit.
    own_nodes: the nodes of the device that made the change; it cannot conflict with itself.

    A conflict is an overruled *different* value of another device: when the incoming value
    wins, only if its author had not seen the stored stamp; when it loses, always.
    """
    if current is None:  # nothing to win against
        row = Row(entity, row_id, dict(written), dict.fromkeys(written, stamp))
        return Decision(row, won=list(written), is_changed=bool(written))
    row = current.copy()
    decision = Decision(row)
    for name, value in written.items():
        stored_stamp = row.stamps.get(name, NO_STAMP)
        stored_value = row.fields.get(name)
        if stored_stamp == stamp and canonical_text(stored_value) == canonical_text(value):
            decision.won.append(name)  # a repeat: it has won before
            continue
        is_foreign = (
            stored_stamp != NO_STAMP
            and stored_value != value
            and node_of(stored_stamp) not in own_nodes
        )
        if is_winner(stamp, value, stored_stamp, stored_value):
            row.fields[name] = value
            row.stamps[name] = stamp
            decision.won.append(name)
            decision.is_changed = True
            if is_foreign and seen.get(name, NO_STAMP) != stored_stamp:
                decision.overruled.append(Overruled(name, value, stamp, stored_value, stored_stamp))
        else:
            decision.lost.append(name)
            if is_foreign:
                decision.overruled.append(Overruled(name, stored_value, stored_stamp, value, stamp))
    return decision


def conflict_id(entity: str, row_id: str, overruled: Overruled) -> str:
    """The same conflict has the same id wherever and however often it is found."""
    name = "/".join(
        (entity, row_id, overruled.field, overruled.winning_stamp, overruled.losing_stamp)
    )
    return str(uuid.uuid5(_CONFLICT_NAMESPACE, name))
