"""System checks: what a developer must know before a device does."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.postgres.constraints import ExclusionConstraint
from django.core.checks import Error, register
from django.db import models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import CreateModel
from django.db.migrations.operations.base import Operation

from .models import SyncedModel
from .operations import SyncTable
from .registry import tables

_ENGINE = ("syncapp", "0001_initial")  # makes the functions that the triggers call


@register()
def synced_models_are_complete(app_configs: Any, **kwargs: Any) -> list[Error]:
    """Every synced model is registered and has its triggers; no constraint can bite late."""
    errors = []
    registered = {table.model for table in tables().values()}
    migrations = MigrationLoader(None)
    created = _migrations_by_model(migrations, CreateModel)
    watched = _migrations_by_model(migrations, SyncTable)
    for model in apps.get_models():
        if not issubclass(model, SyncedModel):
            continue
        if model not in registered:
            errors.append(
                Error(
                    f"{model.__name__} is a SyncedModel, but no device hears of it.",
                    hint=f"Say sync({model.__name__}) in the app's entities.py.",
                    id="syncapp.E001",
                )
            )
        # Not before its table is in a migration: makemigrations must be able to run.
        key = (model._meta.app_label, model._meta.model_name)
        if key in created and key not in watched:
            errors.append(
                Error(
                    f"Writes to {model.__name__} would not be noticed: it has no triggers.",
                    hint=f'Add SyncTable("{model.__name__}") to the migration that creates it.',
                    id="syncapp.E002",
                )
            )
        # Which of two apps is migrated first is a matter of their names, if neither says it.
        elif key in watched and _ENGINE not in migrations.graph.forwards_plan(watched[key]):
            errors.append(
                Error(
                    f"The triggers of {model.__name__} could be made before what they call.",
                    hint=f"Add {_ENGINE} to the dependencies of {'.'.join(watched[key])}.",
                    id="syncapp.E004",
                )
            )
        for field in model._meta.concrete_fields:
            if field.is_relation and not _is_value(field):
                errors.append(
                    Error(
                        f"{model.__name__}.{field.name} must be a reference as a value.",
                        hint="on_delete=models.DO_NOTHING, db_constraint=False",
                        id="syncapp.E003",
                    )
                )
        errors += [
            Error(
                f"{model.__name__} wants {what} to be unique, which two devices without a "
                "network cannot know: one of them would be refused for ever.",
                hint="Let both be there, and show people that they are alike.",
                id="syncapp.E005",
            )
            for what in _unique(model)
        ]
    return errors


def _unique(model: type[models.Model]) -> list[str]:
    """What a constraint or an index of the model holds apart, besides its id."""
    meta = model._meta
    found = [each.name for each in meta.concrete_fields if each.unique and not each.primary_key]
    found += ["/".join(names) for names in meta.unique_together]
    kinds = (models.UniqueConstraint, ExclusionConstraint)
    return found + [each.name for each in meta.constraints if isinstance(each, kinds)]


def _migrations_by_model(
    migrations: MigrationLoader, kind: type[Operation]
) -> dict[tuple[str, str], tuple[str, str]]:
    """By model, as (app label, lower-case name): the migration with an operation of this kind."""
    return {
        (app, (getattr(operation, "model_name", None) or operation.name).lower()): (app, name)
        for (app, name), migration in migrations.disk_migrations.items()
        for operation in migration.operations
        if isinstance(operation, kind)
    }


def _is_value(field: models.ForeignKey) -> bool:
    return not field.db_constraint and field.remote_field.on_delete is models.DO_NOTHING
