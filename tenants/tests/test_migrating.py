"""Households are brought up to date one by one; one that fails does not stop the others."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.migrations import Migration

from syncapp.core.errors import SyncError
from syncapp.tests.household import Household, Speaker
from tenants import migrating
from tenants.authentication import standing_of
from tenants.faults import telling_faults
from tenants.models import Tenant, User
from tenants.names import schema_name
from tenants.provisioning import migrate_household, needs_migration


@pytest.fixture
def migration_of_tomorrow(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, anna: User
) -> Iterator[Callable[[str], None]]:
    """Makes a version of the code with one more migration of a tenant app: this SQL."""
    package = tmp_path / "migrations_of_tomorrow"
    package.mkdir()
    todays = Path(__import__("accounts").__file__).parent / "migrations"
    for path in todays.glob("*.py"):
        (package / path.name).write_text(path.read_text())
    last = max(path.stem for path in todays.glob("0*.py"))

    def make(sql: str) -> None:
        (package / "9999_tomorrow.py").write_text(
            f"""
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("accounts", "{last}")]
    operations = [migrations.RunSQL({sql!r})]
"""
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        settings.MIGRATION_MODULES = {**settings.MIGRATION_MODULES, "accounts": package.name}
        migrating.migrations_version.cache_clear()

    # Households that tests lend each other stay as they are today: `migrate_tenants` skips them.
    lent = Tenant.objects.exclude(memberships__user=anna).exclude(status=Tenant.Status.DELETED)
    lent_ids = [tenant.pk for tenant in lent]
    Tenant.objects.filter(pk__in=lent_ids).update(status=Tenant.Status.DELETED)
    yield make
    Tenant.objects.filter(pk__in=lent_ids).update(status=Tenant.Status.READY)
    migrating.migrations_version.cache_clear()


@pytest.fixture
def tomorrow(migration_of_tomorrow: Callable[[str], None]) -> None:
    """One that fails in a schema that has a table `refuses`."""
    migration_of_tomorrow("CREATE TABLE refuses (); CREATE TABLE tomorrow (id int)")


def has_table(tenant_id: UUID, name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f"{schema_name(tenant_id)}.{name}"])
        return cursor.fetchone()[0]


def run_migrate_tenants(**options: Any) -> str:
    said = StringIO()
    call_command("migrate_tenants", stdout=said, **options)
    return said.getvalue()


def test_current_households_are_skipped_without_a_look(
    home: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(schema: str) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(migrating, "migrate", fail)
    assert "0 migrated" in run_migrate_tenants()


def test_a_household_is_brought_up_to_date(home: UUID, tomorrow: None) -> None:
    assert needs_migration(Tenant.objects.get(pk=home))
    assert "1 migrated, 0 were current, 0 failed." in run_migrate_tenants(tenant=str(home))
    assert has_table(home, "tomorrow")
    assert not needs_migration(Tenant.objects.get(pk=home))
    assert "0 migrated, 1 were current" in run_migrate_tenants(tenant=str(home))


def test_one_that_fails_goes_into_maintenance_and_the_others_go_on(
    home: UUID, other_home: UUID, tomorrow: None, anna: User
) -> None:
    """M06"""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {schema_name(home)}.refuses ()")
    with pytest.raises(CommandError, match="already exists") as raised:
        run_migrate_tenants()
    assert str(home) in str(raised.value)
    assert str(other_home) not in str(raised.value)
    failed = Tenant.objects.get(pk=home)
    assert failed.status == Tenant.Status.MAINTENANCE
    assert "SQLSTATE 42P07" in failed.trouble  # it exists already
    assert not has_table(home, "tomorrow")
    assert standing_of(anna.id, home).status == "maintenance"  # type: ignore[union-attr]
    assert standing_of(anna.id, other_home).status == "ready"  # type: ignore[union-attr]
    assert has_table(other_home, "tomorrow")

    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {schema_name(home)}.refuses")
    run_migrate_tenants()
    mended = Tenant.objects.get(pk=home)
    assert (mended.status, mended.trouble) == (Tenant.Status.READY, "")
    assert has_table(home, "tomorrow")


class Traffic:
    """Devices that push and pull, each on a thread of its own, until they are told to stop."""

    def __init__(self, household: Household, count: int) -> None:
        self.stops = Event()
        self.pushed = [0] * count
        self.busy = 0
        self.pool = ThreadPoolExecutor(count)
        phones = [household.device(f"phone {n}") for n in range(count)]
        self.working = [self.pool.submit(self._work, *each) for each in enumerate(phones)]

    def _work(self, n: int, phone: Speaker) -> None:
        change = None
        try:
            while not self.stops.is_set():
                entity = ("account", "account_group")[self.pushed[n] % 2]
                change = change or phone.change("create", entity, str(uuid4()), {"name": "x"})
                try:
                    with telling_faults():
                        [result] = phone.push(change)
                        phone.pull()
                except SyncError as error:
                    assert error.retryable
                    self.busy += 1
                    continue
                assert result.fate == "applied"
                phone.settle()
                change, self.pushed[n] = None, self.pushed[n] + 1
        finally:
            connection.close()

    def goes_on(self) -> None:
        """Until each has been through twice more: the first may have begun before."""
        aim = [count + 2 for count in self.pushed]
        while any(a > b for a, b in zip(aim, self.pushed, strict=True)):
            for each in self.working:
                if each.done():
                    each.result()

    def end(self) -> int:
        self.stops.set()
        for each in self.working:
            each.result()
        self.pool.shutdown()
        return sum(self.pushed)


def test_a_household_is_migrated_while_its_devices_are_at_work(
    home: UUID, anna: User, migration_of_tomorrow: Callable[[str], None]
) -> None:
    """N04: they may have to try again; and what serves them is older than the tables."""
    tables = ("account", "account_group", "sync_device", "sync_conflict", "sync_head")
    migration_of_tomorrow(
        "; ".join(f"ALTER TABLE {each} ADD tomorrow int NOT NULL DEFAULT 7" for each in tables)
    )
    household = Household(home, anna.id)
    traffic = Traffic(household, 3)
    try:
        traffic.goes_on()
        assert "1 migrated, 0 were current, 0 failed." in run_migrate_tenants(tenant=str(home))
        traffic.goes_on()
    finally:
        count = traffic.end()
    assert len(household.rows()) == count == household.head().seq
    one, other = household.device("one"), household.device("other")
    one.push(create := one.change("create", "account", str(uuid4()), {"name": "A"}))
    other.push(other.change("edit", "account", create.id, {"name": "B"}))
    assert "conflict" in {entity for entity, _ in household.rows()}


def test_a_bad_moment_of_the_database_is_no_trouble_of_the_household(
    home: UUID, tomorrow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(schema: str) -> None:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(migrating, "migrate", away)
    tenant = Tenant.objects.get(pk=home)
    with pytest.raises(OperationalError):
        migrate_household(tenant)
    assert Tenant.objects.get(pk=home).status == Tenant.Status.READY


def test_a_migration_that_needs_a_shared_table_is_refused(
    ready_database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A household's schema can be dumped, restored and moved alone."""
    plan = [(Migration("0001_initial", "tenants"), False)]
    with pytest.raises(ValueError, match=r"may not depend on tenants\.0001_initial"):
        migrating._refuse_foreign(plan, {"accounts", "syncapp"})


