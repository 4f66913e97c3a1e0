"""The core runs anywhere: without Django, sockets, files, a clock or chance."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from .source import DECIDES, ROOT, files, module_of, tree

BANNED_CALLS = {"open", "print", "input", "eval", "exec", "breakpoint"}
BANNED_ATTRIBUTES = {"uuid1", "uuid4", "now", "utcnow", "today", "monotonic", "time_ns"}
IMPURE = ("django", "asyncio", "socket", "sqlite3", "psycopg", "channels", "random", "secrets")

core = pytest.mark.parametrize("path", files("syncapp.core"), ids=module_of)


@core
def test_the_core_neither_reads_nor_writes_nor_rolls_dice(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in BANNED_CALLS, f"{path.name}:{node.lineno}"
        if isinstance(node, ast.Attribute):
            assert node.attr not in BANNED_ATTRIBUTES, f"{path.name}:{node.lineno}"


@core
def test_the_core_keeps_no_state_between_calls(path):
    for node in ast.walk(tree(path)):
        assert not isinstance(node, ast.Global | ast.AsyncFunctionDef | ast.Await), path.name


def test_the_core_and_the_engine_load_without_django_sockets_or_a_database():
    core_modules = [module_of(path) for path in files("syncapp.core")]
    program = (
        f"import sys, importlib; before = set(sys.modules)\n"
        f"for name in {core_modules!r}: importlib.import_module(name)\n"
        f"found = sorted((set(sys.modules) - before) & set({IMPURE!r}))\n"
        f"import {', '.join(DECIDES)}\n"
        f"assert 'django' not in sys.modules and 'asyncio' not in sys.modules\n"
        f"print(found)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
