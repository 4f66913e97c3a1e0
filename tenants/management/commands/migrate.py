from typing import Any

from django_tenants.management.commands.migrate_schemas import MigrateSchemasCommand


class Command(MigrateSchemasCommand):
    """Migrates what all households share. Theirs is `migrate_tenants`, which skips and goes on."""

    def handle(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **{**options, "shared": True, "tenant": False})
