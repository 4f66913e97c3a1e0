"""The wire: every frame of protocol version 1, in one place.

JSON text frames, each with a `type`. Field names are camelCase. What a device sends is
checked exactly (an unknown key is refused); a device ignores keys it does not know, so
that a newer server can say more. The TypeScript types and the AsyncAPI document are
generated from these structs (`manage.py generate_protocol`), and CI checks that they are fresh.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from .change import Row, pack_stamps, unpack_stamps
from .clock import NODE_PATTERN, STAMP_PATTERN
from .errors import BadFrame, HostileFrame, TooLarge, TooMany

PROTOCOL = "finwise.sync.v1"
FRAME_MAX_BYTES = 1024 * 1024
BATCH_MAX_ROWS = 500
BATCH_MAX_BYTES = 512 * 1024
NESTING_MAX = 8
HEARTBEAT_S = 20
HELLO_TIMEOUT_S = 10
FRAMES_PER_SECOND = 50
FRAMES_BURST = 200
NUMBER_MAX = 2**53 - 1  # what JavaScript can count

_UUID_PATTERN = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
# No "$" where text may be of any length: in Python it also matches before a final newline.
_PLAIN = r"^(?![\s\S]*[\x00-\x1f\x7f])"
_STAMP_OR_NONE = rf"^(?![\s\S])|{STAMP_PATTERN}"

Uuid = Annotated[str, Meta(pattern=_UUID_PATTERN, max_length=36)]
StampText = Annotated[str, Meta(pattern=STAMP_PATTERN, max_length=34)]
SeenStamp = Annotated[str, Meta(pattern=_STAMP_OR_NONE, max_length=34)]
Node = Annotated[str, Meta(pattern=NODE_PATTERN, max_length=16)]
Count = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]
Number = Annotated[int, Meta(ge=1, le=NUMBER_MAX)]
Moment = Annotated[int, Meta(ge=-NUMBER_MAX, le=NUMBER_MAX)]
Name = Annotated[str, Meta(max_length=40, min_length=1, pattern=_PLAIN)]
Label = Annotated[str, Meta(max_length=120, pattern=_PLAIN)]
HouseholdName = Annotated[str, Meta(max_length=120, min_length=1, pattern=_PLAIN)]
CursorText = Annotated[str, Meta(max_length=240)]
AnchorText = Annotated[str, Meta(max_length=40)]

ChangeKind = Literal["create", "edit", "delete"]
ResetReason = Literal["horizon", "restored", "operator"]
Role = Literal["owner", "editor", "viewer"]
Fate = Literal["applied", "superseded", "refused", "settled"]


class _Up(Struct, rename="camel", tag_field="type", forbid_unknown_fields=True, kw_only=True):
    """What a device sends."""


class _Down(Struct, rename="camel", tag_field="type", omit_defaults=True, kw_only=True):
    """What the server sends; a key at its default is left out."""


class Change(Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """One edit of one row by one device.

    seen: for each field (and `exists`) the stamp its author was shown; absent or "" = none.
    """

    number: Number
    entity: Name
    id: Uuid
    kind: ChangeKind
    stamp: StampText
    fields: Annotated[dict[str, Any], Meta(max_length=200)] = {}
    seen: Annotated[dict[str, SeenStamp], Meta(max_length=200)] = {}


class WireRow(Struct, rename="camel", omit_defaults=True):
    """A whole row. `stamp` is the stamp of each field that `stamps` does not name."""

    entity: Name
    id: Uuid
    fields: Annotated[dict[str, Any], Meta(max_length=200)]
    stamp: StampText
    stamps: Annotated[dict[str, StampText], Meta(max_length=200)] = {}


class Household(Struct, rename="camel", forbid_unknown_fields=True):
    """A household born on this device that no server has acknowledged yet."""

    name: HouseholdName


# device -> server


class Hello(_Up, tag="hello"):
    """The first frame. `reset`: one that this device has noted and not finished.

    A `restored` one is finished when the end of the heal list is acknowledged. `anchor`:
    that of the newest ack.
    """

    device: Uuid
    node: Node
    former_nodes: Annotated[list[Node], Meta(max_length=32)] = []
    name: Label = ""
    app: Label = ""
    cursor: CursorText | None = None
    pending: Count = 0
    acknowledged: Count = 0
    clock_ms: Moment = 0
    household: Household | None = None
    reset: ResetReason | None = None
    anchor: AnchorText = ""


class Push(_Up, tag="push"):
    """Changes in the order of their numbers. `acknowledged`: all up to here is settled."""

    changes: list[Change]
    acknowledged: Count = 0


class Rows(_Up, tag="rows"):
    """Whole rows with their stamps, to heal a server that lost them. `last`: list empty."""

    rows: list[WireRow]
    last: bool = False


class Pull(_Up, tag="pull"):
    """Give credit for what is stored up to `cursor`; with `ask`, answer in any case."""

    cursor: CursorText | None = None
    limit: Annotated[int, Meta(ge=1, le=BATCH_MAX_ROWS)] = BATCH_MAX_ROWS
    ask: bool = False


class Ping(_Up, tag="ping"):
    """The heartbeat, and how the device is: counts, and the age of its oldest change."""

    pending: Count = 0
    oldest_pending_ms: Count = 0
    refused: Count = 0
    parked: Count = 0
    cursor: CursorText | None = None
    clock_ms: Moment = 0


class Report(_Up, tag="report"):
    """The answer to a `sync_request`, when the device is done (or knows it cannot be)."""

    id: Uuid
    sent: Count = 0
    received: Count = 0
    pending: Count = 0
    refused: Count = 0
    parked: Count = 0
    cursor: CursorText | None = None
    outcome: Literal["done", "pending", "failed"] = "done"


UpFrame = Hello | Push | Rows | Pull | Ping | Report


# server -> device


class Limits(Struct, rename="camel"):
    """What the server takes at once. A push or a page ends at the rows or the bytes."""

    frame_bytes: int = FRAME_MAX_BYTES
    batch_rows: int = BATCH_MAX_ROWS
    batch_bytes: int = BATCH_MAX_BYTES
    row_bytes: int = 256 * 1024
    heartbeat_ms: int = HEARTBEAT_S * 1000


class Welcome(_Down, tag="welcome"):
    """The answer to hello. `identity` "taken": take a new one and connect again."""

    time_ms: int
    head: Count
    role: Role
    version: str  # of `entities`: parked changes are sent again when it changes
    entities: dict[str, Any]
    limits: Limits
    resume: bool  # the cursor still holds
    reset: ResetReason | None = None
    identity: Literal["kept", "taken"] = "kept"
    created: bool = False  # this hello brought the household to the server
    user: str = ""  # whom the server takes the device's person for


class Provisioning(_Down, tag="provisioning"):
    """The household that `hello` brought is being made: so many steps are done."""

    step: int
    of: int


class Changes(_Down, tag="changes"):
    """Rows behind `from`, up to `to` (seqs). Shown by the device when `more` is false."""

    rows: list[WireRow]
    start: int = msgspec.field(name="from")
    to: int
    cursor: CursorText
    more: bool
    head: Count


class Result(Struct, rename="camel", omit_defaults=True):
    """The fate of one change.

    stamp: the effective one, if the server re-stamped. lost: fields overruled by newer
    ones. unknown: fields the server does not know yet. horizon: with `row_missing`, the
    newest delete that was compacted; a change newer than it may come back as `rows`.
    """

    number: int
    fate: Fate
    stamp: str = ""
    lost: list[str] = []
    unknown: list[str] = []
    code: str = ""
    field: str = ""
    message: str = ""
    horizon: str = ""


class RefusedRow(Struct, rename="camel", omit_defaults=True):
    """A row (or one field of it) that `rows` brought and the server could not accept."""

    entity: str
    id: str
    code: str
    message: str
    field: str = ""


class Ack(_Down, tag="ack"):
    """Durable now: the answer to `push` (a result each) or `rows` (how many are settled).

    head: the household's, with this in it. anchor: opaque; the next `hello` says it, so that
    a server which was restored to a moment before is found out.
    """

    results: list[Result] = []
    rows: int = 0
    refused_rows: list[RefusedRow] = []
    of: Literal["push", "rows"] = "push"
    head: Count = 0
    anchor: AnchorText = ""


class News(_Down, tag="news"):
    """The household is at this seq now. Carries no data: the device pulls."""

    head: Count


class SyncRequest(_Down, tag="sync_request"):
    """Somebody asks this device to sync now, and to `report`. `by`: who asked."""

    id: str
    by: str


class Pong(_Down, tag="pong"):
    """The answer to `ping`: the server's time and head, fresh evidence for the device."""

    time_ms: int
    head: Count


