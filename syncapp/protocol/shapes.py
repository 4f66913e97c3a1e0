"""What the generators read off the structs: fields, types by name, defaults, codes."""

from __future__ import annotations

import inspect
import re
import types
import typing
from typing import Any, Literal, NamedTuple, Union

import msgspec
from msgspec import Struct

from syncapp.core import entity, errors, messages

# Not a frame of its own: how `core.entity.describe` tells a device what an entity holds.


class FieldDescription(Struct, rename="camel", forbid_unknown_fields=True):
    """What one field takes. A limit that does not concern its kind is null."""

    kind: entity.Kind
    required: bool
    nullable: bool
    default: Any
    max_length: int | None
    choices: list[str]
    minimum: int | None
    maximum: int | None
    digits: int | None
    places: int | None
    target: str | None


class EntityDescription(Struct, rename="camel", forbid_unknown_fields=True):
    """A kind of row, its fields by name; `readOnly`: the server alone writes it."""

    read_only: bool
    fields: dict[str, FieldDescription]


class WireField(NamedTuple):
    """One key of a struct: `annotation` with the names that `core/messages.py` gave it."""

    name: str
    annotation: Any
    is_required: bool
    default: Any


UP = list(messages.UP_FRAMES.values())
DOWN = list(messages.DOWN_FRAMES.values())
PARTS: list[type[Struct]] = [
    messages.Change,
    messages.WireRow,
    messages.Household,
    messages.Limits,
    messages.Result,
    messages.RefusedRow,
    FieldDescription,
    EntityDescription,
]
STRUCTS = [*PARTS, *UP, *DOWN]

# Declared as plain data in the core, which need not know its readers.
_TOLD = {(messages.Welcome, "entities"): dict[str, EntityDescription]}

_COMMENTED = re.compile(r'^\s+"(\w+)",(?:\s+# (.+))?$', re.MULTILINE)


def fields(struct: type[Struct]) -> list[WireField]:
    """A frame's fields as they are written on the wire, in their order."""
    hints = typing.get_type_hints(struct, include_extras=True)
    return [
        WireField(
            each.encode_name,
            _TOLD.get((struct, each.name), hints[each.name]),
            each.required,
            _default(each),
        )
        for each in msgspec.structs.fields(struct)
    ]


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return None if field.default is msgspec.NODEFAULT else field.default


def tag(struct: type[Struct]) -> str | None:
    """The `type` of a frame; None for its parts."""
    return struct.__struct_config__.tag


def summary(thing: Any) -> str:
    """The docstring of a struct or error, unwrapped to paragraphs; "" if it has none."""
    text = inspect.cleandoc(thing.__dict__.get("__doc__") or "")
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def aliases() -> dict[str, Any]:
    """The types that `core/messages.py` gives a name: Uuid, StampText, Role and so on."""
    return {
        name: value
        for name, value in vars(messages).items()
        if not name.startswith("_")
        and typing.get_origin(value) in (typing.Annotated, Literal)
        and name != "FrameType"
    }


def constants() -> dict[str, int | str]:
    """The limits of the protocol by name."""
    found = {
        name: value
        for name, value in vars(messages).items()
        if re.fullmatch("[A-Z][A-Z_]+", name)
        and isinstance(value, int | str)
        and not name.endswith("_PATTERN")
    }
    return {**found, "ROW_MAX_BYTES": entity.ROW_MAX_BYTES}


def refusal_codes() -> dict[str, str]:
    """What each refusal code means: the comments beside `REFUSAL_CODES`, "" for none."""
    source = inspect.getsource(errors)
    listed = source.split("REFUSAL_CODES = (")[1].split("\n)")[0]
    return {code: comment or "" for code, comment in _COMMENTED.findall(listed)}


def close_codes() -> dict[int, list[str]]:
    """The error codes after which a socket closes, by close code."""
    # The WebSocket library closes by itself what is larger than any frame may be.
    found: dict[int, list[str]] = {1009: [errors.TooLarge.code]}
    for error in (*errors.FRAME_ERRORS, errors.HostileFrame):
        if error.close_code is not None:
            found.setdefault(error.close_code, []).append(error.code)
    return dict(sorted(found.items()))


def is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (Union, types.UnionType)
