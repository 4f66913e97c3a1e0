"""manage.py finds a database, starts one, or does without."""

import os
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection

from finwise.commandline import needs_database
from finwise.places import ROOT
from syncapp.tests.socket.processes import database_url


@pytest.mark.parametrize(
    ("typed", "needs"),
    [
        ("manage.py list_tenants", True),
        ("manage.py serve --port 8001", True),
        ("manage.py list_tenants --help", False),
        ("manage.py check --deploy", False),
        ("manage.py device list", False),
        ("manage.py --version", False),
        ("manage.py", False),
    ],
)
def test_only_commands_that_use_the_database_start_one(typed: str, needs: bool) -> None:
    assert needs_database(typed.split()) is needs


def test_a_database_that_cannot_be_reached_is_a_sentence_without_its_password() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "list_tenants"],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": "postgresql://me:secret@127.0.0.1:1/books"},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout.startswith("The database does not answer.")
    assert "secret" not in done.stdout
    assert "Traceback" not in done.stdout


@pytest.fixture
def empty_database(django_db_setup: None) -> Iterator[str]:
    """The address of a database that nobody has migrated."""
    made = connection.settings_dict["NAME"]
    name = f"{made}_empty"
    with psycopg.connect(database_url(), autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}"')
        server.execute(f'CREATE DATABASE "{name}"')
        yield database_url().replace(f"/{made}?", f"/{name}?")
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.mark.parametrize(
    "typed", ["check_isolation --operations 10", "list_tenants", "migrate_tenants"]
)
def test_a_database_without_tables_is_a_sentence_that_says_what_to_do(
    empty_database: str, typed: str
) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", *typed.split()],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "DATABASE_URL": empty_database}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert "Run 'manage.py migrate' first" in done.stdout
    assert "Traceback" not in done.stdout
