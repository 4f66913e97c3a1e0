"""Frames as devices send them, and ways to spoil them."""

from __future__ import annotations

import json
from typing import Any

ID = "33333333-3333-4333-8333-333333333333"
NODE = "00000000000000aa"
STAMP = f"018bcfe56800-0000-{NODE}"

CHANGE: dict[str, Any] = {
    "number": 1,
    "entity": "account",
    "id": ID,
    "kind": "edit",
    "stamp": STAMP,
    "fields": {"name": "Giro"},
    "seen": {"name": STAMP},
}
ROW: dict[str, Any] = {
    "entity": "account",
    "id": ID,
    "fields": {"name": "Giro", "exists": True},
    "stamp": STAMP,
    "stamps": {"name": STAMP},
}
UP: dict[str, dict[str, Any]] = {
    "hello": {
        "type": "hello",
        "device": ID,
        "node": NODE,
        "formerNodes": ["00000000000000bb"],
        "name": "Annas Telefon",
        "app": "finwise-web 1.0",
        "cursor": None,
        "pending": 3,
        "acknowledged": 7,
        "clockMs": 1_700_000_000_000,
        "household": {"name": "Zuhause"},
        "reset": "restored",
    },
    "push": {"type": "push", "changes": [CHANGE], "acknowledged": 0},
    "rows": {"type": "rows", "rows": [ROW], "last": True},
    "pull": {"type": "pull", "cursor": None, "limit": 500, "ask": True},
    "ping": {"type": "ping", "pending": 1, "oldestPendingMs": 20, "refused": 0, "parked": 0},
    "report": {"type": "report", "id": ID, "sent": 1, "received": 2, "outcome": "done"},
}


def push_with(fields: str) -> str:
    """A push whose change has these fields, as raw text."""
    text = json.dumps({**UP["push"], "changes": [{**CHANGE, "fields": "FIELDS"}]})
    return text.replace('"FIELDS"', fields)
