"""What can be wrong with a household, each with its code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Code: what it means. Those that `mend` can put right by itself are in MENDABLE.
CODES = {
    "schema_without_tenant": "A schema of a household that is not registered, or was deleted.",
    "tenant_without_schema": "A household that is registered, and has no schema.",
    "tenant_unfinished": "A household that was never finished.",
    "tenant_behind": "The tables are older than this release.",
    "tenant_in_trouble": "The household is in maintenance.",
    "table_missing": "A table is missing, and what was in it.",
    "definition_missing": "A column, constraint or index is missing or differs.",
    "trigger_missing": "A trigger is missing, switched off or differs: writes go unnoticed.",
    "function_differs": "A function is missing or differs from this release's.",
    "head_missing": "The row that orders the household is missing.",
    "head_behind": "The head is behind its rows: devices would not be told of them.",
    "seq_missing": "Rows without a number: devices would not be told of them.",
    "stamp_malformed": "Rows with something that is no stamp.",
    "stamp_future": "Rows with a stamp from the future: it would win until then.",
    "head_stamp": "The head's stamp is malformed, from the future, or behind its rows.",
    "fingerprint_wrong": "A fingerprint is malformed, or not the one of the head.",
    "fingerprint_gap": "Numbers without a fingerprint between the oldest and the head.",
    "members_differ": "The mirror of the members differs from the memberships.",
    "device_counters": "A device's counters contradict each other.",
    "answers_to_nobody": "Answers kept for a device that is not known.",
    "reference_lost": "A reference to nothing. Lawful: shown as ungrouped, never mended.",
}
NOT_MENDABLE = {
    "schema_without_tenant",
    "tenant_unfinished",
    "tenant_in_trouble",
    "definition_missing",
    "reference_lost",
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (or, as a note, worth knowing).

    place: what it was found in: a table, a trigger, "" for the whole household.
    """

    code: str
    message: str
    place: str = ""
    count: int = 1

    @property
    def is_mendable(self) -> bool:
        return self.code not in NOT_MENDABLE

    @property
    def severity(self) -> Literal["problem", "note"]:
        return "note" if self.code == "reference_lost" else "problem"


def found(code: str, count: int = 1, place: str = "", more: str = "") -> Finding:
    told = CODES[code]
    numbered = f" {count:,} of them." if count > 1 else ""
    where = f" In {place}." if place else ""
    return Finding(code, f"{told}{numbered}{where}{more and ' ' + more}", place, count)
