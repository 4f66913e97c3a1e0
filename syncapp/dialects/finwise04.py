"""The wire format of the FinWise 0.4 single-page app, to and from `core.messages`.

That app knows neither stamps nor fields: it sends whole records in the order of its own
clock, and believes whatever record is newer by `updated_at`. Here each of its queue's
entries becomes one `Change` of ours, and each of our rows one of its records. Pure: who
asks whom, and what is stored, is `syncapp/finwise04/`.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import msgspec

from ..core.change import EXISTS, Row, canonical_text, written_by
from ..core.clock import NO_STAMP, SERVER_NODE, next_stamp
from ..core.entity import Entity, Field, canonical
from ..core.errors import BadFrame, Refused
from ..core.messages import NESTING_MAX, Change, ChangeKind, Result
from .shown import Shown, Version, digest_of

PROTOCOL = "finwise.0.4"  # as what its devices are listed
APP = "FinWise 0.4"
# Our own frames have 1 MiB. Here whole records travel with images as large as people chose,
# and an entry that is cut off is lost in that app for good: it is answered instead. A photograph
# has up to 20 MB, and a third more as a data URL.
FRAME_MAX_BYTES = 32 * 1024 * 1024
# Its clock may lie this far ahead before its times are put right (as the engine allows).
AHEAD_LIMIT_MS = 5_000

_IDENTITY = uuid.UUID("b0b5b2c6-6f3f-5d0f-9d9e-0f4d1b0a7c04")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z", re.I)
_ENTRY_ID = re.compile(r"[\x21-\x7e]{1,64}\Z")
_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")
_NUMBER = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?\Z", re.ASCII)  # as a form may hold it: text
# The year 9892: whatever is told later still has four digits of a year.
LATEST_MS = 250_000_000_000_000
# A JavaScript number has so many exact decimal digits; what lies behind them is its artefact.
_EXACT_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Kind:
    """How one entity of ours is called there.

    name: its `entityType`; loaded_as: its list in `initial_data_load`; codes: for a field
    with other values there, theirs by ours. What is not named is the same in both.
    """

    entity: str
    name: str
    loaded_as: str
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Identity:
    """As which device of ours an app is known."""

    device: str
    node: str


def identity_of(user_id: str, tenant_id: str, browser: str) -> Identity:
    """The same for one user, household and browser; nobody can take another's.

    browser: the secret by which this browser is told from others.
    """
    name = "\n".join((user_id.lower(), tenant_id.lower(), browser))
    node = hashlib.blake2b(name.encode(), digest_size=8, person=b"finwise04 node").hexdigest()
    if node == SERVER_NODE:  # once in 2^64
        node = "f" * 16
    return Identity(str(uuid.uuid5(_IDENTITY, name)), node)


# --- what the app sends ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InitialDataRequest:
    tenant_id: str


@dataclass(frozen=True, slots=True)
class Ping:
    timestamp: int | None


@dataclass(frozen=True, slots=True)
class ConnectionStatusRequest:
    pass


@dataclass(frozen=True, slots=True)
class DataStatusRequest:
    pass


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the app's queue.

    timestamp: when the person did it; last_attempt: when it was sent; both in milliseconds
    by the app's clock. edited: the `updated_at` of the record that was edited, in the same
    unit, or None. record: the payload as it came.
    """

    id: str
    tenant_id: str
    entity_type: str
    entity_id: str
    kind: Literal["create", "update", "delete"]
    timestamp: int
    last_attempt: int | None
    edited: int | None
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BadEntry:
    """An entry that can never be understood: it is answered with a nack, not an error."""

    id: str
    detail: str
    about: Mapping[str, str]  # those of its fields that the nack repeats


Said = InitialDataRequest | Ping | ConnectionStatusRequest | DataStatusRequest | Entry | BadEntry

_decoder = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
# The beginning of an entry as the app writes it, for what cannot be read any further.
_ENTRY = re.compile(
    r'\s*\{\s*"type"\s*:\s*"process_sync_entry"\s*,\s*"payload"\s*:\s*\{\s*"id"\s*:\s*"([^"\\]{1,64})"'
)


