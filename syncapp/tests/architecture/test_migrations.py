"""A household's schema stands alone, so that households can be moved and spread over servers.

Citus (schema-based sharding) takes a schema that refers to nothing outside of it.
"""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.db import connection, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import RunPython, RunSQL

_LEAVES_THE_SCHEMA = re.compile(r"\bREFERENCES\b|\bFOREIGN KEY\b|\bpublic\.|\bnextval\b", re.I)


@pytest.fixture(scope="module")
def loader() -> MigrationLoader:
    return MigrationLoader(None)


def household_models(loader: MigrationLoader) -> list[type[models.Model]]:
    apps = loader.project_state().apps
    labels = {name.rsplit(".", 1)[-1] for name in settings.TENANT_APPS}
    return [model for model in apps.get_models() if model._meta.app_label in labels]


def test_migrations_create_no_foreign_key_constraint(loader):
    found = household_models(loader)
    assert {model._meta.db_table for model in found} >= {"account", "sync_head"}
    for model in found:
        for field in model._meta.local_fields:
            assert not (field.is_relation and field.db_constraint), field
        # Its hidden table would have constraints, and would not travel.
        assert not model._meta.local_many_to_many, model


def test_migrations_refer_to_nothing_outside_the_schema(loader):
    labels = {name.rsplit(".", 1)[-1] for name in settings.TENANT_APPS}
    for (label, name), migration in loader.disk_migrations.items():
        if label not in labels:
            continue
        for dependency, _ in migration.dependencies:
            assert dependency in labels, f"{label}.{name} depends on {dependency}"
        for operation in migration.operations:
            assert not isinstance(operation, RunPython), f"{label}.{name}: runs in which schema?"
            if isinstance(operation, RunSQL):
                assert not _LEAVES_THE_SCHEMA.search(str(operation.sql)), f"{label}.{name}"


def test_a_household_has_no_constraint_default_or_trigger_that_leaves_its_schema(household):
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT 'foreign key ' || conname FROM pg_constraint
             WHERE contype = 'f' AND connamespace = %(schema)s::regnamespace
            UNION ALL
            SELECT 'default ' || pg_get_expr(d.adbin, d.adrelid)
              FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid
             WHERE c.relnamespace = %(schema)s::regnamespace
               AND pg_get_expr(d.adbin, d.adrelid) ~ 'nextval|\\.'
               AND pg_get_expr(d.adbin, d.adrelid) !~ '^''[0-9.]+''|^[0-9.]+$'
               AND c.relname <> 'django_migrations'
            UNION ALL
            SELECT 'trigger ' || t.tgname
              FROM pg_trigger t
              JOIN pg_class c ON c.oid = t.tgrelid
              JOIN pg_proc p ON p.oid = t.tgfoid
             WHERE c.relnamespace = %(schema)s::regnamespace
               AND NOT t.tgisinternal AND p.pronamespace <> c.relnamespace
            """,
            {"schema": household.schema},
        )
        assert [row[0] for row in cursor.fetchall()] == []


def test_every_function_of_a_household_lies_in_its_own_schema(household):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pronamespace::regnamespace::text, count(*) FROM pg_proc"
            " WHERE proname LIKE 'sync\\_%%' AND pronamespace IN (%s::regnamespace,"
            " 'public'::regnamespace) GROUP BY 1",
            [household.schema],
        )
        found = dict(cursor.fetchall())
    assert list(found) == [household.schema]


def test_stamps_are_compared_byte_by_byte_in_the_database(household):
    """D04: whatever the collation of the database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name || '.' || column_name, collation_name"
            " FROM information_schema.columns WHERE table_schema = %s"
            " AND column_name ~ 'stamp$|horizon'",
            [household.schema],
        )
        collations = dict(cursor.fetchall())
    assert collations["sync_head.stamp"] == "C"
    assert set(collations.values()) == {"C"}
