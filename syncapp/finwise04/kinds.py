"""Which of our entities a FinWise 0.4 app knows, and as what."""

from __future__ import annotations

from collections.abc import Mapping

from ..dialects.finwise04 import Kind

_kinds: dict[str, Kind] = {}


def declare(kind: Kind) -> None:
    """Let FinWise 0.4 apps have this entity."""
    _kinds[kind.entity] = kind


def kinds() -> Mapping[str, Kind]:
    """By the name of our entity."""
    return _kinds
