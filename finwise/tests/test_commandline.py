"""manage.py finds a database, starts one, or does without."""

import os
import subprocess
import sys

import pytest

from finwise.commandline import needs_database
from finwise.places import ROOT


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
