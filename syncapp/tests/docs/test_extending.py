"""docs/extending.md, followed to the letter: afterwards payees travel."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import override_settings

from syncapp import engine, greetings, registry, repository
from syncapp.core.cursor import text_to_cursor
from syncapp.core.entity import describe, version_of
from syncapp.core.messages import Changes, Limits, Welcome, encode, row_to_wire, text_to_down
from syncapp.core.messages import text_to_up as parsed
from syncapp.device.replica import Replica
from syncapp.device.store import Store
from syncapp.tests.household import Household, now_ms
from tenants import migrating
from tenants.provisioning import delete_household

from .page import ROOT, Block, blocks

PAGE = "docs/extending.md"
LINES_MAX = 10
_before: list[Household] = []  # one that was there before payees were


class Time:
    """Everybody's clock: moves on whenever somebody looks, so that no two acts coincide."""

    def __init__(self) -> None:
        self.ms = now_ms()

    def __call__(self) -> int:
        self.ms += 10
        return self.ms


class Device:
    """A device whose program has never heard of payees. Speaks frames, without a socket."""

    def __init__(self, household: Household, name: str, now_ms: Time) -> None:
        self.household, self.now_ms = household, now_ms
        self.replica = Replica(Store(":memory:"), str(household.id), name=name, wall_ms=now_ms)

    def sync(self) -> None:
        """One whole conversation: hello, pull, push, pull."""
        replica, user = self.replica, str(self.household.owner)
        hello = parsed(encode(replica.hello()))
        greeting = self.household.call(greetings.greet, hello, user, self.now_ms())
        entities = registry.entities()
        welcome = Welcome(
            time_ms=self.now_ms(),
            head=greeting.head.seq,
            role=greeting.role,
            version=version_of(entities),
            entities=describe(entities),
            limits=Limits(),
            resume=greeting.resume,
            reset=greeting.reset,
        )
        replica.on_welcome(text_to_down(encode(welcome)))
        self._pull()
        push = parsed(encode(replica.push()))
        device_id = replica.meta.device
        outcome = self.household.call(engine.apply_push, device_id, user, push, self.now_ms())
        replica.on_ack(text_to_down(encode(outcome.ack)))
        self._pull()

    def _pull(self) -> None:
        more = True
        while more:
            pull = parsed(encode(self.replica.pull(ask=True)))
            cursor = text_to_cursor(pull.cursor) if pull.cursor else None
            page = self.household.call(engine.changes_since, cursor, str(self.household.owner))
            rows = [row_to_wire(row) for row in page.rows]
            frame = Changes(
                rows=rows,
                start=page.start,
                to=page.to,
                cursor=page.cursor.to_text(),
                more=page.more,
                head=page.head.seq,
            )
            assert self.replica.on_changes(text_to_down(encode(frame))) == "stored"
            more = page.more

    def payees(self) -> dict[str, dict[str, Any]]:
        return {row.id: row.fields for row in self.replica.rows("payee")}


@pytest.fixture(scope="module")
def app(tmp_path_factory: Any, _template: None, django_db_blocker: Any) -> Iterator[Path]:
    """The app that somebody has who has followed the page up to step 3."""
    folder = tmp_path_factory.mktemp("project")
    package = folder / "payees"
    package.mkdir()
    call_command("startapp", "payees", str(package))
    tenant_apps = [*settings.TENANT_APPS, "payees"]
    installed = [*settings.SHARED_APPS, *tenant_apps]
    sys.path.insert(0, str(folder))
    with django_db_blocker.unblock():
        try:
            for block in blocks(PAGE):
                _follow(folder, block)
            _before.append(Household.provision("Before payees"))
            with override_settings(TENANT_APPS=tenant_apps, INSTALLED_APPS=installed):
                _migration(folder)
                _forget_what_was_known()
                yield package
        finally:
            sys.path.remove(str(folder))
            delete_household(_before.pop().id)
            registry.forget("payee")
            for name in [name for name in sys.modules if name.split(".")[0] == "payees"]:
                del sys.modules[name]
            apps.all_models.pop("payees", None)
            apps.clear_cache()
            _forget_what_was_known()


def _follow(folder: Path, block: Block) -> None:
    """Do what one block of the page asks for."""
    what, _, path = block.use.partition(": ")
    if what == "file":
        (folder / path).write_text(block.code)
    elif what == "add to the end of":
        text = (folder / path).read_text()
        (folder / path).write_text(f"{text.rstrip()}\n\n{block.code}")
    elif what == "settings":
        assert block.code == 'TENANT_APPS += ["payees"]\n'
    elif what == "run":
        assert block.code.startswith("python manage.py ")
    else:  # waits until Django has written the migration
        assert what in (
            "add to the imports of",
            "add to the dependencies of",
            "add to the operations of",
        )


def _migration(folder: Path) -> None:
    """makemigrations, and the three lines that the page adds to its result."""
    path = folder / "payees" / "migrations" / "0001_initial.py"
    call_command("makemigrations", "payees", verbosity=0)
    text = path.read_text()
    for block in blocks(PAGE):
        if block.use.startswith("add to the imports of"):
            text = text.replace("from django.db import", f"{block.code}from django.db import", 1)
        elif block.use.startswith("add to the dependencies of"):
            text = text.replace("dependencies = [\n", f"dependencies = [\n{block.code}", 1)
        elif block.use.startswith("add to the operations of"):
            text = f"{text.rstrip().removesuffix(']')}{block.code.lstrip()}    ]\n"
    path.write_text(text)


