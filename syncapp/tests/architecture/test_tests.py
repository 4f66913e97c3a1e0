"""What tests may not do to each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .source import PACKAGES, ROOT, tree

FOLDERS = (*PACKAGES, "bench", "docs", "frontend/e2e")


def test_no_test_turns_the_clock_of_the_whole_process() -> None:
    """Beside each test runs the server that all share, and `x.time` is everybody's `time`.

    A loop that looks at a clock which is put back meanwhile waits for hours. A test gives the
    module that it is about a `time` of its own.
    """
    paths = [path for each in FOLDERS for path in (ROOT / each).rglob("*.py")]
    turned = [f"{path}:{line}" for path in paths for line in _turns(tree(path))]
    assert turned == []
    assert list(_turns(ast.parse('patch.setattr(reach.time, "monotonic", now)')))
    assert list(_turns(ast.parse('patch.setattr("syncapp.haste.time.monotonic", now)')))


def _turns(module: ast.Module) -> Iterator[int]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "setattr":
            target = ast.unparse(node.args[0]).strip("'").split(".")
            # "x.time.monotonic" as one string; else the name is the second argument.
            owner = target[-2:-1] if isinstance(node.args[0], ast.Constant) else target[-1:]
            if owner == ["time"]:
                yield node.lineno
