"""How rows, refusals and conflicts are told to people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from syncapp.core.change import EXISTS, Row
from syncapp.core.outbox import Entry

from ..client import SyncReport
from ..importing import ImportReport
from ..replica import Replica
from ..review import OpenConflict

_BAD_LINES_SHOWN = 50

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
# A clock that is further off is worth a word: the same as on the server's pages.
CLOCK_WORTH_A_WORD_MS = 60_000


def plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def to_json(record: Any) -> dict[str, Any]:
    """A dataclass with its names as the wire spells names."""

    def camel(name: str) -> str:
        first, *rest = name.split("_")
        return first + "".join(each.capitalize() for each in rest)

    return {camel(name): value for name, value in asdict(record).items()}


def row_to_json(row: Row) -> dict[str, Any]:
    """Its fields by name: in one order, however the row has come to be on this device."""
    return {"entity": row.entity, "id": row.id, **dict(sorted(row.fields.items()))}


def name_of(replica: Replica, entity: str, row_id: str) -> str:
    row = replica.row(entity, row_id)
    name = row.fields.get("name") if row is not None else None
    return f"{entity} {name or row_id}"


def household(replica: Replica, accounts: Iterable[Row], groups: Iterable[Row]) -> list[str]:
    """Accounts under their groups; those whose group is gone are ungrouped."""
    lines: list[str] = []
    waiting = {entry.key for entity in ("account", "account_group") for entry in
               replica.store.entries_over(entity)}  # fmt: skip
    members: dict[str | None, list[Row]] = {}
    headings = sorted(groups, key=_place)
    known = {row.id for row in headings if row.is_here}
    for row in sorted(accounts, key=_place):
        group = row.fields.get("accountGroupId")
        members.setdefault(group if group in known else None, []).append(row)
    for group_row in headings:
        lines.append(_line(group_row, waiting, ""))
        lines += [_line(row, waiting, "  ") for row in members.pop(group_row.id, [])]
    if members:
        lines.append("(ungrouped)")
        lines += [_line(row, waiting, "  ") for rows in members.values() for row in rows]
    if waiting:
        lines.append("* not decided by the server yet")
    return lines


def _place(row: Row) -> tuple[int, str]:
    return int(row.fields.get("sortOrder") or 0), str(row.fields.get("name") or "").casefold()


def _line(row: Row, waiting: set[tuple[str, str]], indent: str) -> str:
    fields = row.fields
    mark = "*" if (row.entity, row.id) in waiting else " "
    gone = "" if row.is_here else "  (deleted)"
    name = indent + str(fields.get("name") or "?")
    if row.entity == "account":
        amount, kind = str(fields.get("balance", "")), str(fields.get("accountType", ""))
        iban = fields.get("iban") or ""
        return f"{mark} {row.id[:8]}  {name:<36} {kind:<14} {amount:>14}  {iban}{gone}".rstrip()
    return f"{mark} {row.id[:8]}  {name}{gone}"


def sync_report(report: SyncReport, store: str) -> list[str]:
    """What happened, what is safe, what to do."""
    lines = []
    moved = f"{plural(report.sent, 'change')} sent, {plural(report.received, 'row')} received"
    if report.is_up_to_date:
        lines.append(f"Up to date: {moved}.")
    else:
        why = _WHY.get(report.reason) or report.message
        lines.append(f"Not up to date ({moved}). {why}".strip())
        if report.pending:
            lines.append(
                f"{plural(report.pending, 'change')} of yours"
                f" {'is' if report.pending == 1 else 'are'} safe in {store} and will be sent with"
                " the next sync."
            )
        if report.parked:
            lines.append(
                f"{plural(report.parked, 'change')} wait{'s' if report.parked == 1 else ''} for a"
                " newer version of the server."
            )
    if report.refused:
        lines.append(f"{plural(report.refused, 'change')} could not be accepted: see `refused`.")
    if report.conflicts:
        lines.append(
            f"{plural(report.conflicts, 'value')} of yours was overruled: see `conflicts`."
        )
    return lines + clock(report.clock_off_ms)


def clock(off_ms: int) -> list[str]:
    """A word about a clock that is off; nothing about one that is not.

    off_ms: this device's clock minus the server's.
    """
    ms = abs(off_ms)
    if ms < CLOCK_WORTH_A_WORD_MS:
        return []
    # Rounded, because an answer takes its time: an hour is not 59 minutes.
    if ms < HOUR_MS - MINUTE_MS // 2:
        span = plural(round(ms / MINUTE_MS), "minute")
    elif ms < 2 * DAY_MS - HOUR_MS // 2:
        span = plural(round(ms / HOUR_MS), "hour")
    else:
        span = plural(round(ms / DAY_MS), "day")
    how = "ahead" if off_ms > 0 else "behind"
    return [f"This device's clock is {span} {how}. That is allowed for; set it right all the same."]


_WHY = {
    "sign_in": "The token is not valid (any more): make a new one and try again.",
    "not_yours": "There is no such household for you. If you should be in it, ask its owner.",
    "forbidden": "You may read this household, but not change it.",
    "upgrade_needed": "This program is too old for the server. Update it.",
    "parked": "The server does not know everything yet.",
}


def reason_in_words(reason: str) -> str:
    return _WHY.get(reason, reason)


def refused(replica: Replica, entries: Iterable[Entry]) -> list[str]:
    """What was refused, each with its reason, and what one can do about it."""
    lines = []
    for entry in entries:
        values = ", ".join(f"{name}={value}" for name, value in entry.fields.items())
        what = f"{entry.kind} {name_of(replica, entry.entity, entry.row_id)}"
        where = f"{entry.field}: " if entry.field else ""
        lines += [f"{entry.local}: {what} ({values[:200]})", f"    {where}{entry.message}"]
    if lines:
        lines.append("Change one with `refused --again N --set FIELD=VALUE`, or give it up with")
        lines.append("`refused --discard N`.")
    return lines or ["Nothing was refused."]


def conflicts(replica: Replica, found: Iterable[OpenConflict]) -> list[str]:
    """What was overruled, each with both values, and what one can do about it."""
    lines = []
    for each in found:
        who = "yours" if each.is_mine else "another device's"
        what = name_of(replica, each.entity, each.row_id)
        lines.append(f"{each.id}: {what}")
        if each.field == EXISTS:
            winner = "was kept" if each.winning_value else "was deleted"
            lines.append(f"    it {winner}; the other wish ({who}) came from an older view")
        else:
            lines.append(
                f"    {each.field} is now {each.winning_value!r}; overruled: {each.losing_value!r}"
                f" ({who})"
            )
    if lines:
        lines.append("Take the overruled value with `conflicts --use-mine ID`, or `--dismiss ID`.")
    return lines or ["There are no conflicts."]


def import_report(report: ImportReport, file: str, store: str) -> list[str]:
    """What an import came to, with the first of the lines that could not be read."""
    lines = [
        f"{file}: {plural(report.accounts_new, 'new account')},"
        f" {plural(report.groups_new, 'new group')},"
        f" {report.accounts_changed + report.groups_changed} changed, {report.unchanged} as before."
    ]
    if report.columns_left_out:
        lines.append(f"Columns left out: {', '.join(report.columns_left_out)}.")
    if report.bad:
        lines.append(f"{plural(len(report.bad), 'line')} could not be imported:")
        lines += [f"  line {each.line}: {each.reason}" for each in report.bad[:_BAD_LINES_SHOWN]]
        if len(report.bad) > _BAD_LINES_SHOWN:
            lines.append(f"  and {len(report.bad) - _BAD_LINES_SHOWN} more")
        lines.append("Correct them and import the file again: nothing is made twice.")
    lines.append(f"All of it is safe in {store}; `sync` brings it to the server.")
    return lines


def difference(before: Mapping[str, Any] | None, row: Row | None, entity: str) -> str:
    """One line for `watch`."""
    fields = row.fields if row is not None else {}
    name = fields.get("name") or (before or {}).get("name") or "?"
    was_here = bool((before or {}).get(EXISTS))
    if row is None or not row.is_here:
        return f"- {entity} {name}" if was_here else ""
    if before is None or not was_here:
        return f"+ {entity} {name}"
    changed = [
        f"{field}: {_short(before.get(field))} → {_short(value)}"
        for field, value in fields.items()
        if before.get(field) != value
    ]
    return f"~ {entity} {name}: {'; '.join(changed)}" if changed else ""


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 40 else text[:37] + "…"
