"""Arrows point down only: shell -> use cases -> stores -> core."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .source import DECIDES, PACKAGES, ROOT, files, imports, is_inside, module_of

# What a package may import of the project, besides itself. Everything below a name is meant.
ARROWS = {
    "syncapp.core": [],
    "syncapp.engine": ["syncapp.core"],
    "syncapp.greetings": ["syncapp.core", "syncapp.engine"],
    "syncapp.upkeep": ["syncapp.core", "syncapp.engine"],
    "syncapp.models": [],
    "syncapp.sql": [],
    "syncapp.operations": [],
    "syncapp.registry": ["syncapp.core", "syncapp.models"],
    "syncapp.repository": ["syncapp.core", "syncapp.registry", "syncapp.sql"],
    "syncapp.checks": ["syncapp.models", "syncapp.operations", "syncapp.registry"],
    "syncapp.protocol": ["syncapp.core", "syncapp.registry"],
    "syncapp.device": ["syncapp.core"],
    "syncapp.dialects": ["syncapp.core"],
    "accounts": ["syncapp"],
    # WHO may give a new household its first rows, and tell roles and faults.
    "tenants": ["syncapp.core", "syncapp.repository"],
    # HOW knows WHO by its front doors only.
    "syncapp": [
        "tenants.access",
        "tenants.api",
        "tenants.authentication",
        "tenants.browsers",
        "tenants.context",
        "tenants.doors",
        "tenants.names",
        "tenants.provisioning",
        "tenants.roster",
        "tenants.summaries",
    ],
}
# The shell, for operators: lists households and asks for people by name.
SHELL = ("syncapp.management", "syncapp.admin", "syncapp.views")
SHELL_DOORS = [
    "tenants.audit",
    "tenants.faults",
    "tenants.management",
    "tenants.memberships",
    "tenants.models",
    "tenants.rights",
    "tenants.shape",
]
# The pages of people's households offer what a household can be taken along as.
PAGES = "tenants.pages"
PAGES_DOORS = ["syncapp.portable"]

# A pure core computes; it does not look at a clock, a socket, a file or a die.
PURE_STANDARD_LIBRARY = {
    "__future__", "collections", "dataclasses", "enum", "functools", "hashlib", "itertools",
    "math", "operator", "re", "typing", "unicodedata", "uuid",
}  # fmt: skip


def is_of_project(module: str) -> bool:
    return module.split(".")[0] in PACKAGES


@pytest.mark.parametrize("package", ARROWS)
def test_arrows_point_down_only(package):
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in files(package)
        for module in imports(path)
        if is_of_project(module)
        and not any(is_inside(module, each) for each in [package, *ARROWS[package], *doors(path)])
    ]
    assert wrong == []


def doors(path: Path) -> list[str]:
    if is_inside(module_of(path), PAGES):
        return PAGES_DOORS
    return SHELL_DOORS if any(is_inside(module_of(path), each) for each in SHELL) else []


@pytest.mark.parametrize("package", ["syncapp.core", "syncapp.engine", "syncapp.repository"])
def test_there_is_something_to_look_at(package):
    assert files(package)
    assert any(imports(path) for path in files(package))


def test_the_core_imports_only_the_pure_standard_library_and_msgspec():
    wrong = {
        module.split(".")[0]
        for path in files("syncapp.core")
        for module in imports(path)
        if not is_of_project(module)
    } - PURE_STANDARD_LIBRARY
    assert wrong <= {"msgspec"}


@pytest.mark.parametrize("package", [*DECIDES, "syncapp.protocol", "syncapp.dialects"])
def test_what_decides_imports_neither_django_nor_a_driver(package):
    for path in files(package):
        names = {module.split(".")[0] for module in imports(path) if not is_of_project(module)}
        assert names <= set(sys.stdlib_module_names) | {"msgspec", "yaml"}, path


def test_the_reference_device_knows_no_django_and_nothing_of_the_server():
    for path in files("syncapp.device"):
        names = {module.split(".")[0] for module in imports(path)}
        assert not names & {"django", "psycopg", "channels", "tenants", "accounts"}, path


def test_the_sync_never_imports_what_is_synced():
    wrong = [
        path
        for path in files("syncapp")
        if any(is_inside(module, "accounts") for module in imports(path))
    ]
    assert wrong == []


def test_only_the_shell_imports_the_project_package():
    for package in ("accounts", "syncapp", "tenants"):
        for path in files(package):
            assert not any(is_inside(module, "finwise") for module in imports(path)), path


def test_the_core_has_no_circle():
    # Each module of the core may import only modules that do not (also indirectly) import it.
    arrows = {
        module_of(path): {each for each in imports(path) if is_inside(each, "syncapp.core")}
        for path in files("syncapp.core")
    }
    done: set[str] = set()
    while len(done) < len(arrows):
        free = {module for module, needs in arrows.items() if needs <= done | {module}} - done
        assert free, f"a circle among {sorted(arrows.keys() - done)}"
        done |= free
