"""Bytes of a CSV file to records with line numbers, whatever spreadsheet wrote it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..errors import DeviceError

DELIMITERS = (";", ",", "\t", "|")
# A quotation mark that is still open after so many lines was never meant to be one.
QUOTED_LINES_MAX = 100
_LINE_END = re.compile(r"\r\n|\n|\r")


class UnreadableFile(DeviceError):
    """Not a CSV file at all; the sentence says what to do."""

    code = "unreadable_file"


class Record(NamedTuple):
    """line: where it begins, from 1. cells: None if it cannot be read; then `problem`."""

    line: int
    cells: list[str] | None
    problem: str = ""


class Table(NamedTuple):
    header: list[str]
    delimiter: str
    records: list[Record]


def decode(data: bytes) -> str:
    """Text in UTF-8 or UTF-16 with or without a mark, else as Windows writes it."""
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise UnreadableFile(
            "This is a workbook, not a CSV file. In the spreadsheet, choose File, Save as, CSV."
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    if "\x00" in text:
        raise UnreadableFile("This is not a text file.")
    return text


def read_table(data: bytes, is_known: Callable[[str], bool]) -> Table:
    """Split a file into its header and its records.

    is_known: whether a heading means something here; the delimiter that makes the most
    headings known is the right one. Raises UnreadableFile.
    """
    lines = _LINE_END.split(decode(data))
    start, told = 0, None
    if re.fullmatch(r"(?i)sep=.", lines[0].strip("\ufeff")):
        start, told = 1, lines[0][-1]  # Excel's own way to name the delimiter
    while start < len(lines) and not lines[start].strip():
        start += 1
    if start == len(lines):
        raise UnreadableFile("The file is empty.")

    def known(delimiter: str) -> tuple[int, int]:
        cells = next(_records(lines, start, delimiter)).cells or []
        return sum(is_known(cell) for cell in cells), len(cells)

    delimiter = told or max(DELIMITERS, key=known)
    records = _records(lines, start, delimiter)
    header = [cell.strip() for cell in next(records).cells or []]
    return Table(header, delimiter, [each for each in records if _is_filled(each)])


def _is_filled(record: Record) -> bool:
    return record.cells is None or any(cell.strip() for cell in record.cells)


def _records(lines: list[str], start: int, delimiter: str) -> Iterator[Record]:
    at = start
    while at < len(lines):
        line = lines[at]
        if '"' not in line:
            yield Record(at + 1, line.split(delimiter))
            at += 1
            continue
        last = at
        cells = _cells(line, delimiter)
        while cells is None and last + 1 < min(len(lines), at + QUOTED_LINES_MAX):
            last += 1
            line += "\n" + lines[last]
            cells = _cells(line, delimiter)
            if cells is not None and _goes_on_behind_a_quote(line, delimiter):
                cells = None  # closed by the mark that opens a cell of another line
                break
        if cells is None:
            # Only this line is lost, not everything behind it.
            yield Record(at + 1, None, "A quotation mark is opened here and never closed.")
            at += 1
        else:
            yield Record(at + 1, cells)
            at = last + 1


def _goes_on_behind_a_quote(text: str, delimiter: str) -> bool:
    """Whether a quoted cell is followed by more than the delimiter: `"a" b;`."""
    at = 0
    while at < len(text):
        if text[at] == '"':
            at += 1
            while (at := text.find('"', at)) >= 0 and text[at : at + 2] == '""':
                at += 2
            if at < 0 or text[at + 1 : at + 2] not in ("", delimiter):
                return True
        end = text.find(delimiter, at)
        if end < 0:
            return False
        at = end + 1
    return False


def _cells(text: str, delimiter: str) -> list[str] | None:
    """The cells of one record; None while a quotation mark is open.

    A mark counts only at the beginning of a cell; inside, two stand for one.
    """
    cells: list[str] = []
    at = 0
    while True:
        if text[at : at + 1] != '"':
            end = text.find(delimiter, at)
            if end < 0:
                cells.append(text[at:])
                return cells
            cells.append(text[at:end])
            at = end + 1
            continue
        value = ""
        at += 1
        while True:
            end = text.find('"', at)
            if end < 0:
                return None
            value += text[at:end]
            at = end + 1
            if text[at : at + 1] != '"':
                break
            value += '"'
            at += 1
        end = text.find(delimiter, at)
        if end < 0:
            cells.append(value + text[at:])
            return cells
        cells.append(value + text[at:end])
        at = end + 1
