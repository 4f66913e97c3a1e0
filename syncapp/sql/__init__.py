"""Named SQL: every statement of the sync stands in a .sql file, with its reason."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def statements(file: str) -> dict[str, str]:
    """The statements of `file`.sql by name, without their comments."""
    parts = _NAME.split(text_of(file))
    return {
        name: re.sub(r"^--.*\n", "", body, flags=re.MULTILINE).strip()
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def text_of(file: str) -> str:
    return (_HERE / f"{file}.sql").read_text(encoding="utf-8")