def _forget_what_was_known() -> None:
    repository.forget_statements()
    migrating.migrations_version.cache_clear()
    migrating.template_version.cache_clear()


@pytest.fixture
def household(app: Path) -> Iterator[Household]:
    made = Household.provision("With payees")
    yield made
    delete_household(made.id)


@pytest.fixture
def device(household: Household) -> Callable[[str], Device]:
    """Makes devices of one household; they and its server share one clock."""
    time = Time()
    return lambda name: Device(household, name, time)


def test_besides_the_model_at_most_ten_lines_are_written():
    written = [block for block in blocks(PAGE) if block.use.partition(":")[0] != "run"]
    lines = [line for block in written if "models.py" not in block.use for line in block.lines]
    assert 0 < len(lines) <= LINES_MAX
    assert len(lines) == 9  # as the page says
    assert "You write the model and nine lines." in (ROOT / PAGE).read_text()


def test_nothing_is_missing(app):
    errors = run_checks()
    assert [each for each in errors if each.id.startswith("syncapp")] == []


def test_a_household_that_was_there_before_gets_the_table(app, capsys):
    (household,) = _before
    phone = household.device()
    group_id, payee_id = str(uuid.uuid4()), str(uuid.uuid4())
    phone.push(phone.change("create", "account_group", group_id, {"name": "Sparen"}))
    call_command("migrate_tenants", tenant=str(household.id))
    assert capsys.readouterr().out == "1 migrated, 0 were current, 0 failed.\n"
    phone.push(phone.change("create", "payee", payee_id, {"name": "REWE"}))
    assert household.rows().keys() == {("account_group", group_id), ("payee", payee_id)}


def test_a_new_payee_reaches_a_device_that_never_heard_of_payees(device):
    phone, tablet = device("phone"), device("tablet")
    phone.sync()
    row_id = phone.replica.create("payee", {"name": "REWE", "discount": "2.50"})
    phone.sync()
    tablet.sync()
    assert tablet.payees() == {
        row_id: {
            "name": "REWE",
            "website": "",
            "discount": "2.5",
            "accountGroupId": None,
            "exists": True,
        }
    }
    assert phone.payees() == tablet.payees()


def test_payees_come_page_by_page_among_the_other_rows(household):
    phone = household.device()
    ids = [str(uuid.uuid4()) for _ in range(7)]
    phone.push(*(phone.change("create", "payee", each, {"name": "x"}) for each in ids))
    phone.push(phone.change("create", "account_group", str(uuid.uuid4()), {"name": "Sparen"}))
    found, cursor, more = [], None, True
    while more:
        page = household.call(engine.changes_since, cursor, str(household.owner), 3)
        found += [(row.entity, row.id) for row in page.rows]
        cursor, more = page.cursor, page.more
    assert len(found) == 8
    assert {row_id for entity, row_id in found if entity == "payee"} == set(ids)


def test_payees_written_in_psql_reach_a_device(household, device, psql):
    phone = device("phone")
    phone.sync()
    table = f'"{household.schema}".payee'
    (row_id,) = psql.execute(
        f"INSERT INTO {table} (name) VALUES ('REWE') RETURNING id::text"
    ).fetchone()
    phone.sync()
    assert phone.payees()[row_id]["name"] == "REWE"
    psql.execute(f"UPDATE {table} SET discount = 12.30, account_group_id = id")
    phone.sync()
    assert phone.payees()[row_id]["discount"] == "12.3"
    assert phone.payees()[row_id]["accountGroupId"] == row_id
    psql.execute(f"DELETE FROM {table}")
    phone.sync()
    assert phone.payees() == {}
    with pytest.raises(Exception, match="TRUNCATE"):
        psql.execute(f"TRUNCATE {table}")


def test_who_was_overruled_is_told(device):
    phone, tablet = device("phone"), device("tablet")
    phone.sync()
    row_id = phone.replica.create("payee", {"name": "REWE"})
    phone.sync()
    tablet.sync()
    phone.replica.edit("payee", row_id, {"name": "REWE Nord"})
    tablet.replica.edit("payee", row_id, {"name": "REWE Süd"})
    phone.sync()
    tablet.sync()
    phone.sync()
    assert phone.payees()[row_id]["name"] == tablet.payees()[row_id]["name"] == "REWE Süd"
    (conflict,) = phone.replica.conflicts()
    assert (conflict.entity, conflict.row_id, conflict.field) == ("payee", row_id, "name")
    assert conflict.losing_value == "REWE Nord"


def test_a_rule_of_the_model_refuses_with_a_code_and_a_sentence(household):
    phone = household.device()
    bad = {"name": "REWE", "website": "not a website"}
    (result,) = phone.push(phone.change("create", "payee", str(uuid.uuid4()), bad))
    assert (result.fate, result.code, result.field) == ("refused", "invalid", "website")
    assert result.message
    assert household.rows() == {}


def test_a_payee_deleted_on_one_device_and_edited_later_on_another_is_back_whole(device):
    phone, tablet = device("phone"), device("tablet")
    phone.sync()
    row_id = phone.replica.create("payee", {"name": "REWE", "discount": "2"})
    phone.sync()
    tablet.sync()
    phone.replica.delete("payee", row_id)
    tablet.replica.edit("payee", row_id, {"name": "REWE Süd"})
    phone.sync()
    assert phone.payees() == {}
    tablet.sync()
    phone.sync()
    assert phone.payees() == tablet.payees()
    assert (phone.payees()[row_id]["name"], phone.payees()[row_id]["discount"]) == ("REWE Süd", "2")
