"""What may not be written anywhere but in tenants/context.py, because it leaks a schema.

Each rule was a leak that somebody measured: a schema set on a thread stays there for the
thread's next guest, and a coroutine has no thread of its own.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

FORBIDDEN_NAMES = {
    "schema_context": "leaves the schema to the thread's next guest when a call fails",
    "tenant_context": "leaves the schema to the thread's next guest when a call fails",
    "database_sync_to_async": "runs all database work of the process on one thread",
    "sync_to_async": "runs database work on a thread that run_in_tenant does not know",
}
FORBIDDEN_METHODS = {"set_tenant", "set_schema", "set_schema_to_public", "activate", "deactivate"}
PATH_IN_SQL = re.compile(r"\bset\s+((local|session)\s+)?search_path\b|'search_path'", re.IGNORECASE)
TENANT_LIKE = re.compile(r"(tenant|household)$", re.IGNORECASE)
WAYS_IN = {"in_tenant"}
SEARCH_PATH = "the search path is for tenants/context.py alone"
# What asks the database, or leads into it, from inside a coroutine.
BLOCKING = {"in_tenant", "call_in_tenant", "provision", "set_role", "end_membership", "atomic"}


class Finding(NamedTuple):
    line: int
    said: str


def findings(source: str) -> list[Finding]:
    """Return what is wrong with a module's text, by line."""
    return sorted(_walk(ast.parse(source), is_async=False, is_generator=False))


def _walk(node: ast.AST, *, is_async: bool, is_generator: bool) -> Iterator[Finding]:
    yield from _names(node)
    yield from _blocks(node, is_generator)
    if is_async:
        yield from _in_a_coroutine(node)
    match node:
        case ast.AsyncFunctionDef():
            is_async, is_generator = True, False
        case ast.FunctionDef() | ast.Lambda():
            is_async, is_generator = False, _yields(node)
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, is_async=is_async, is_generator=is_generator)


def _names(node: ast.AST) -> Iterator[Finding]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in FORBIDDEN_NAMES:
            yield Finding(node.lineno, f"{name} {FORBIDDEN_NAMES[name]}")
        case ast.ImportFrom(names=names):
            for each in names:
                if each.name in FORBIDDEN_NAMES:
                    yield Finding(node.lineno, f"{each.name} {FORBIDDEN_NAMES[each.name]}")
        case ast.Call(func=ast.Attribute(attr=name)) if name in FORBIDDEN_METHODS and _is_ours(
            node.func
        ):
            yield Finding(node.lineno, f"{name}() is for tenants/context.py alone")
        case ast.Constant(value=str(text)) if PATH_IN_SQL.search(text):
            yield Finding(node.lineno, SEARCH_PATH)


def _is_ours(function: ast.expr) -> bool:
    """Translations and time zones are activated, too."""
    assert isinstance(function, ast.Attribute)
    if function.attr not in ("activate", "deactivate"):
        return True
    return bool(TENANT_LIKE.search(_last_name(function.value)))


def _blocks(node: ast.AST, is_generator: bool) -> Iterator[Finding]:
    if not isinstance(node, ast.With | ast.AsyncWith):
        return
    for item in node.items:
        expression = item.context_expr
        if TENANT_LIKE.search(_last_name(expression)) and not isinstance(expression, ast.Call):
            yield Finding(node.lineno, "`with tenant:` shares its state between threads")
        is_entered = isinstance(expression, ast.Call) and _last_name(expression) in WAYS_IN
        if is_entered and is_generator:
            yield Finding(node.lineno, "a generator that nobody finishes never leaves")


def _in_a_coroutine(node: ast.AST) -> Iterator[Finding]:
    match node:
        case ast.Attribute(attr="objects" | "with_tombstones"):
            yield Finding(node.lineno, "the ORM inside `async def`: pass a function to run_in_…")
        case ast.Call(func=function) if _last_name(function) in BLOCKING:
            yield Finding(node.lineno, f"{_last_name(function)}() blocks inside `async def`")
        case ast.Call(func=ast.Attribute(attr="cursor", value=value)) if (
            _last_name(value) == "connection"
        ):
            yield Finding(node.lineno, "a cursor inside `async def`: pass a function to run_in_…")


def _yields(function: ast.AST) -> bool:
    """Whether this function itself is a generator."""
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
    return False


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=function):
            return _last_name(function)
    return ""
