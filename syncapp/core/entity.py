"""What a synced row may hold: field by field, what is accepted and its canonical form.

Values are canonical *before* they are stamped and compared, the same in Python and
TypeScript: text in NFC, decimals without trailing zeros, ids lower case, IBANs upper case
without blanks. `docs/protocol/vectors/values.json` bears it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from .change import EVERY_OTHER_FIELD, EXISTS
from .errors import Refused

Kind = Literal["text", "bool", "int", "decimal", "choice", "reference", "iban", "image"]

ROW_MAX_BYTES = 256 * 1024
INT_MIN, INT_MAX = -(2**31), 2**31 - 1

# No field can have these names, so none of them is one that a newer server knows.
_NEVER_FIELDS = (EXISTS, EVERY_OTHER_FIELD, "id")

# ASCII digits only: int() and Decimal() also take "1_000", " 1 " and Arabic digits.
_DECIMAL = re.compile(r"(-?)0*([0-9]+)(?:\.([0-9]+))?\Z", re.ASCII)
_DECIMAL_MAX_CHARS = 64  # before anything is computed: 5,000 digits cost nothing
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z", re.I)
_IMAGE = re.compile(r"data:image/(?:png|jpeg|webp);base64,[A-Za-z0-9+/]+={0,2}\Z")
# Named one by one: what \s means differs between Python and JavaScript.
_IBAN_BLANKS = re.compile("[-\t\n\r \u00a0\u2007\u202f]+")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Field:
    """One synced field: its wire name, kind and limits.

    max_length: characters (code points) after normalisation; for images the bytes of the
    whole data URL. digits, places: before and after the point of a decimal.
    checks: further rules (from the Django model); each takes the canonical value and
    raises Refused. They never run on None.
    """

    name: str
    kind: Kind
    default: Any = None
    is_required: bool = False  # a create without it is refused
    is_nullable: bool = False
    max_length: int | None = None
    choices: tuple[str, ...] = ()
    minimum: int = INT_MIN
    maximum: int = INT_MAX
    digits: int = 15
    places: int = 4
    target: str | None = None  # entity that a reference points to
    checks: tuple[Callable[[Any], None], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Entity:
    """A kind of synced row. `fields` by wire name, without existence."""

    name: str
    fields: Mapping[str, Field]
    is_read_only: bool = False  # written by the server alone (conflicts)


def describe(entities: Mapping[str, Entity]) -> dict[str, Any]:
    """What a device is told about the entities in `welcome`: plain data, by entity."""
    return {
        name: {
            "readOnly": entity.is_read_only,
            "fields": {
                each.name: {
                    "kind": each.kind,
                    "required": each.is_required,
                    "nullable": each.is_nullable,
                    "default": each.default,
                    "maxLength": each.max_length,
                    "choices": list(each.choices),
                    "minimum": each.minimum if each.kind == "int" else None,
                    "maximum": each.maximum if each.kind == "int" else None,
                    "digits": each.digits if each.kind == "decimal" else None,
                    "places": each.places if each.kind == "decimal" else None,
                    "target": each.target,
                }
                for each in entity.fields.values()
            },
        }
        for name, entity in entities.items()
    }


def version_of(entities: Mapping[str, Entity]) -> str:
    """A short name for what the server knows; it changes when an entity or field does."""
    text = msgspec.json.encode(describe(entities), order="sorted")
    return hashlib.sha256(text).hexdigest()[:16]


def canonical(spec: Field, value: Any) -> Any:
    """Return the canonical form of `value`, or raise Refused with the field's name."""
    if value is None:
        if spec.is_nullable:
            return None
        raise Refused("required", "This field may not be empty.", spec.name)
    result = _CANONICAL[spec.kind](spec, value)
    for check in spec.checks:
        try:
            check(result)
        except Refused as refusal:
            raise Refused(refusal.code, refusal.message, spec.name) from None
    return result


