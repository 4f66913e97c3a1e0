"""docs/operations.md says what is so."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from django.core.management import get_commands, load_command_class
from prometheus_client import REGISTRY

from finwise import serving
from finwise.places import ROOT
from syncapp import metrics
from syncapp.doctor.findings import CODES, NOT_MENDABLE

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
# What tells a process about its machine, and what a device on the command line takes.
NOT_OURS = {"PATH", "XDG_RUNTIME_DIR", "DJANGO_SETTINGS_MODULE", "FINWISE_TOKEN", "FINWISE_STORE"}


def table(heading: str) -> dict[str, list[str]]:
    """The rows of the first table under a heading, by the name in their first column."""
    part = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `([^`]+)`(?:, [^|]*)? \| (.+) \|$", part, re.MULTILINE)
    return {name: rest.split(" | ") for name, rest in rows}


def read_by(path: Path) -> Iterator[str]:
    """The names of variables of the environment that a file reads."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        first: ast.expr | None = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            owner = ast.unparse(node.func.value)
            if owner in ("env", "os.environ") or (owner == "os" and node.func.attr == "getenv"):
                first = node.args[0]
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            first = node.slice
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value
        elif isinstance(first, ast.Name) and first.id.endswith("_VARIABLE"):
            yield f"FINWISE_{first.id.removesuffix('_VARIABLE')}"


def test_every_variable_that_is_read_is_in_the_table_and_no_other() -> None:
    files = [
        path
        for package in ("finwise", "tenants", "accounts", "syncapp")
        for path in (ROOT / package).rglob("*.py")
        if "tests" not in path.parts
    ]
    read = {name for path in files for name in read_by(path)} - NOT_OURS
    assert "FINWISE_SECRET_KEY" in read and "DATABASE_URL" in read
    assert set(table("Environment")) == read


def test_the_defaults_in_the_table_are_those_of_the_settings() -> None:
    settings = (ROOT / "finwise/settings.py").read_text()
    for name, (default, _) in table("Environment").items():
        found = re.search(
            rf'env\.(\w+)\(\s*"{name}",\s*(?:default=)?("[^"]*"|[\w.]+)\s*\)', settings
        )
        if found is None or found[2] in ('""', "[]"):
            continue
        kind, value = found.groups()
        told = default.split(",")[0].strip("`")
        said = {"True": "1", "False": "0"}.get(value, value.strip('"'))
        assert told == said, f"{name}: the page says {told}, the settings {said} ({kind})"


def test_the_nginx_example_is_the_file_that_is_tested() -> None:
    (block,) = re.findall(r"^```nginx\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert block == (ROOT / "deploy/nginx.conf").read_text()


def test_every_metric_is_in_the_table_and_no_other() -> None:
    assert metrics.SOCKETS
    found = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in REGISTRY.collect()
        if family.name.startswith("finwise_")
    }
    assert set(table("Metrics")) == found


def test_everything_that_the_doctor_finds_is_in_the_table() -> None:
    told = {name: row for name, row in table("Looking after households").items() if name in CODES}
    assert set(told) == set(CODES)
    for code, (meaning, repair) in told.items():
        assert meaning == CODES[code]
        assert (repair == "no") == (code in NOT_MENDABLE)


def test_every_command_of_the_page_exists() -> None:
    named = set(re.findall(r"manage\.py ([a-z_0-9]+)", PAGE))
    named |= set(re.findall(r"`([a-z]+_[a-z_]+)`", PAGE.split("| command | |")[1].split("\n\n")[0]))
    assert len(named) > 15
    assert named <= set(get_commands()), named - set(get_commands())


def test_every_command_of_the_table_speaks_to_programs() -> None:
    named = re.findall(
        r"`(?:manage\.py )?([a-z]+(?:_[a-z]+)?)[ `]",
        PAGE.split("| command | |")[1].split("\n\n")[0],
    )
    found = get_commands()
    for name in named:
        options = load_command_class(found[name], name).create_parser("x", name)
        assert "--json" in options._option_string_actions, name


def test_a_process_takes_as_many_connections_as_the_page_says() -> None:
    from finwise.configuration import POOL_SIZE
    from tenants.context import WORKERS

    assert f"has {WORKERS} threads for the sync, {POOL_SIZE - WORKERS} connections" in PAGE
    assert f": {POOL_SIZE + 1} connections." in PAGE
    assert f"TimeoutStopSec={3 * serving.SHUTDOWN_TIMEOUT_S}" in PAGE
