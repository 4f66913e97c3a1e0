"""A step of docs/extending.md that was forgotten is told before a device meets it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import models
from django.db.migrations import Migration
from django.db.migrations.operations import CreateModel
from django.test.utils import isolate_apps

from accounts.models import Account
from syncapp import checks
from syncapp.models import SyncedModel
from syncapp.operations import SyncTable

CREATE = CreateModel("Thing", [])
TRIGGERS = SyncTable("Thing")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The ids of what the checks find in a model `Thing` and its migration."""

    def found(
        *operations: Any,
        follows: tuple[str, str] = ("syncapp", "0001_initial"),
        is_registered: bool = True,
        meta: dict[str, Any] | None = None,
        **fields: models.Field,
    ) -> list[str]:
        options = {"app_label": "things", "db_table": "thing", **(meta or {})}
        members = {
            "__module__": __name__,
            "Meta": type("Meta", (), options),
            **fields,
        }
        with isolate_apps("syncapp"):
            thing = type("Thing", (SyncedModel,), members)
        node = ("things", "0001_initial")
        migration = Migration("0001_initial", "things")
        migration.operations = list(operations)
        loader = SimpleNamespace(
            disk_migrations={node: migration},
            graph=SimpleNamespace(forwards_plan=lambda asked: [follows, asked]),
        )
        monkeypatch.setattr(checks, "MigrationLoader", lambda connection: loader)
        monkeypatch.setattr(checks, "apps", SimpleNamespace(get_models=lambda: [thing]))
        registered = {"thing": SimpleNamespace(model=thing)} if is_registered else {}
        monkeypatch.setattr(checks, "tables", lambda: registered)
        return [error.id or "" for error in checks.synced_models_are_complete(None)]

    return found


def test_a_model_with_everything_is_sound(found):
    assert found(CREATE, TRIGGERS) == []


def test_a_model_that_no_device_hears_of_is_told(found):
    assert found(CREATE, TRIGGERS, is_registered=False) == ["syncapp.E001"]


def test_a_table_without_triggers_is_told(found):
    assert found(CREATE) == ["syncapp.E002"]


def test_a_table_that_is_in_no_migration_yet_can_be_migrated(found):
    assert found() == []


@pytest.mark.parametrize(
    ("on_delete", "db_constraint"), [(models.CASCADE, False), (models.DO_NOTHING, True)]
)
def test_a_reference_that_a_constraint_or_a_cascade_could_bite_is_told(
    found, on_delete, db_constraint
):
    account = models.ForeignKey(
        Account, on_delete=on_delete, db_constraint=db_constraint, related_name="+"
    )
    assert found(CREATE, TRIGGERS, account=account) == ["syncapp.E003"]


def test_triggers_that_could_come_before_the_engine_are_told(found):
    assert found(CREATE, TRIGGERS, follows=("accounts", "0001_initial")) == ["syncapp.E004"]


@pytest.mark.parametrize(
    ("field", "meta"),
    [
        ({"unique": True}, {}),
        ({}, {"unique_together": [("name", "sync_seq")]}),
        ({}, {"constraints": [models.UniqueConstraint(fields=["name"], name="one_name")]}),
        (
            {},
            {
                "constraints": [
                    ExclusionConstraint(expressions=[("name", "=")], name="one_name_at_a_time")
                ]
            },
        ),
    ],
    ids=["a field", "fields together", "a constraint", "an exclusion"],
)
def test_what_has_to_be_unique_across_devices_is_told(found, field, meta):
    """F04: no push can meet a unique constraint, because no synced table may have one."""
    name = models.CharField(max_length=9, **field)
    assert found(CREATE, TRIGGERS, meta=meta, name=name) == ["syncapp.E005"]