def canonical_fields(
    entity: Entity, fields: Mapping[str, Any], *, is_create: bool
) -> tuple[dict[str, Any], list[str]]:
    """Check and normalise what a change writes.

    Returns (canonical values by field, names the server does not know). For a create the
    absent fields are filled with their defaults. Raises Refused.
    """
    known: dict[str, Any] = {}
    unknown: list[str] = []
    specs = entity.fields
    for name, value in fields.items():
        spec = specs.get(name)
        if spec is not None:
            known[name] = canonical(spec, value)
        elif name in _NEVER_FIELDS or name.startswith("sync"):
            raise Refused("read_only", "This field is written by the server alone.", name)
        else:
            unknown.append(name)
    if is_create:
        for spec in specs.values():
            if spec.name not in known:
                if spec.is_required:
                    raise Refused("required", "A new row needs this field.", spec.name)
                known[spec.name] = spec.default
    if len(msgspec.json.encode(known)) > ROW_MAX_BYTES:
        raise Refused("row_too_large", f"A row may hold {ROW_MAX_BYTES // 1024} KiB.")
    return known, sorted(unknown)


def _text(spec: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise Refused("type", "This field takes text.", spec.name)
    if "\x00" in value or (not value.isascii() and _SURROGATE.search(value)):
        raise Refused("text", "This text holds a character that cannot be stored.", spec.name)
    text = unicodedata.normalize("NFC", value)
    if spec.max_length is not None and len(text) > spec.max_length:
        raise Refused("too_long", f"At most {spec.max_length} characters.", spec.name)
    if spec.is_required and not text.strip():
        raise Refused("required", "This field may not be empty.", spec.name)
    return text


def _bool(spec: Field, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Refused("type", "This field takes true or false.", spec.name)
    return value


def _int(spec: Field, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused("type", "This field takes a whole number.", spec.name)
    if not spec.minimum <= value <= spec.maximum:
        raise Refused("range", f"From {spec.minimum} to {spec.maximum}.", spec.name)
    return value


def _decimal(spec: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise Refused("type", "An amount is text, such as 12.50.", spec.name)
    match = _DECIMAL.match(value) if len(value) <= _DECIMAL_MAX_CHARS else None
    if match is None:
        raise Refused("type", "An amount is written like 12.50.", spec.name)
    sign, whole, fraction = match.group(1), match.group(2), (match.group(3) or "").rstrip("0")
    if len(whole) > spec.digits or len(fraction) > spec.places:
        raise Refused(
            "digits",
            f"At most {spec.digits} digits before and {spec.places} after the point.",
            spec.name,
        )
    text = f"{whole}.{fraction}" if fraction else whole
    return text if text == "0" else sign + text


def _choice(spec: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise Refused("type", "This field takes text.", spec.name)
    if value not in spec.choices:
        raise Refused("choice", "This is none of the values to choose from.", spec.name)
    return value


def _reference(spec: Field, value: Any) -> str:
    if not isinstance(value, str) or not _UUID.match(value):
        raise Refused("reference", "A reference is the id of a row.", spec.name)
    return value.lower()


def _iban(spec: Field, value: Any) -> str:
    return _text(spec, _IBAN_BLANKS.sub("", value).upper() if isinstance(value, str) else value)


def _image(spec: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise Refused("type", "An image is a data URL.", spec.name)
    if spec.max_length is not None and len(value) > spec.max_length:
        raise Refused("too_long", f"An image may have {spec.max_length} bytes.", spec.name)
    if value and not _IMAGE.match(value):
        raise Refused("image", "An image is a PNG, JPEG or WebP data URL.", spec.name)
    return value


_CANONICAL: dict[str, Callable[[Field, Any], Any]] = {
    "text": _text,
    "bool": _bool,
    "int": _int,
    "decimal": _decimal,
    "choice": _choice,
    "reference": _reference,
    "iban": _iban,
    "image": _image,
}