def test_no_tenant_table_stands_in_public(ready_database: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind = 'r' AND (relname LIKE 'sync%%' OR relname = ANY(%s))",
            [[model._meta.db_table for model in apps.get_app_config("accounts").get_models()]],
        )
        assert cursor.fetchall() == []


def test_no_foreign_key_leaves_a_household(home: UUID) -> None:
    """So that households can be spread over several databases."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.conname FROM pg_constraint c JOIN pg_class r ON r.oid = c.confrelid"
            " WHERE c.contype = 'f' AND c.connamespace = %s::regnamespace"
            " AND r.relnamespace <> c.connamespace",
            [schema_name(home)],
        )
        assert cursor.fetchall() == []


def test_the_version_is_of_the_names_whatever_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def version_of(*nodes: tuple[str, str]) -> str:
        graph = SimpleNamespace(graph=SimpleNamespace(nodes=dict.fromkeys(nodes)))
        monkeypatch.setattr(migrating, "MigrationLoader", lambda connection: graph)
        migrating.migrations_version.cache_clear()
        return migrating.migrations_version()

    try:
        one, two = ("accounts", "0001"), ("syncapp", "0001")
        assert version_of(one, two) == version_of(two, one, ("auth", "0001"))
        assert version_of(one) != version_of(one, two)
    finally:
        migrating.migrations_version.cache_clear()
