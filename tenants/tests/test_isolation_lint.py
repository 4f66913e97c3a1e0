"""L03: nobody goes around tenants/context.py."""

from pathlib import Path

import pytest

from tenants.tests.isolation_lint import SEARCH_PATH, findings

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = {".venv", ".git", "var", "node_modules", "staticfiles", "frontend"}
# The one file that knows search paths, and tests that go around it on purpose.
ALLOWED = {
    "tenants/context.py",
    "tenants/tests/isolation_lint.py",
    "tenants/tests/test_isolation_lint.py",
    "tenants/tests/test_context.py",
    "tenants/tests/test_troubles.py",
    "tenants/tests/crossings.py",
}


def modules() -> list[Path]:
    return [
        path
        for path in sorted(ROOT.rglob("*.py"))
        if not LEFT_OUT & set(path.relative_to(ROOT).parts)
        and str(path.relative_to(ROOT)) not in ALLOWED
    ]


def test_the_whole_project_enters_households_one_way() -> None:
    """L03"""
    assert len(modules()) > 30
    found = [
        f"{path.relative_to(ROOT)}:{line}: {said}"
        for path in modules()
        for line, said in findings(path.read_text(encoding="utf-8"))
        # Tests have sessions of their own, as psql would; those have a path of their own.
        if not ("tests" in path.parts and said == SEARCH_PATH)
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "with tenant:\n    pass",
        "with self.household:\n    pass",
        "from django_tenants.utils import schema_context",
        "@schema_context('x')\ndef f(): ...",
        "with utils.tenant_context(t):\n    pass",
        "connection.set_tenant(t)",
        "connection.set_schema('x')",
        "connections['default'].set_schema_to_public()",
        "tenant.activate()",
        "cursor.execute('SET search_path = x')",
        "cursor.execute('set  local search_path to x')",
        "cursor.execute(\"SELECT set_config('search_path', 'x', true)\")",
        "from channels.db import database_sync_to_async",
        "from asgiref.sync import sync_to_async",
        "async def f():\n    return await Account.objects.aget()",
        "async def f():\n    for a in Account.with_tombstones.all(): ...",
        "async def f():\n    with in_tenant(x):\n        await g()",
        "async def f():\n    call_in_tenant(x, g)",
        "async def f():\n    provisioning.provision(x, 'n', y)",
        "async def f():\n    with transaction.atomic(): ...",
        "async def f():\n    connection.cursor()",
        "def f():\n    with in_tenant(x):\n        yield 1",
    ],
)
def test_a_way_around_is_found(source: str) -> None:
    """L03"""
    assert findings(source)


@pytest.mark.parametrize(
    "source",
    [
        "with in_tenant(x) as connection:\n    Account.objects.all()",
        "async def f():\n    await run_in_tenant(x, g)",
        "async def f():\n    def g(connection):\n        Account.objects.count()\n    return g",
        "translation.activate('de')",
        "with tenants_lock:\n    pass",
        "async def f():\n    store.cursor()",
    ],
)
def test_the_one_way_in_is_not_found(source: str) -> None:
    assert findings(source) == []
