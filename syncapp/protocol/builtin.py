"""The entities as the browser knows them before any server has told: for a household born
offline. The registered models are the one definition."""

from __future__ import annotations

import json

from syncapp.core.entity import describe
from syncapp.registry import entities

_HEAD = """\
// Generated from the synced models by `manage.py generate_protocol`. Do not edit.
//
// What a household's rows hold, as long as no server has told: one that was born offline.

import type { EntityDescription } from "./core/messages"

/** Literally: what a list of choices holds is a type, too. */
export const SYNCED = """

_TAIL = """ as const satisfies Readonly<Record<string, EntityDescription>>

export const BUILT_IN: Readonly<Record<string, EntityDescription>> = SYNCED
"""


def builtin() -> str:
    """The module as text. What the server alone writes is left out."""
    own = {name: each for name, each in sorted(entities().items()) if not each.is_read_only}
    return f"{_HEAD}{json.dumps(describe(own), indent=2, ensure_ascii=False)}{_TAIL}"
