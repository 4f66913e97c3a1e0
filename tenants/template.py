"""The schema from which new households are copied, and its text."""

from __future__ import annotations

import logging
import uuid

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tenants import dump, migrating
from tenants.models import TemplateDdl
from tenants.names import TEMPLATE_SCHEMA, schema_name
from tenants.portrait import portrait

log = logging.getLogger(__name__)

# One at a time, whichever process prepares it.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('finwise template', 0))"

_APPLIED = """
SELECT format('(%L, %L, now())', app, name)
  FROM household_template.django_migrations ORDER BY id
"""
_REMEMBER = """
INSERT INTO household_template.django_migrations (app, name, applied) VALUES
{rows};
"""


def prepare(*, again: bool = False) -> str | None:
    """Make the template schema and store its text, unless both are current.

    again: make them anew in any case.

    Returns None, or the sentence that says why there is no text; then new households are
    made by running every migration, some ten times slower.
    """
    version = migrating.template_version()
    if not again and TemplateDdl.objects.filter(version=version).exists():
        return None
    connection = connections[DEFAULT_DB_ALIAS]
    with transaction.atomic():
        _run(connection, _LOCK)
        _run(connection, f"DROP SCHEMA IF EXISTS {TEMPLATE_SCHEMA} CASCADE")
        _run(connection, f"CREATE SCHEMA {TEMPLATE_SCHEMA}")
        migrating.migrate(TEMPLATE_SCHEMA)
    try:
        ddl = dump.dump(connection) + _applied_migrations(connection)
        _refuse_unfaithful(connection, ddl)
    except dump.CannotDump as reason:
        log.warning("new households are made by migrations: %s", reason)
        TemplateDdl.objects.all().delete()
        return str(reason)
    with transaction.atomic():
        TemplateDdl.objects.exclude(version=version).delete()
        TemplateDdl.objects.update_or_create(version=version, defaults={"ddl": ddl})
    return None


def current_text() -> str | None:
    """Return the SQL of a current template, or None if there is none."""
    found = TemplateDdl.objects.filter(version=migrating.template_version())
    return found.values_list("ddl", flat=True).first()


def replay(connection: BaseDatabaseWrapper, ddl: str, schema: str) -> None:
    """Make a schema from the template's text; call it inside a transaction."""
    # Functions are checked when they run: they may name tables that come later in the text.
    _run(connection, "SET LOCAL check_function_bodies = off; " + dump.for_schema(ddl, schema))


def _applied_migrations(connection: BaseDatabaseWrapper) -> str:
    """Return the SQL that makes a new schema remember the migrations it was not made by."""
    with connection.cursor() as cursor:
        cursor.execute(_APPLIED)
        rows = ",\n".join(row for (row,) in cursor.fetchall())
    return _REMEMBER.format(rows=rows)


def _refuse_unfaithful(connection: BaseDatabaseWrapper, ddl: str) -> None:
    """Replay the text once, for a household that never is, and compare the results."""
    trial = schema_name(uuid.uuid4())
    with transaction.atomic():
        replay(connection, ddl, trial)
        made, wanted = portrait(connection, trial), portrait(connection, TEMPLATE_SCHEMA)
        transaction.set_rollback(True)
    if made != wanted:
        differing = sorted(made.symmetric_difference(wanted))[:3]
        raise dump.CannotDump(f"pg_dump's text makes a different schema: {differing}")


def _run(connection: BaseDatabaseWrapper, sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
