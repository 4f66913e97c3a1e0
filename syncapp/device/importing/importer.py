"""Lines of a spreadsheet to rows of a household: new ones, changed ones, wrong ones.

Importing a file twice changes nothing. A line is the same row as before, in this order, if

1. it carries the row's id,
2. it has the id that its IBAN, or else its name, gives it (uuid5 in the household's import
   space; equal names without IBAN are counted),
3. the household has an account with its IBAN,
4. the household has an account with its name and no other IBAN, that no other line means.

So what was typed by hand is found, too, and two devices that import the same file before
they meet make the same rows. Everything goes into the device's queue: no network is needed.
"""

from __future__ import annotations

import unicodedata
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from syncapp.core.change import Row

from ..address import check_household
from ..errors import DeviceError, StoreError, ValueRefused
from ..replica import Replica
from ..specs import checked
from . import values
from .columns import GROUP, ID, KIND, plain, target_of
from .table import Record, Table, UnreadableFile, read_table

LINES_PER_TRANSACTION = 300
ACCOUNT, ACCOUNT_GROUP = "account", "account_group"
_AMOUNTS = ("balance", "creditLimit", "offset")
_FLAGS = ("isActive", "isOfflineBudget")


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was left out. line: its number in the file, from 1."""

    line: int
    reason: str


@dataclass(slots=True)
class ImportReport:
    """What an import came to. columns_left_out: headings that mean nothing here."""

    groups_new: int = 0
    groups_changed: int = 0
    accounts_new: int = 0
    accounts_changed: int = 0
    unchanged: int = 0
    bad: list[BadLine] = field(default_factory=list)
    columns_left_out: list[str] = field(default_factory=list)

    @property
    def stored(self) -> int:
        return (
            self.groups_new
            + self.groups_changed
            + self.accounts_new
            + self.accounts_changed
            + self.unchanged
        )


def import_csv(
    replica: Replica,
    source: Path | bytes,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> ImportReport:
    """Queue what a CSV file holds; wrong lines are reported and the others kept.

    progress: called with the lines done and their number. Raises UnreadableFile if nothing
    can be made of the file, OSError, and StoreError (then the lines so far are stored, and
    importing again goes on behind them).
    """
    data = source if isinstance(source, bytes) else source.read_bytes()
    table = read_table(data, lambda heading: target_of(heading) is not None)
    work = _Import(replica, table)
    done, of = 0, len(table.records)
    while done < of:
        chunk = table.records[done : done + LINES_PER_TRANSACTION]
        with replica.store.transaction():
            for record in chunk:
                work.take(record)
        done += len(chunk)
        progress(done, of)
    return work.report


class _Import:
    """One run over one table."""

    def __init__(self, replica: Replica, table: Table) -> None:
        self.replica = replica
        self.report = ImportReport()
        self.targets = [target_of(heading) for heading in table.header]
        self.header = table.header
        self._check_header()
        self.space = uuid.UUID(replica.meta.import_space)
        self.mark = values.decimal_mark(
            (text for name in _AMOUNTS for text in self._column(table, name)),
            "." if table.delimiter == "," else ",",
        )
        # In a column of ticks, an empty cell says no; elsewhere it says nothing.
        self.ticked = {
            name
            for name in _FLAGS
            if (cells := {text.strip() for text in self._column(table, name)} - {""})
            and cells <= {*values.TICKS, "X"}
        }
        groups, accounts = replica.rows(ACCOUNT_GROUP), replica.rows(ACCOUNT)
        self.groups = {_alike(row.fields.get("name")): row.id for row in groups}
        self.by_iban = {row.fields["iban"]: row.id for row in accounts if row.fields.get("iban")}
        self.by_name: dict[str, list[Row]] = {}
        for row in accounts:
            self.by_name.setdefault(_alike(row.fields.get("name")), []).append(row)
        self.meant: set[str] = set()  # rows that a line of this file has meant already
        self.names_met: Counter[str] = Counter()

    def _check_header(self) -> None:
        if "name" not in self.targets:
            raise UnreadableFile(
                "The first line must name the columns, and none of them is the name of the"
                f" account (Name, Konto, account); it reads: {', '.join(self.header)[:200]}"
            )
        for target, count in Counter(filter(None, self.targets)).items():
            if count > 1:
                raise UnreadableFile(
                    f"Two columns mean the same ({target}); leave one of them out."
                )
        self.report.columns_left_out = [
            heading
            for heading, target in zip(self.header, self.targets, strict=True)
            if target is None and heading
        ]

    def _column(self, table: Table, target: str) -> list[str]:
        if target not in self.targets:
            return []
        at = self.targets.index(target)
        return [each.cells[at] for each in table.records if each.cells and at < len(each.cells)]

    def take(self, record: Record) -> None:
        """Queue one line, or report it."""
        try:
            if record.cells is None:
                raise values.BadCell(record.problem)
            self._take(self._named(record.cells))
        except StoreError:
            raise
        except (values.BadCell, DeviceError) as error:
            self.report.bad.append(BadLine(record.line, str(error)))

    def _named(self, cells: list[str]) -> dict[str, str]:
        """The line's cells by target, without empty ones."""
        if any(cell.strip() for cell in cells[len(self.targets) :]):
            raise values.BadCell(
                f"This line has {len(cells)} cells, the first one {len(self.targets)}. A text with"
                " the separator in it needs quotation marks around it."
            )
        return {
            target: cell.strip()
            for target, cell in zip(self.targets, cells, strict=False)
            if target is not None and cell.strip()
        }

    def _take(self, cells: dict[str, str]) -> None:
        if "name" not in cells:
            raise values.BadCell("This line has no name.")
        kind = plain(cells.get(KIND, ""))
        if kind in values.GROUP_WORDS:
            self._take_group(cells)
        else:
            if kind in values.ACCOUNT_WORDS:
                del cells[KIND]
            self._take_account(cells)

    # --- groups ------------------------------------------------------------------------

    def _take_group(self, cells: dict[str, str]) -> None:
        fields: dict[str, Any] = {"name": cells["name"]}
        if "sortOrder" in cells:
            fields["sortOrder"] = _cell(cells, "sortOrder", values.whole_number)
        if "image" in cells:
            fields["image"] = cells["image"]
        row_id = check_household(cells[ID]) if ID in cells else self._group_id(cells["name"])
        is_new = self._write(ACCOUNT_GROUP, row_id, fields)
        self.groups[_alike(cells["name"])] = row_id
        if is_new:
            self.report.groups_new += 1
        elif is_new is False:
            self.report.groups_changed += 1

    def _group_id(self, name: str) -> str:
        return self.groups.get(_alike(name)) or self._named_id("group", _alike(name))

    def _group_for(self, name: str) -> str:
        """The group of this name, made on first use."""
        row_id = self._group_id(name)
        if _alike(name) not in self.groups:
            if self._write(ACCOUNT_GROUP, row_id, {"name": name}):
                self.report.groups_new += 1
            self.groups[_alike(name)] = row_id
        return row_id

    # --- accounts ----------------------------------------------------------------------

    def _take_account(self, cells: dict[str, str]) -> None:
        fields = self._fields(cells)
        # Before its group is made: a wrong line leaves nothing behind.
        fields = checked(self.replica.entities, ACCOUNT, fields, is_create=False)
        row_id = self._account_id(cells, fields)
        if row_id in self.meant:
            raise values.BadCell("An earlier line of this file is the same account.")
        if GROUP in cells:
            fields["accountGroupId"] = self._group_for(cells[GROUP])
        is_new = self._write(ACCOUNT, row_id, fields)
        self.meant.add(row_id)
        if is_new:
            self.report.accounts_new += 1
        elif is_new is False:
            self.report.accounts_changed += 1

    def _fields(self, cells: dict[str, str]) -> dict[str, Any]:
        fields: dict[str, Any] = {
            name: cells[name] for name in ("name", "description", "note", "image") if name in cells
        }
        if KIND in cells:
            fields["accountType"] = _cell(cells, KIND, values.account_type)
        if "iban" in cells:
            fields["iban"] = _cell(cells, "iban", values.iban)
        if "sortOrder" in cells:
            fields["sortOrder"] = _cell(cells, "sortOrder", values.whole_number)
        for name in _AMOUNTS:
            if name in cells:
                fields[name] = _cell(cells, name, lambda text: values.amount(text, self.mark))
        for name in _FLAGS:
            if name in cells:
                fields[name] = _cell(cells, name, values.yes_or_no)
            elif name in self.ticked:
                fields[name] = False
        return fields

    def _account_id(self, cells: dict[str, str], fields: dict[str, Any]) -> str:
        if ID in cells:
            return check_household(cells[ID])
        iban, name = fields.get("iban"), _alike(fields["name"])
        if iban:
            row_id = self._named_id("iban", iban)
        else:
            self.names_met[name] += 1
            row_id = self._named_id("name", f"{name}/{self.names_met[name]}")
        row = self.replica.row(ACCOUNT, row_id)
        if row is not None and row.is_here:
            return row_id
        if iban in self.by_iban:
            return self.by_iban[iban]
        for row in self.by_name.get(name, ()):
            has_other_iban = iban and row.fields.get("iban") not in ("", None, iban)
            if row.id not in self.meant and not has_other_iban:
                return row.id
        return row_id

    # --- both --------------------------------------------------------------------------

    def _named_id(self, kind: str, text: str) -> str:
        return str(uuid.uuid5(self.space, f"{kind}/{text}"))

    def _write(self, entity: str, row_id: str, fields: dict[str, Any]) -> bool | None:
        """True: a new row. False: an existing one changed. None: it was so already."""
        row = self.replica.row(entity, row_id)
        if row is None or not row.is_here:
            self.replica.create(entity, fields, row_id)
            return True
        if self.replica.edit(entity, row_id, fields):
            return False
        self.report.unchanged += 1
        return None


def _cell(cells: dict[str, str], name: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(cells[name])
    except values.BadCell as error:
        raise values.BadCell(f"{name}: {error}" if name != KIND else str(error)) from None


def _alike(name: Any) -> str:
    """Names are compared without case and with blanks made one."""
    return " ".join(unicodedata.normalize("NFC", str(name or "")).casefold().split())


__all__ = ["BadLine", "ImportReport", "UnreadableFile", "ValueRefused", "import_csv"]
