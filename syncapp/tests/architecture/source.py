"""The project's own Python and SQL files, and what they import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("finwise", "tenants", "accounts", "syncapp")
# What the server decides, over a repository that it is given.
DECIDES = ["syncapp.engine", "syncapp.greetings", "syncapp.upkeep"]


def files(package: str, suffix: str = ".py") -> list[Path]:
    """The files of a dotted package (or the one of a module), tests left out."""
    place = ROOT.joinpath(*package.split("."))
    if place.with_suffix(suffix).exists():
        return [place.with_suffix(suffix)]
    found = sorted(place.rglob(f"*{suffix}"))
    return [path for path in found if "tests" not in path.relative_to(ROOT).parts]


def module_of(path: Path) -> str:
    """syncapp/core/clock.py -> syncapp.core.clock"""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module that a file imports, wherever in it, as an absolute dotted name.

    `from syncapp import engine` counts as `syncapp.engine` if there is such a module.
    """
    return frozenset(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(path, node)
            for each in node.names:
                inner = ROOT.joinpath(*base.split("."), each.name)
                is_module = inner.is_dir() or inner.with_suffix(".py").exists()
                yield f"{base}.{each.name}" if is_module else base


def _base(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = path.relative_to(ROOT).parent.parts
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else [])])


def is_inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")
