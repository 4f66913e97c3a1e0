"""docs/protocol/SPEC.md, read: its rules, the tests that bear them, its frames and tables."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .page import ROOT

SPEC = "docs/protocol/SPEC.md"
_RULE = re.compile(r"^\*\*(R-[A-Z]+-\d+)\*\* ", re.MULTILINE)
_TEST = re.compile(r"`([\w./-]+\.py)::(\w+)`")
_END = re.compile(r"^(?:#|\*\*R-)", re.MULTILINE)


class Rule(NamedTuple):
    """A numbered rule: its text, and (file, test name) of each test that bears it."""

    number: str
    text: str
    tests: list[tuple[str, str]]

    @property
    def area(self) -> str:
        return self.number.split("-")[1]


@cache
def text() -> str:
    return (ROOT / SPEC).read_text(encoding="utf-8")


def rules() -> list[Rule]:
    found = []
    for match in _RULE.finditer(text()):
        end = _END.search(text(), match.end())
        body = text()[match.end() : end.start() if end else None]
        words = re.sub(r"^- `.+::.+`$", "", body, flags=re.MULTILINE).strip()
        found.append(Rule(match[1], words, _TEST.findall(body)))
    return found


@cache
def names_of_tests(path: Path) -> frozenset[str]:
    """The test functions of a file, by name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, functions))


def table(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head; code marks removed."""
    part = text().split(f"\n{heading}\n", 1)[1]
    lines = []
    for line in part.splitlines():
        if line.startswith("|"):
            lines.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
        elif lines:
            break
    return lines[2:]
