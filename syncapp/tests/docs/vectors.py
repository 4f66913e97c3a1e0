"""The vectors: cases in JSON that every implementation of the protocol must answer alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from localflavor.generic.validators import IBANValidator

from syncapp.core.change import Row
from syncapp.core.entity import Entity, Field
from syncapp.registry import _check

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "protocol" / "vectors"
NAMES = ("stamps", "values", "merges", "frames", "cursors", "finwise04")


@cache
def vectors(name: str) -> dict[str, Any]:
    """The contents of one file, with its long values written out."""
    return _written_out(json.loads((FOLDER / f"{name}.json").read_text(encoding="ascii")))


def cases(name: str, group: str) -> list[Any]:
    return vectors(name)[group]


def title(case: Any) -> str:
    """What a failing case is called."""
    text = case.get("why") or case.get("name") or case.get("text") or json.dumps(case)
    return str(text)[:60]


def _written_out(value: Any) -> Any:
    """{"repeat": [text, times]} and {"join": [parts]} stand for long text."""
    if isinstance(value, list):
        return [_written_out(each) for each in value]
    if isinstance(value, dict):
        if value.keys() == {"repeat"}:
            text, times = value["repeat"]
            return text * times
        if value.keys() == {"join"}:
            return "".join(_written_out(each) for each in value["join"])
        return {key: _written_out(each) for key, each in value.items()}
    return value


def field_of(name: str, told: Mapping[str, Any]) -> Field:
    """A field as `welcome` describes it. An IBAN's check digits come with its kind."""
    checks = (_check("iban", IBANValidator()),) if told["kind"] == "iban" else ()
    given = {
        "max_length": told["maxLength"],
        "choices": tuple(told["choices"]),
        "minimum": told["minimum"],
        "maximum": told["maximum"],
        "digits": told["digits"],
        "places": told["places"],
    }
    return Field(
        name,
        told["kind"],
        told["default"],
        told["required"],
        told["nullable"],
        target=told["target"],
        checks=checks,
        **{key: value for key, value in given.items() if value is not None},
    )


def entities_of(told: Mapping[str, Any]) -> dict[str, Entity]:
    return {
        name: Entity(
            name,
            {key: field_of(key, each) for key, each in entity["fields"].items()},
            entity["readOnly"],
        )
        for name, entity in told.items()
    }


def row_of(told: Mapping[str, Any] | None) -> Row | None:
    """A row with a stamp for each field, as the merge sees it."""
    if told is None:
        return None
    return Row(told["entity"], told["id"], dict(told["fields"]), dict(told["stamps"]))