def text_to_said(text: str | None) -> Said:
    """Parse a frame of the app.

    Raises BadFrame for what it never says. An entry that cannot be read is a BadEntry, as long
    as it says which one it is: only by that can the app be answered.
    """
    if not isinstance(text, str):
        raise BadFrame("Frames are JSON text.")
    try:
        return _said(_decode(text))
    except _Unreadable as error:
        found = _ENTRY.match(text)
        if found is None or not _ENTRY_ID.match(found[1]):
            raise BadFrame(str(error)) from None
        return BadEntry(found[1], str(error), {})


class _Unreadable(Exception):
    pass


def _decode(text: str) -> dict[str, Any]:
    if len(text) > FRAME_MAX_BYTES:
        raise _Unreadable("This frame is larger than the server accepts.")
    try:
        try:
            frame = _decoder.decode(text)
        except msgspec.ValidationError:
            raise _Unreadable("A frame is a JSON object.") from None
        except msgspec.DecodeError:
            # Half an emoji, where a text was cut: JavaScript writes it down, msgspec does not
            # read it.
            frame = json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    except (RecursionError, ArithmeticError, ValueError):
        raise _Unreadable("This is not JSON that the protocol allows.") from None
    if not isinstance(frame, dict):
        raise _Unreadable("A frame is a JSON object.")
    _check_nesting(frame, 1)
    return frame


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _said(frame: dict[str, Any]) -> Said:
    match frame.get("type"):
        case "request_initial_data":
            return InitialDataRequest(_text(frame.get("tenant_id")))
        case "process_sync_entry":
            return _entry(frame.get("payload"))
        case "ping":
            return Ping(_moment(frame.get("timestamp")))
        case "connection_status_request":
            return ConnectionStatusRequest()
        case "data_status_request":
            return DataStatusRequest()
    raise BadFrame("This frame is not part of the FinWise 0.4 protocol.")


def _check_nesting(value: Any, depth: int) -> None:
    if depth > NESTING_MAX:
        raise _Unreadable(f"Frames nest at most {NESTING_MAX} deep.")
    for each in value.values() if isinstance(value, dict) else value:
        if isinstance(each, dict | list):
            _check_nesting(each, depth + 1)


