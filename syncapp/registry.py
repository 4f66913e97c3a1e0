"""Which models travel. A model says how it travels by being a Django model.

    sync(Account)

declares the entity `account`: its fields, kinds, limits and defaults are those of the
model. Wire names are the column names in camelCase (`account_group_id` is
`accountGroupId`); the triggers spell them alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import (
    DecimalValidator,
    MaxLengthValidator,
    MaxValueValidator,
    MinValueValidator,
    ProhibitNullCharactersValidator,
)
from django.db import connection, models

from .core.change import EVERY_OTHER_FIELD, EXISTS
from .core.entity import INT_MAX, INT_MIN, ROW_MAX_BYTES, Entity, Field, Kind, canonical
from .core.errors import Refused
from .models import SyncedModel

NAME_MAX = 40  # as conflicts store it

# What the core checks by itself, in both languages.
_CHECKED_BY_CORE = (
    MaxLengthValidator,
    DecimalValidator,
    MinValueValidator,
    MaxValueValidator,
    ProhibitNullCharactersValidator,
)


@dataclass(frozen=True, slots=True)
class SyncedTable:
    """How an entity lies in its table: wire name to (column, SQL type)."""

    entity: Entity
    model: type[SyncedModel]
    table: str
    columns: Mapping[str, tuple[str, str]]


_tables: dict[str, SyncedTable] = {}

_conflict_fields = (
    Field("rowEntity", "text"),
    Field("rowId", "reference"),
    Field("field", "text"),
    Field("winningValue", "text", is_nullable=True),
    Field("winningStamp", "text"),
    Field("winningDevice", "reference", is_nullable=True),
    Field("winningUser", "reference", is_nullable=True),
    Field("losingValue", "text", is_nullable=True),
    Field("losingStamp", "text"),
    Field("losingDevice", "reference", is_nullable=True),
    Field("losingUser", "reference", is_nullable=True),
    Field("atMs", "int"),
)
CONFLICT = Entity("conflict", {each.name: each for each in _conflict_fields}, is_read_only=True)


def sync(model: type[SyncedModel], name: str | None = None) -> None:
    """Register a model as a synced entity, named after its table unless told otherwise."""
    name = name or model._meta.db_table
    fields = {}
    columns = {}
    for field in model._meta.concrete_fields:
        if field.primary_key or field.attname in SyncedModel.SYNC_COLUMNS:
            continue
        spec = _field(field)
        fields[spec.name] = spec
        columns[spec.name] = (
            field.column,
            field.rel_db_type(connection) if field.is_relation else field.db_type(connection),
        )
    entity = Entity(name, fields)
    _refuse_impossible(entity)
    _tables[name] = SyncedTable(entity, model, model._meta.db_table, columns)


def forget(name: str) -> None:
    """Take an entity out again (tests that bring their own table)."""
    _tables.pop(name, None)


def tables() -> Mapping[str, SyncedTable]:
    """The synced tables by entity name, in the order in which pages are read."""
    return dict(sorted(_tables.items()))


def entities() -> dict[str, Entity]:
    """Every entity that travels, conflicts included, by name."""
    return {name: table.entity for name, table in tables().items()} | {CONFLICT.name: CONFLICT}


def wire_name(column: str) -> str:
    first, *rest = column.split("_")
    return first + "".join(each.capitalize() for each in rest)


def _refuse_impossible(entity: Entity) -> None:
    if not re.fullmatch(r"[a-y][a-z_]{0,39}", entity.name) or entity.name == CONFLICT.name:
        raise ImproperlyConfigured(f"{entity.name!r} cannot name an entity")
    for reserved in (EXISTS, EVERY_OTHER_FIELD, "id"):
        if reserved in entity.fields:
            raise ImproperlyConfigured(f"{entity.name}.{reserved} is a reserved name")
    for name in entity.fields:
        if len(name) > NAME_MAX:
            raise ImproperlyConfigured(f"{entity.name}.{name}: a name has at most {NAME_MAX}")
    # 4 bytes for each character is the most that UTF-8 takes.
    largest = sum(
        (spec.max_length or 64) * (1 if spec.kind in ("image", "iban", "choice") else 4)
        for spec in entity.fields.values()
    )
    if largest > ROW_MAX_BYTES:
        raise ImproperlyConfigured(
            f"A row of {entity.name} could have {largest:,} bytes; {ROW_MAX_BYTES:,} is the limit"
        )


def _field(field: models.Field) -> Field:
    kind = _kind(field)
    if kind in ("text", "iban", "image") and field.max_length is None:
        raise ImproperlyConfigured(f"{field} needs a max_length: rows have a limit")
    lower, upper = INT_MIN, INT_MAX
    if kind == "int":
        bounds = connection.ops.integer_field_range(field.get_internal_type())
        lower, upper = max(lower, bounds[0]), min(upper, bounds[1])
        for validator in field.validators:
            if isinstance(validator, MinValueValidator) and isinstance(validator.limit_value, int):
                lower = max(lower, validator.limit_value)
            if isinstance(validator, MaxValueValidator) and isinstance(validator.limit_value, int):
                upper = min(upper, validator.limit_value)
    if kind == "reference" and not field.null:
        raise ImproperlyConfigured(f"{field} needs null=True: nothing may stand behind a reference")
    may_be_empty = field.blank and kind in ("text", "iban", "image")
    spec = Field(
        name=wire_name(field.column),
        kind=kind,
        is_required=not (field.has_default() or field.null or may_be_empty),
        is_nullable=field.null,
        max_length=field.max_length if kind != "choice" else None,
        choices=tuple(str(value) for value, _ in field.flatchoices) if kind == "choice" else (),
        minimum=lower,
        maximum=upper,
        digits=field.max_digits - field.decimal_places if kind == "decimal" else 15,
        places=field.decimal_places if kind == "decimal" else 4,
        target=field.related_model._meta.db_table if field.is_relation else None,
        checks=tuple(
            _check(kind, validator)
            for validator in field.validators
            if not isinstance(validator, _CHECKED_BY_CORE)
        ),
    )
    default = None if spec.is_required else _default(field, spec)
    return Field(**{**{name: getattr(spec, name) for name in spec.__slots__}, "default": default})


def _kind(field: models.Field) -> Kind:
    if hasattr(field, "sync_kind"):
        return field.sync_kind
    if field.choices:
        if not isinstance(field, models.CharField):
            raise ImproperlyConfigured(f"{field}: what is chosen from travels as text only")
        return "choice"
    if field.is_relation or isinstance(field, models.UUIDField):
        return "reference"
    kinds: tuple[tuple[type[models.Field], Kind], ...] = (
        (models.BooleanField, "bool"),
        (models.DecimalField, "decimal"),
        (models.IntegerField, "int"),
        (models.CharField, "text"),
        (models.TextField, "text"),
    )
    for each, kind in kinds:
        if isinstance(field, each):
            return kind
    raise ImproperlyConfigured(f"{field}: no such field can travel yet")


def _default(field: models.Field, spec: Field) -> Any:
    value = field.get_default()
    if value is None:
        return None if spec.is_nullable else ""
    if spec.kind == "decimal":
        value = format(value, "f")
    elif spec.kind in ("text", "iban", "image", "choice"):
        value = str(value)
    try:
        return canonical(spec, value)
    except Refused as refusal:
        raise ImproperlyConfigured(f"{field} refuses its own default: {refusal}") from None


def _check(kind: str, validator: Callable[[Any], None]) -> Callable[[Any], None]:
    """A validator of the model as a rule of the core. Empty text is not validated, as in forms."""
    code = kind if kind in ("iban", "image") else "invalid"

    def check(value: Any) -> None:
        if value == "":
            return
        try:
            validator(value)
        except ValidationError as error:
            raise Refused(code, " ".join(error.messages)) from None

    return check
