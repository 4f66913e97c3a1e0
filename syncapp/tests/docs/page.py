"""Code blocks of a page, each under the comment that says what it is for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
_BLOCK = re.compile(r"^<!-- (?P<use>.+?) -->\n```\w*\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    use: str
    code: str

    @property
    def lines(self) -> list[str]:
        """The lines that somebody has to write."""
        return [line for line in self.code.splitlines() if line.strip()]


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [Block(found["use"], found["code"]) for found in _BLOCK.finditer(text)]
