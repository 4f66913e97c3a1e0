"""The protocol told to others: documents generated from `core/messages.py` and the models.

The structs are the one definition. `manage.py generate_protocol` writes what is derived
from them: the AsyncAPI document for tools, and the TypeScript types for the browser. What a
household's rows hold, it takes from the registered models.
"""

from __future__ import annotations

from pathlib import Path

from .asyncapi import asyncapi
from .builtin import builtin
from .typescript import typescript

ROOT = Path(__file__).resolve().parents[2]
ASYNCAPI = "docs/protocol/asyncapi.json"
TYPESCRIPT = "frontend/src/sync/core/messages.ts"
BUILT_IN = "frontend/src/sync/entities.ts"


def documents() -> dict[str, str]:
    """Every generated document: its text by its path below the project's root."""
    return {ASYNCAPI: asyncapi(), TYPESCRIPT: typescript(), BUILT_IN: builtin()}


def stale() -> list[str]:
    """The documents that are missing or not what the structs say now."""
    return [path for path, text in documents().items() if _read(ROOT / path) != text]


def write() -> list[str]:
    """Bring every document up to date; returns the paths of those that were not."""
    paths = stale()
    texts = documents()
    for path in paths:
        target = ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(texts[path], encoding="utf-8", newline="\n")
    return paths


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