class Status(_Down, tag="status"):
    """How the server is, for everybody who is connected."""

    state: Literal["online", "maintenance", "shutting_down"]
    message: str = ""


class Error(_Down, tag="error"):
    """A frame was not accepted; it settled nothing. `of`: the type of that frame."""

    code: str
    message: str
    of: str = ""
    retryable: bool = False
    retry_after_ms: int = 0


DownFrame = Welcome | Provisioning | Changes | Ack | News | SyncRequest | Pong | Status | Error

_NESTED = frozenset((dict, list))  # what JSON decodes to besides scalars
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_up_decoder: msgspec.json.Decoder[UpFrame] = msgspec.json.Decoder(UpFrame)
_down_decoder: msgspec.json.Decoder[DownFrame] = msgspec.json.Decoder(DownFrame)
_encoder = msgspec.json.Encoder()

FrameType = Annotated[str, Meta(max_length=40)]


class _Envelope(Struct):
    type: FrameType = ""


_envelope_decoder = msgspec.json.Decoder(_Envelope)


def encode(frame: Any) -> str:
    """One frame as JSON text."""
    return _encoder.encode(frame).decode()


def type_of_text(text: str | bytes) -> str:
    """The type a frame claims, for the answer; "" if it has none worth repeating."""
    try:
        claimed = _envelope_decoder.decode(text).type
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return ""
    return claimed if claimed in UP_TYPES else ""