def _entry(payload: Any) -> Entry | BadEntry:
    if not isinstance(payload, dict) or not _ENTRY_ID.match(_text(payload.get("id"))):
        raise BadFrame("An entry has an id of at most 64 plain characters.")
    about = {
        name: _plain(payload.get(name)) for name in ("entityId", "entityType", "operationType")
    }
    record = payload.get("payload")
    timestamp = _moment(payload.get("timestamp"))
    problem = None
    if payload.get("operationType") not in ("create", "update", "delete"):
        problem = "operationType is create, update or delete"
    elif not _UUID.match(_text(payload.get("entityId"))):
        problem = "entityId is a UUID"
    elif not _UUID.match(_text(payload.get("tenantId"))):
        problem = "tenantId is a UUID"
    elif timestamp is None:
        problem = "timestamp is a time in milliseconds"
    elif not isinstance(record, dict):
        problem = "payload is a record"
    elif _text(record.get("id", payload["entityId"])).lower() != payload["entityId"].lower():
        problem = "payload.id is the entityId"
    if problem is not None or timestamp is None or not isinstance(record, dict):
        return BadEntry(payload["id"], problem or "", about)
    return Entry(
        id=payload["id"],
        tenant_id=payload["tenantId"].lower(),
        entity_type=about["entityType"],
        entity_id=payload["entityId"].lower(),
        kind=payload["operationType"],
        timestamp=timestamp,
        last_attempt=_moment(payload.get("lastAttempt")),
        edited=iso_to_ms(record.get("updated_at")),
        record=record,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _plain(value: Any) -> str:
    """What may be said back: a word, and not what nobody can write."""
    text = _text(value)[:64]
    return text if text.isascii() else ""


def _moment(value: Any) -> int | None:
    if isinstance(value, str):
        value = Decimal(value) if _NUMBER.match(value) else iso_to_ms(value)
    if not _is_number(value):
        return None
    return int(value) if 0 <= value <= LATEST_MS else None


# --- what it is told -------------------------------------------------------------------

Told = dict[str, Any]


def status(state: Literal["online", "offline", "maintenance", "error"], message: str = "") -> Told:
    """How the server is. Only after `online` the app sends anything."""
    return {"type": "status", "status": state} | ({"message": message} if message else {})


def initial_data_load(tenant_id: str, records: Mapping[str, list[Told]]) -> Told:
    """records: by `Kind.loaded_as`, each list there even if it is empty."""
    frame = {"event_type": "initial_data_load", "tenant_id": tenant_id, "payload": dict(records)}
    return {"type": "initial_data_load", **frame}


def data_update(
    tenant_id: str,
    kind: Kind,
    does: Literal["create", "update", "delete"],
    record: Told,
) -> Told:
    """One record as it is now (`{"id": …}` for one that is gone)."""
    return {
        "type": "data_update",
        "event_type": "data_update",
        "tenant_id": tenant_id,
        "entity_type": kind.name,
        "operation_type": does,
        "data": record,
    }


def sync_ack(entry: Entry) -> Told:
    """Durable now; the entry leaves the app's queue."""
    return {"type": "sync_ack", "id": entry.id, "status": "processed", **_about(entry)}


def sync_nack(entry: Entry | BadEntry, detail: str, reason: str = "validation_error") -> Told:
    """Final: the app never sends this entry again.

    reason: the app's own word; by this one it knows that trying again is of no use.
    """
    answer = {"type": "sync_nack", "id": entry.id, "status": "failed", **_about(entry)}
    return {**answer, "reason": reason, "detail": detail}


def pong(ping: Ping) -> Told:
    return {"type": "pong", "timestamp": ping.timestamp}


def connection_status_response(tenant_id: str) -> Told:
    return {"type": "connection_status_response", "tenant_id": tenant_id, "status": "online"}


def data_status_response(tenant_id: str, now_ms: int) -> Told:
    """Times in seconds. There are no checksums: the app stores the time and nothing else."""
    return {
        "type": "data_status_response",
        "tenant_id": tenant_id,
        "entity_checksums": {},
        "last_sync_time": now_ms / 1000,
        "server_time": now_ms / 1000,
    }


def error(message: str) -> Told:
    """For what is none of its frames; the app ignores it."""
    return {"type": "error", "message": message}


def _about(entry: Entry | BadEntry) -> dict[str, str]:
    if isinstance(entry, BadEntry):
        return {name: text for name, text in entry.about.items() if text}
    return {
        "entityId": entry.entity_id,
        "entityType": entry.entity_type,
        "operationType": entry.kind,
    }


# --- records ---------------------------------------------------------------------------


def ms_to_iso(ms: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def iso_to_ms(text: Any) -> int | None:
    """None for what is no time; one without a zone is taken for UTC."""
    if not isinstance(text, str) or len(text) > 40:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        ms = (moment - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        return None
    return ms if 0 <= ms <= LATEST_MS else None


def row_to_record(kind: Kind, entity: Entity, row: Row, updated_ms: int) -> Told:
    """A row as the app takes it. What nobody has ever written stands at its default."""
    record: Told = {"id": row.id}
    for name, spec in entity.fields.items():
        value = row.fields.get(name, spec.default)
        if spec.kind == "decimal":
            record[name] = msgspec.Raw((value or "0").encode())  # a number, digit by digit
        elif spec.kind == "image":
            record[name] = value or None
        elif spec.kind == "choice":
            record[name] = kind.codes.get(name, {}).get(value, value)
        else:
            record[name] = value
    record["updated_at"] = ms_to_iso(updated_ms)
    return record


def held_of_row(entity: Entity, row: Row) -> dict[str, str]:
    """What the app holds once it has taken this row: digest by field; nothing if it is gone."""
    if not row.is_here:
        return {}
    return {
        name: _held(spec, row.fields.get(name, spec.default))
        for name, spec in entity.fields.items()
    }


def _held(spec: Field, value: Any) -> str:
    if spec.kind == "decimal":
        # There, an amount is no more exact than this; Decimal first, for any length.
        value = repr(float(Decimal(value or "0")))
    return digest_of(canonical_text("" if value is None else value))


@dataclass(slots=True)
class _Read:
    """A payload in our words: what can be taken, what cannot, and what the app holds now."""

    values: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, Refused] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)


def _read(kind: Kind, entity: Entity, record: Mapping[str, Any]) -> _Read:
    read = _Read()
    for name, spec in entity.fields.items():
        if name not in record:
            continue
        sent = record[name]
        try:
            read.values[name] = canonical(spec, _to_ours(kind, spec, sent))
        except Refused as refusal:
            read.problems[name] = refusal
        if spec.kind == "decimal" and _is_number(sent):
            read.held[name] = _held(spec, sent)
        elif name in read.values:
            read.held[name] = _held(spec, read.values[name])
        else:
            read.held[name] = digest_of(f"{spec.kind}?{sent!r}")
    return read


def _to_ours(kind: Kind, spec: Field, value: Any) -> Any:
    if spec.kind == "reference" and value == "":
        return None
    if spec.kind == "text" and isinstance(value, str):
        return _HALF_A_CHARACTER.sub("\ufffd", value)
    if spec.kind in ("decimal", "int") and isinstance(value, str):
        text = value.strip()
        value = Decimal(text) if _NUMBER.match(text) else text or None
    if value is None:
        return None if spec.is_nullable else spec.default
    if spec.kind == "decimal" and _is_number(value):
        return _amount(spec, Decimal(value))
    if spec.kind == "int" and isinstance(value, Decimal) and abs(value.adjusted()) < 32:
        return int(value) if value == int(value) else value
    if spec.kind == "choice" and isinstance(value, str):
        ours = {theirs: ours for ours, theirs in kind.codes.get(spec.name, {}).items()}
        return ours.get(value, value)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _amount(spec: Field, number: Decimal) -> str:
    if abs(number.adjusted()) > 32:
        return str(number)  # refused in any case; written out, 1E+999999 would fill the memory
    if -_exponent(number) > spec.places:
        # 0.30000000000000004 is what JavaScript makes of 0.1 + 0.2.
        number = Decimal(f"{number:.{_EXACT_DIGITS - 1}e}")
    return format(number, "f")


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


# --- from an entry to a change ---------------------------------------------------------


@dataclass(slots=True)
class Translation:
    """What an entry comes to.

    change: None if it writes nothing. problems: what of it can never be accepted.
    """

    change: Change | None
    problems: list[Refused] = field(default_factory=list)
    is_gone: bool = False  # an edit of a row that was deleted so long ago that it is forgotten
    _read: _Read = field(default_factory=_Read)
    _base: Version | None = None

    def note(self, entry: Entry, shown: Shown, result: Result | None) -> None:
        """Remember what the app holds by itself after this entry, and under which stamps.

        result: what became of the change, or None if nothing of it was taken.
        """
        stamp, written = NO_STAMP, {}
        if self.change is not None and result is not None:
            stamp = result.stamp or self.change.stamp
            written = written_by(self.change.kind, self.change.fields)
            shown.last_stamp = max(shown.last_stamp, stamp)
            shown.last_entry_ms = max(shown.last_entry_ms, entry.timestamp)
        if entry.kind == "delete":
            return
        edited = entry.timestamp if entry.edited is None else entry.edited
        held = dict(self._base.held) if self._base is not None else {}
        stamps = dict(self._base.stamps) if self._base is not None else {}
        shown.hear(edited, held | self._read.held, stamps | dict.fromkeys(written, stamp))


def entry_to_change(
    entry: Entry,
    kind: Kind,
    entity: Entity,
    *,
    current: Row | None,
    shown: Shown,
    node: str,
    number: int,
    horizon: str,
    now_ms: int,
) -> Translation:
    """Translate one entry.

    current: the row as it stands. shown: what this app was shown of it. horizon: the newest
    delete that the household has forgotten.
    """
    stamp = _mint(entry, shown, node, now_ms)
    if entry.kind == "delete":
        base = shown.version_at(entry.timestamp)
        seen = {EXISTS: base.stamps.get(EXISTS, NO_STAMP)} if base is not None else {}
        return Translation(
            Change(number, kind.entity, entry.entity_id, "delete", stamp, {}, _without_none(seen))
        )
    read = _read(kind, entity, entry.record)
    base = None
    if entry.kind == "update":
        base = shown.version_at(entry.timestamp if entry.edited is None else entry.edited)
    written, problems = _what_was_written(read, base, current)
    is_bare = current is not None and not entity.fields.keys() <= current.stamps.keys()
    if entry.kind == "create" or current is None or is_bare:
        was_here = base is not None and bool(base.stamps.get(EXISTS))
        if entry.kind == "update" and current is None and was_here and stamp <= horizon:
            return Translation(None, is_gone=True, _read=read, _base=base)
        change_kind: ChangeKind = "create"
        written, problems = dict(read.values), list(read.problems.values())
    else:
        change_kind = "edit"
    if change_kind == "edit" and not written:
        return Translation(None, problems, _read=read, _base=base)
    missing = [
        read.problems.get(name) or Refused("required", "A new row needs this field.", name)
        for name, spec in entity.fields.items()
        if change_kind == "create" and spec.is_required and name not in written
    ]
    if missing:
        return Translation(None, missing, _read=read, _base=base)
    seen = {} if base is None else {name: base.stamps.get(name, "") for name in (*written, EXISTS)}
    change = Change(
        number, kind.entity, entry.entity_id, change_kind, stamp, written, _without_none(seen)
    )
    return Translation(change, problems, _read=read, _base=base)


def _what_was_written(
    read: _Read, base: Version | None, current: Row | None
) -> tuple[dict[str, Any], list[Refused]]:
    """The app sends everything; a field that is as it was shown is no write."""
    if base is not None:
        changed = {name for name, held in read.held.items() if base.held.get(name) != held}
    elif current is not None:
        # Made before this browser was known here: what differs from what stands counts.
        changed = {
            name
            for name in read.held
            if name in read.problems or current.fields.get(name) != read.values[name]
        }
    else:
        changed = set(read.held)
    written = {name: value for name, value in read.values.items() if name in changed}
    return written, [refusal for name, refusal in read.problems.items() if name in changed]


def _mint(entry: Entry, shown: Shown, node: str, now_ms: int) -> str:
    """A stamp from the app's times: that of the change, for an edit also of what was edited.

    The `updated_at` of an edited record names the version that was edited, and an edit is
    later than what it was made upon, however slow the clock.
    """
    ms = entry.timestamp
    if entry.kind == "update" and entry.edited is not None:
        ms = max(ms, entry.edited + 1)
    ahead_ms = 0 if entry.last_attempt is None else entry.last_attempt - now_ms
    if ahead_ms > AHEAD_LIMIT_MS:
        # The app tells when it sent this, by the same clock: so far is it ahead.
        ms = max(ms - ahead_ms, 0)
    # What one app does to one row keeps its order: within a millisecond, and with a clock so
    # slow that a delete would come before the edit whose version was told by ours.
    is_in_order = entry.timestamp >= shown.last_entry_ms
    return next_stamp(shown.last_stamp if is_in_order else NO_STAMP, ms, node)


def _without_none(stamps: Mapping[str, str]) -> dict[str, str]:
    return {name: stamp for name, stamp in stamps.items() if stamp}
