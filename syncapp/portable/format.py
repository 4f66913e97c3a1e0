"""The lines of an export, and what makes one of them unacceptable.

    {"kind":"household", …}   first: format, version, what follows and how many of each
    {"kind":"member", …}      an e-mail address and a role
    {"kind":"row", …}         as on the wire: values, and a stamp for each; tombstones too
    {"kind":"conflict", …}    one that is still open; people by their e-mail addresses
    {"kind":"end", …}         last: how many lines, and the SHA-256 of all before this one

Nothing here is believed: a file is checked like a device's push, line by line.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from syncapp.core.change import EXISTS, Row, unpack_stamps
from syncapp.core.clock import ms_of
from syncapp.core.entity import Entity, canonical
from syncapp.core.errors import Refused
from syncapp.core.messages import Count, Name, Role, StampText, Uuid

FORMAT = "finwise.household"
VERSION = 1
LINE_MAX_BYTES = 1024 * 1024
PROBLEMS_MAX = 100  # that are told; a file of something else is wrong in every line
# As far ahead of now as a stamp can lie that a server has accepted (two clocks, ten years each).
AHEAD_LIMIT_MS = 20 * 366 * 24 * 3600 * 1000

_PLAIN = r"^(?![\s\S]*[\x00-\x1f\x7f])"
HouseholdName = Annotated[str, Meta(min_length=1, max_length=200, pattern=_PLAIN)]
Email = Annotated[str, Meta(min_length=3, max_length=254, pattern=_PLAIN)]
_StampOrNone = Annotated[str, Meta(pattern=r"^(?![\s\S])|^[0-9a-f]{12}-[0-9a-f]{4}-[0-9a-f]{16}$")]


class _Line(Struct, rename="camel", tag_field="kind", forbid_unknown_fields=True):
    """One line."""


class HeadLine(_Line, tag="household"):
    """horizon: the newest delete that was compacted, so that old edits bring nothing back."""

    format: Literal["finwise.household"]
    version: int
    id: Uuid
    name: HouseholdName
    made_ms: Count
    horizon: _StampOrNone
    entities: dict[Name, list[Name]]
    counts: dict[Name, Count]


class MemberLine(_Line, tag="member"):
    email: Email
    role: Role


class RowLine(_Line, tag="row", omit_defaults=True, kw_only=True):
    """`stamp` is the stamp of each field that `stamps` does not name."""

    entity: Name
    id: Uuid
    fields: Annotated[dict[str, Any], Meta(max_length=200)]
    stamp: StampText
    stamps: Annotated[dict[str, StampText], Meta(max_length=200)] = {}


class ConflictLine(_Line, tag="conflict"):
    entity: Name
    row_id: Uuid
    id: Uuid
    field: Name
    winning_value: Any
    winning_stamp: StampText
    winning_device: Uuid | None
    winning_person: Email | None
    losing_value: Any
    losing_stamp: StampText
    losing_device: Uuid | None
    losing_person: Email | None
    at_ms: Count


class EndLine(_Line, tag="end"):
    lines: Count
    sha256: str


AnyLine = HeadLine | MemberLine | RowLine | ConflictLine | EndLine

_decoder: msgspec.json.Decoder[AnyLine] = msgspec.json.Decoder(AnyLine)


class _Claim(Struct):
    """What a first line says about itself, whatever version it is."""

    format: str = ""
    version: int = 0


_claim_decoder = msgspec.json.Decoder(_Claim)


@dataclass(frozen=True)
class BadLine:
    """line: counted from 1. code: for programs. message: for people; holds no value."""

    line: int
    code: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message} ({self.code})"


class BadLines(Exception):
    """A file that cannot be imported, with every reason; nothing was done."""

    def __init__(self, problems: list[BadLine], more: int = 0) -> None:
        self.problems, self.more = problems, more
        told = [str(each) for each in problems] + ([f"… and {more} more"] if more else [])
        super().__init__("\n".join(told))


@dataclass
class Portable:
    """A household as a file holds it, every value checked."""

    head: HeadLine
    members: dict[str, str] = field(default_factory=dict)  # role by e-mail address
    rows: list[Row] = field(default_factory=list)
    conflicts: list[ConflictLine] = field(default_factory=list)


def encode(line: AnyLine) -> bytes:
    return msgspec.json.encode(line) + b"\n"


def read_lines(lines: Iterable[bytes], entities: Mapping[str, Entity], now_ms: int) -> Portable:
    """Read a whole export and check every line of it.

    entities: what this server syncs. Raises BadLines.
    """
    reader = _Reader(entities, now_ms)
    for number, line in enumerate(lines, 1):
        reader.take(number, line)
        if reader.is_hopeless:
            break
    return reader.finish()


class _Reader:
    """Takes line by line; what is wrong is noted, and reading goes on."""

    def __init__(self, entities: Mapping[str, Entity], now_ms: int) -> None:
        self._entities = entities
        self._ahead_ms = now_ms + AHEAD_LIMIT_MS
        self._found: Portable | None = None
        self._problems: list[BadLine] = []
        self._more = 0
        self._number = 0
        self._digest = hashlib.sha256()
        self._counts: Counter[str] = Counter()
        self._ids: set[tuple[str, str]] = set()
        self._end: EndLine | None = None
        self.is_hopeless = False

    def take(self, number: int, line: bytes) -> None:
        """Look at the next line, which becomes part of the file or one of its problems."""
        self._number = number
        if self._end is not None:
            self._bad("after_end", "Something follows the end.")
            self.is_hopeless = True
            return
        if len(line) > LINE_MAX_BYTES:
            self._bad("too_large", "This line is longer than any that we write.")
            self.is_hopeless = True
            return
        if number == 1 and not self._is_ours(line):
            self.is_hopeless = True
            return
        try:
            self._handle(_decoder.decode(line))
        except msgspec.ValidationError as error:
            self._bad("line", f"This line is not part of an export: {str(error)[:200]}")
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            self._bad("json", "This line is not JSON.")
        if self._end is None:
            self._digest.update(line)

    def _is_ours(self, line: bytes) -> bool:
        try:
            claim = _claim_decoder.decode(line)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            claim = _Claim()
        if claim.format != FORMAT:
            self._bad("format", "This is not the export of a household.")
        elif claim.version != VERSION:
            self._bad(
                "version",
                f"This export has version {claim.version}, and this FinWise reads {VERSION}.",
            )
        return claim.format == FORMAT and claim.version == VERSION

    def _handle(self, line: AnyLine) -> None:
        if self._found is None:
            if not isinstance(line, HeadLine):
                return self._bad("head", "The first line has to tell what this is.")
            self._found = Portable(line)
            if line.horizon and ms_of(line.horizon) > self._ahead_ms:
                self._bad("stamp", "The horizon lies in a future that no server accepts.")
            return None
        match line:
            case HeadLine():
                self._bad("head", "A second head.")
            case MemberLine():
                self._counts["member"] += 1
                email = line.email.strip().lower()
                if email in self._found.members:
                    self._bad("repeated", "This member stands here twice.")
                self._found.members[email] = line.role
            case RowLine():
                self._counts[line.entity] += 1
                self._row(self._found, line)
            case ConflictLine():
                self._counts["conflict"] += 1
                self._conflict(self._found, line)
            case EndLine():
                self._end = line
        return None

    def _row(self, found: Portable, line: RowLine) -> None:
        entity = self._entities.get(line.entity)
        if entity is None or entity.is_read_only:
            return self._bad("unknown", "This FinWise does not know such rows.")
        if (line.entity, line.id) in self._ids:
            return self._bad("repeated", "This row stands here twice.")
        self._ids.add((line.entity, line.id))
        if not isinstance(line.fields.get(EXISTS), bool):
            return self._bad("required", "A row says whether it exists.")
        if foreign := sorted(line.stamps.keys() - line.fields.keys()):
            return self._bad("stamp", f"There is a stamp, but no value, of {foreign[0]!r:.60}.")
        stamps = unpack_stamps(line.fields, line.stamp, line.stamps)
        if any(ms_of(stamp) > self._ahead_ms for stamp in (line.stamp, *stamps.values())):
            return self._bad("stamp", "A stamp lies in a future that no server accepts.")
        fields: dict[str, Any] = {}
        for name, value in line.fields.items():
            spec = entity.fields.get(name)
            if spec is None and name != EXISTS:
                return self._bad("unknown", f"This FinWise knows no field {name!r:.60}.")
            try:
                fields[name] = value if spec is None else canonical(spec, value)
            except Refused as refusal:
                return self._bad(refusal.code, f"{name}: {refusal.message}")
        row = Row(line.entity, line.id, fields, stamps)
        if row.is_here:
            for spec in entity.fields.values():
                if spec.name in fields:
                    continue
                if spec.is_required:
                    return self._bad("required", f"{spec.name}: A row needs this field.")
                # From a FinWise that did not have this field yet.
                row.fields[spec.name], row.stamps[spec.name] = spec.default, line.stamp
        found.rows.append(row)
        return None

    def _conflict(self, found: Portable, line: ConflictLine) -> None:
        entity = self._entities.get(line.entity)
        if entity is None or (line.field != EXISTS and line.field not in entity.fields):
            return self._bad("unknown", "This FinWise knows no such field.")
        if ("conflict", line.id) in self._ids:
            return self._bad("repeated", "This conflict stands here twice.")
        self._ids.add(("conflict", line.id))
        spec = entity.fields.get(line.field)
        for value in (line.winning_value, line.losing_value):
            try:
                if spec is None and not isinstance(value, bool):
                    raise Refused("type", "A row exists or not.")
                if spec is not None and value is not None:
                    canonical(spec, value)
            except Refused as refusal:
                return self._bad(refusal.code, f"{line.field}: {refusal.message}")
        if max(ms_of(line.winning_stamp), ms_of(line.losing_stamp)) > self._ahead_ms:
            return self._bad("stamp", "A stamp lies in a future that no server accepts.")
        found.conflicts.append(line)
        return None

    def finish(self) -> Portable:
        if not self.is_hopeless:
            self._check_end()
        if self._problems or self._found is None:
            raise BadLines(self._problems, self._more)
        return self._found

    def _check_end(self) -> None:
        if self._end is None:
            self._bad("truncated", "The file ends too early; what follows here is missing.")
            return
        if (self._end.lines, self._end.sha256) != (self._number - 1, self._digest.hexdigest()):
            self._bad("digest", "The file was changed, or damaged, since it was written.")
        if self._found is not None:
            told = {name: count for name, count in self._found.head.counts.items() if count}
            if told != dict(self._counts):
                self._bad("count", "There are not as many lines as the head says.")

    def _bad(self, code: str, message: str) -> None:
        if len(self._problems) < PROBLEMS_MAX:
            self._problems.append(BadLine(self._number, code, message))
        else:
            self._more += 1
