"""What people type: values with the form in which the household must keep them.

The forms are written down here by hand, so that the oracle does not ask the code under test
what a canonical value is.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any, NamedTuple


class Typed(NamedTuple):
    """raw: as typed; kept: as stored everywhere."""

    raw: Any
    kept: Any


class Bad(NamedTuple):
    """raw: as typed; code: of the refusal."""

    raw: Any
    code: str


IMAGE = "data:image/png;base64,iVBORw0KGgo="

_TEXTS = [Typed(each, each) for each in ("Giro", "Sparen", "Haushalt", "Müller & Söhne", "貯金")]
_TEXTS.append(Typed("Cafe\u0301", "Café"))
_AMOUNTS = [
    Typed("0", "0"), Typed("12.50", "12.5"), Typed("12.5", "12.5"), Typed("-0.0000", "0"),
    Typed("007", "7"), Typed("-1234567890.1200", "-1234567890.12"),
]  # fmt: skip
_BAD_TEXTS = [Bad("a\x00b", "text"), Bad(7, "type"), Bad(None, "required")]
_BAD_AMOUNTS = [
    Bad("1e5", "type"), Bad("NaN", "type"), Bad(1.5, "type"), Bad("1.23456", "digits"),
    Bad("1234567890123456", "digits"), Bad(" 1", "type"),
]  # fmt: skip

KINDS: dict[str, list[Typed]] = {
    "text": _TEXTS,
    "bool": [Typed(True, True), Typed(False, False)],
    "int": [Typed(each, each) for each in (0, 1, 2, -5)],
    "decimal": _AMOUNTS,
    "choice": [Typed(each, each) for each in ("giro", "bar", "depot")],
    "iban": [
        Typed("", ""),
        Typed("de89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        Typed("DE89370400440532013000", "DE89370400440532013000"),
        Typed("GB82-WEST-1234-5698-7654-32", "GB82WEST12345698765432"),
    ],
    "image": [Typed("", ""), Typed(IMAGE, IMAGE)],
}
BAD_KINDS: dict[str, list[Bad]] = {
    "text": _BAD_TEXTS,
    "bool": [Bad("yes", "type"), Bad(1, "type"), Bad(None, "required")],
    "int": [Bad("1", "type"), Bad(2**31, "range"), Bad(True, "type"), Bad(1.0, "type")],
    "decimal": _BAD_AMOUNTS,
    "choice": [Bad("bank", "choice"), Bad(3, "type")],
    "reference": [Bad("nobody", "reference"), Bad(5, "reference")],
    "iban": [Bad(12, "type"), Bad("D\x00E", "text")],
    "image": [Bad("data:text/html,x", "image"), Bad(0, "type")],
}
BAD_NAMES = [Bad("", "required"), Bad("  ", "required"), Bad("x" * 121, "too_long")]

FIELDS: dict[str, dict[str, str]] = {
    "account": {
        "name": "text", "description": "text", "note": "text", "accountType": "choice",
        "isActive": "bool", "isOfflineBudget": "bool", "accountGroupId": "reference",
        "sortOrder": "int", "iban": "iban", "balance": "decimal", "creditLimit": "decimal",
        "offset": "decimal", "image": "image",
    },
    "account_group": {"name": "text", "sortOrder": "int", "image": "image"},
}  # fmt: skip
DEFAULTS: dict[str, dict[str, Any]] = {
    "account": {
        "description": "", "note": "", "accountType": "giro", "isActive": True,
        "isOfflineBudget": False, "accountGroupId": None, "sortOrder": 0, "iban": "",
        "balance": "0", "creditLimit": "0", "offset": "0", "image": "", "colour": "",
    },
    "account_group": {"sortOrder": 0, "image": ""},
}  # fmt: skip
# A field that only a newer program knows, and perhaps a newer server.
NEW_FIELD = ("account", "colour")


def text_of(value: Any) -> str:
    """The tie-breaker at equal stamps: compact JSON, compared by code points."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# By kind and raw value (as JSON: 1, 1.0 and True are three things).
_KEPT = {
    (kind, text_of(form)): each.kept
    for kind, values in KINDS.items()
    for each in values
    for form in (each.raw, each.kept)
}
_KEPT[("text", text_of(""))] = ""  # the default of most
_CODES = {
    (kind, text_of(each.raw)): each.code for kind, values in BAD_KINDS.items() for each in values
}
_NAME_CODES = {text_of(each.raw): each.code for each in BAD_NAMES}


def kind_of(entity: str, field: str) -> str:
    return "text" if (entity, field) == NEW_FIELD else FIELDS[entity][field]


def kept(entity: str, field: str, raw: Any) -> tuple[Any, str]:
    """(the stored form, "") or (None, the code of its refusal)."""
    kind, text = kind_of(entity, field), text_of(raw)
    if field == "name" and text in _NAME_CODES:
        return None, _NAME_CODES[text]
    if (kind, text) in _CODES:
        return None, _CODES[kind, text]
    if kind == "reference":
        return (raw if raw is None else raw.lower()), ""
    return _KEPT[kind, text], ""


def choose(rng: random.Random, entity: str, field: str, groups: list[str], bad: float = 0.0) -> Any:
    """A raw value for a field; bad: the probability of one that has to be refused.

    groups: ids that a reference may name (whether there is such a row or not).
    """
    kind = kind_of(entity, field)
    if rng.random() < bad:
        names = BAD_NAMES if field == "name" else []
        return rng.choice([*BAD_KINDS[kind], *names]).raw
    if kind == "reference":
        group = rng.choice([None, *groups])
        return group.upper() if group is not None and rng.random() < 0.2 else group
    return rng.choice(KINDS[kind]).raw


def choose_fields(
    rng: random.Random, entity: str, names: list[str], groups: list[str], bad: float = 0.0
) -> Mapping[str, Any]:
    return {name: choose(rng, entity, name, groups, bad) for name in names}
