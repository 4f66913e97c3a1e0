"""What a household's schema is made of, compared with this release's template, and completed.

Runs outside of every household: what the catalogue calls things depends on the search path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from django.db import DEFAULT_DB_ALIAS, Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tenants import template
from tenants.dump import for_schema
from tenants.models import Tenant
from tenants.names import TEMPLATE_SCHEMA, checked_schema_name
from tenants.portrait import portrait

_SCHEMAS = r"SELECT nspname FROM pg_namespace WHERE nspname ~ '^t_[0-9a-f]{32}$'"
_DOLLARS = re.compile(r"\$\w*\$")
_TRIGGER = re.compile(r"^CREATE TRIGGER (\w+) .* ON \w+\.(\w+) ", re.DOTALL)
# Said by statements that make what is there already.
_EXISTS = {"42P06", "42P07", "42710", "42P16", "42701", "55000"}


class Difference(NamedTuple):
    """kind: relation, column, constraint, index, trigger, function or type. name: of it, and
    of its table. is_missing: the template has it (so); otherwise only the schema has."""

    kind: str
    name: str
    is_missing: bool


class CannotComplete(Exception):
    """There is no text of the template to complete a schema from; the sentence says why."""


def wanted_shape() -> set[str]:
    """What a schema of this release is made of; makes the template, if it is not current."""
    template.prepare()
    return portrait(connections[DEFAULT_DB_ALIAS], TEMPLATE_SCHEMA)


def differences(schema: str, wanted: set[str]) -> list[Difference]:
    """What a schema lacks, or has besides, in order; extra relations are somebody's own.

    wanted: `wanted_shape()`. What belongs to a table that is missing is not named again.
    """
    made = portrait(connections[DEFAULT_DB_ALIAS], schema)
    missing, extra = _named(wanted - made), _named(made - wanted)
    tables_here = {name for kind, name in _named(made) if kind == "relation"}
    tables_wanted = {name for kind, name in _named(wanted) if kind == "relation"}
    found = [
        Difference(kind, name, True)
        for kind, name in missing
        if kind in ("relation", "function")
        or (kind not in ("other", "type") and name.split(".")[0] in tables_here)
    ]
    found += [
        Difference(kind, name, False)
        for kind, name in extra
        if (kind, name) not in missing
        and kind in ("trigger", "function", "column", "constraint")
        and (kind == "function" or name.split(".")[0] in tables_wanted)
    ]
    return sorted(found)


def complete(schema: str) -> None:
    """Make whatever of the template a schema lacks, and put functions and triggers right.

    One transaction; nothing that is there is taken away. Raises CannotComplete.
    """
    ddl = template.current_text()
    if ddl is None:
        raise CannotComplete(
            template.prepare() or "The template has just been made; start this again."
        )
    connection = connections[DEFAULT_DB_ALIAS]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL check_function_bodies = off")
        had_migrations = "django_migrations" in {
            name for kind, name in _named(portrait(connection, schema)) if kind == "relation"
        }
        for statement in statements_of(for_schema(ddl, checked_schema_name(schema))):
            if statement.startswith("INSERT") and had_migrations:
                continue
            _make(connection, statement)
            if trigger := _TRIGGER.match(statement):
                name, table = trigger.groups()
                cursor.execute(f"ALTER TABLE {schema}.{table} ENABLE TRIGGER {name}")


def schemas_without_tenant() -> list[str]:
    """Schemas that look like a household's, of none that is registered and alive."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(_SCHEMAS)
        schemas = {name for (name,) in cursor.fetchall()}
    alive = Tenant.objects.exclude(status=Tenant.Status.DELETED)
    return sorted(schemas - set(alive.values_list("schema_name", flat=True)))


def has_schema(tenant: Tenant) -> bool:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SELECT to_regnamespace(%s) IS NOT NULL", [tenant.schema_name])
        return bool(cursor.fetchone()[0])


def statements_of(ddl: str) -> Iterator[str]:
    """The statements of a template's text, one after the other."""
    lines: list[str] = []
    is_quoted = False
    for line in ddl.splitlines():
        if not (line.strip() or lines):
            continue
        lines.append(line)
        is_quoted ^= len(_DOLLARS.findall(line)) % 2 == 1
        if line.endswith(";") and not is_quoted:
            yield "\n".join(lines)
            lines = []


def _make(connection: BaseDatabaseWrapper, statement: str) -> None:
    for kind in ("FUNCTION", "TRIGGER"):
        statement = re.sub(rf"\ACREATE {kind} ", f"CREATE OR REPLACE {kind} ", statement)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    except Error as error:
        if getattr(error.__cause__, "sqlstate", None) not in _EXISTS:
            raise


def _named(lines: set[str]) -> list[tuple[str, str]]:
    return sorted({_name(line) for line in lines})


def _name(line: str) -> tuple[str, str]:
    """The kind, and the table and the name, of a line of `portrait`."""
    kind, rest = line.split(" ", 1)
    patterns = {
        "column": r"(\w+) (\S+)",
        "relation": r"r (\w+)",
        "constraint": r"(?:\*\.)?(\S+) (\S+)",
        "index": r"CREATE (?:UNIQUE )?INDEX (\w+) ON \*\.(\w+)",
        "trigger": r"CREATE TRIGGER (\w+) .*? ON \*\.(\w+) ",
        "function": r"CREATE OR REPLACE FUNCTION \*\.(\w+)",
        "type": r"(\w+)",
    }
    found = re.match(patterns[kind], rest, re.DOTALL)
    if found is None:
        return "other", rest[:80]  # the relation of an index or a sequence, which has its own line
    parts = found.groups()
    if kind in ("index", "trigger"):
        parts = (parts[1], parts[0])
    return kind, ".".join(parts)
