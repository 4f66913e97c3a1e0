"""Rows and changes as the merge sees them.

A row is a value and a stamp for each field. Existence is a field like the others,
`exists`: a delete writes False, every other change writes True.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

EXISTS = "exists"
EVERY_OTHER_FIELD = "*"  # in packed stamps: the stamp of each field that is not named


@dataclass(slots=True)
class Row:
    """One row of one household: values by field, stamps by field (text form).

    A field without a stamp was never written; it has no value either.
    """

    entity: str
    id: str
    fields: dict[str, Any] = field(default_factory=dict)
    stamps: dict[str, str] = field(default_factory=dict)

    @property
    def is_here(self) -> bool:
        return bool(self.fields.get(EXISTS, False))

    @property
    def newest_stamp(self) -> str:
        return max(self.stamps.values(), default="")

    def copy(self) -> Row:
        return Row(self.entity, self.id, dict(self.fields), dict(self.stamps))


def written_by(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a change of this kind writes: its fields, and existence."""
    return {**fields, EXISTS: kind != "delete"}


def canonical_text(value: Any) -> str:
    """One text per canonical value, the same in both languages: the tie-breaker.

    Values are JSON scalars (text in NFC, decimals as canonical text), so compact JSON with
    UTF-8 is enough. Compared by code points.
    """
    return msgspec.json.encode(value).decode()


def pack_stamps(stamps: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Split stamps into the most frequent one and the exceptions by field.

    Most rows were written by one change, so this is one stamp instead of fifteen. The
    most frequent stamp speaks for the row's *other named fields* only: see `unpack_stamps`.
    """
    if not stamps:
        return "", {}
    every = list(stamps.values())
    values = set(every)
    if len(values) == 1:
        return every[0], {}
    # The greater stamp on a tie: both languages must pack alike.
    common = max(values, key=lambda stamp: (every.count(stamp), stamp))
    return common, {name: stamp for name, stamp in stamps.items() if stamp != common}


def unpack_stamps(
    fields: Mapping[str, Any], common: str, exceptions: Mapping[str, str]
) -> dict[str, str]:
    """The inverse of `pack_stamps`: a stamp for each of `fields`."""
    if not exceptions:
        return dict.fromkeys(fields, common)
    return {name: exceptions.get(name, common) for name in fields}