def text_to_up(text: str | bytes | None) -> UpFrame:
    """Parse what a device sent, or raise a SyncError with a code.

    Raises TooLarge, HostileFrame (not text, not JSON, too deep) or BadFrame (JSON, but
    none of our frames), TooMany.
    """
    if not isinstance(text, str):
        raise HostileFrame("Frames are JSON text.")
    if _is_too_large(text):
        raise TooLarge()
    try:
        frame = _up_decoder.decode(text)
    except msgspec.ValidationError as error:
        raise BadFrame(f"This frame is not part of the protocol: {_location(error)}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise HostileFrame("This is not JSON that the protocol allows.") from None
    rows: list[Any] = []
    if isinstance(frame, Push):
        rows = frame.changes
    elif isinstance(frame, Rows):
        rows = frame.rows
    if len(rows) > BATCH_MAX_ROWS:
        raise TooMany(f"At most {BATCH_MAX_ROWS} rows at once.")
    for row in rows:
        # Names of unknown fields are answered and stored. As a pattern of the keys it would
        # take four times as long to decode a push.
        if _CONTROL.search("".join(row.fields)):
            raise BadFrame("The name of a field holds a control character.")
        if not _NESTED.isdisjoint(map(type, row.fields.values())):
            _check_nesting(row.fields, 3)
    return frame


def _is_too_large(text: str) -> bool:
    if len(text) > FRAME_MAX_BYTES // 4 and not text.isascii():
        return len(text.encode("utf-8", "surrogatepass")) > FRAME_MAX_BYTES
    return len(text) > FRAME_MAX_BYTES


def _check_nesting(value: Any, depth: int) -> None:
    if depth >= NESTING_MAX and isinstance(value, dict | list):
        raise HostileFrame(f"Frames nest at most {NESTING_MAX} deep.")
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            _check_nesting(each, depth + 1)


def text_to_down(text: str | bytes) -> DownFrame:
    """Parse what the server sent; raises BadFrame. Unknown keys are ignored."""
    try:
        return _down_decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise BadFrame(f"The server's frame is not part of the protocol: {error}") from None


def _location(error: msgspec.ValidationError) -> str:
    # The library's sentence names the place and the expected type; a hostile key may be long.
    return str(error)[:200]


def content_digest(change: Change) -> str:
    """16 hex digits that tell one change's content from another's (not its number or stamp)."""
    content = (change.entity, change.id, change.kind, change.fields)
    encoded = msgspec.json.encode(content, order="sorted")
    return hashlib.blake2b(encoded, digest_size=8).hexdigest()


def row_to_wire(row: Row) -> WireRow:
    common, exceptions = pack_stamps(row.stamps)
    return WireRow(row.entity, row.id, row.fields, common, exceptions)


def wire_to_row(wire: WireRow) -> Row:
    return Row(
        wire.entity, wire.id, dict(wire.fields), unpack_stamps(wire.fields, wire.stamp, wire.stamps)
    )


UP_FRAMES = {each.__struct_config__.tag: each for each in UpFrame.__args__}
DOWN_FRAMES = {each.__struct_config__.tag: each for each in DownFrame.__args__}
UP_TYPES = frozenset(UP_FRAMES)
