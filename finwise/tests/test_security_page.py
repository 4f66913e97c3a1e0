"""docs/security.md names tests that exist, and the few that stand nowhere else."""

from __future__ import annotations

import ast
import re
from functools import lru_cache

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from finwise.places import ROOT
from finwise.tests.test_hardening import PATHS
from tenants.models import User

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
LINES = dict(re.findall(r"^\| (S\d\d) \| (.+) \|$", PAGE, re.MULTILINE))
TEST = re.compile(r"`([\w/.]+\.py)::(\w+)`")


@lru_cache
def functions_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_line_is_there_once() -> None:
    assert list(LINES) == [f"S{number:02}" for number in range(1, 56)]
    assert len(re.findall(r"^\| S\d\d ", PAGE, re.MULTILINE)) == 55


@pytest.mark.parametrize("line", LINES)
def test_a_line_has_tests_that_exist(line: str) -> None:
    named = TEST.findall(LINES[line])
    assert named
    assert [f"{file}::{name}" for file, name in named if name not in functions_in(file)] == []
    assert [name for _, name in named if not name.startswith("test_")] == []


def test_every_file_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`([\w./]+\.py)(?:::\w+)?`", PAGE))
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
def test_no_page_lets_another_site_read_it(client: Client, path: str) -> None:
    """S54"""
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    for answer in (client.get(path, headers=asked), client.options(path, headers=asked)):
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_nothing_of_a_household_is_in_the_cache() -> None:
    """S43: only allauth's counts are, so its keys need no household."""
    users = {
        path.relative_to(ROOT).as_posix()
        for package in ("accounts", "finwise", "syncapp", "tenants")
        for path in (ROOT / package).rglob("*.py")
        if "tests" not in path.parts and "django.core.cache" in path.read_text(encoding="utf-8")
    }
    assert users == {"finwise/cache.py", "finwise/configuration.py"}


@pytest.mark.django_db
def test_a_page_that_fails_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """S50"""
    canary = "canary-7f3a"

    def fail(user: User) -> None:
        raise RuntimeError(canary)

    monkeypatch.setattr("tenants.pages.account.invitations_for", fail)
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_user("anna@example.org"))
    answer = client.get("/accounts/")
    assert answer.status_code == 500
    assert "Was auf deinem Gerät steht, ist sicher" in answer.text
    assert canary not in answer.text
    assert "Traceback" not in answer.text


def test_nothing_writes_a_csv() -> None:
    """S37: an export is JSON lines, so no formula in it can run. Reading one writes nothing."""
    sources = [
        path
        for package in ("accounts", "finwise", "syncapp", "tenants", "frontend/src")
        for ending in ("py", "ts", "vue", "js", "html")
        for path in (ROOT / package).rglob(f"*.{ending}")
        if "tests" not in path.parts
    ]
    assert len(sources) > 300
    pattern = re.compile(r"csv\.(writer|DictWriter)|text/csv|spreadsheetml|ms-excel", re.I)
    found = [path.name for path in sources if pattern.search(path.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.django_db
def test_the_database_role_may_do_nothing_beyond_its_own_database() -> None:
    """S40: everything that is tested here is done by this role, households included."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolsuper, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles "
            "WHERE rolname = current_user"
        )
        found = cursor.fetchone()
        if found[0]:
            pytest.skip("tests run as a superuser here; a site does not")
        assert found == (False, False, False, False)
        cursor.execute(
            "SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid "
            "JOIN pg_roles me ON me.oid = m.member WHERE me.rolname = current_user"
        )
        assert cursor.fetchall() == []
        cursor.execute("SELECT extname FROM pg_extension")
        assert cursor.fetchall() == [("plpgsql",)]
    for forbidden in (
        "CREATE EXTENSION file_fdw",
        "SELECT pg_read_file('postgresql.conf')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT * FROM pg_authid",
        "CREATE ROLE another",
        "ALTER SYSTEM SET log_statement = 'all'",
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(forbidden)
