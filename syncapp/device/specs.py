"""What this device knows about the entities: from its program, and from the server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from syncapp.core.entity import ROW_MAX_BYTES, Entity, Field, canonical
from syncapp.core.errors import Refused

from .errors import ValueRefused

FIELDS_MAX = 200  # of one change
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,40}\Z")


def entities_from(description: Mapping[str, Any]) -> dict[str, Entity]:
    """The entities of a `welcome`; the inverse of `core.entity.describe`.

    A newer server may say more, or name kinds that are not known here: such fields are
    left out (their values are stored and kept, but nobody types them here).
    """
    entities = {}
    for name, told in description.items():
        fields = {}
        for field, each in told.get("fields", {}).items():
            try:
                fields[field] = _field(field, each)
            except msgspec.ValidationError:
                continue
        entities[name] = Entity(name, fields, bool(told.get("readOnly", False)))
    return entities


class _Told(msgspec.Struct, rename="camel"):
    kind: str
    required: bool = False
    nullable: bool = False
    default: Any = None
    max_length: int | None = None
    choices: list[str] = []
    minimum: int | None = None
    maximum: int | None = None
    digits: int | None = None
    places: int | None = None
    target: str | None = None


_KINDS = ("text", "bool", "int", "decimal", "choice", "reference", "iban", "image")


def _field(name: str, description: Any) -> Field:
    told = msgspec.convert(description, _Told)
    if told.kind not in _KINDS:
        raise msgspec.ValidationError("unknown kind")
    field = Field(
        name,
        told.kind,  # type: ignore[arg-type]
        told.default,
        told.required,
        told.nullable,
        told.max_length,
        tuple(told.choices),
        target=told.target,
    )
    bounds = {
        key: value
        for key in ("minimum", "maximum", "digits", "places")
        if (value := getattr(told, key)) is not None
    }
    return replace(field, **bounds)


def united(program: Mapping[str, Entity], server: Mapping[str, Entity]) -> dict[str, Entity]:
    """What either knows. The program's word counts: it brings the rules that do not travel.

    A field that the server does not know yet is typed all the same; it will be parked.
    """
    entities = {**server, **program}
    for name in program.keys() & server.keys():
        both = {**server[name].fields, **program[name].fields}
        entities[name] = replace(program[name], fields=both)
    return entities


def checked(
    entities: Mapping[str, Entity],
    name: str,
    fields: Mapping[str, Any],
    *,
    is_create: bool,
) -> dict[str, Any]:
    """Canonical values, completed with defaults for a create. Raises ValueRefused.

    With no entities known at all (before the first welcome), anything that the wire can
    carry is accepted; the server decides.
    """
    if not _NAME.match(name) or not all(_NAME.match(each) for each in fields):
        raise ValueRefused("unknown", "This name cannot be one of a household's.")
    if len(fields) > FIELDS_MAX:
        raise ValueRefused("row_too_large", f"A change may write {FIELDS_MAX} fields.")
    if not entities:
        return dict(fields)
    entity = entities.get(name)
    if entity is None:
        raise ValueRefused("unknown", f"This household keeps no {name!r}.")
    if entity.is_read_only:
        raise ValueRefused("read_only", "These rows are written by the server alone.")
    values = {}
    for each, value in fields.items():
        spec = entity.fields.get(each)
        if spec is None:
            known = ", ".join(sorted(entity.fields))
            raise ValueRefused("unknown", f"There is no such field; there are: {known}.", each)
        try:
            values[each] = canonical(spec, value)
        except Refused as refusal:
            raise ValueRefused(refusal.code, refusal.message, each) from None
    if is_create:
        for spec in entity.fields.values():
            if spec.name not in values:
                if spec.is_required:
                    raise ValueRefused("required", "A new row needs this field.", spec.name)
                values[spec.name] = spec.default
    return values


def check_size(fields: Mapping[str, Any], row_bytes: int = ROW_MAX_BYTES) -> None:
    """The limit of a whole row, checked before it is queued. Raises ValueRefused."""
    try:
        size = len(msgspec.json.encode(fields))
    except (UnicodeError, TypeError, ValueError):
        raise ValueRefused("text", "This holds something that cannot be stored.") from None
    if size > row_bytes:
        raise ValueRefused(
            "row_too_large", f"This row would have {size // 1024} KiB; {row_bytes // 1024} may be."
        )
