"""Remove tombstones that every active device has read past."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from syncapp.core.errors import SyncError
from syncapp.editing import compact_tombstones
from tenants.management.asking import bad_input
from tenants.management.operating import (
    Answer,
    OperatorCommand,
    add_households,
    households,
    progress,
)
from tenants.models import Tenant


class Command(OperatorCommand):
    help = (
        "Remove tombstones older than 90 days that every active device has read past. A device "
        "silent for 90 days is not active: it takes a snapshot when it comes back, and keeps "
        "what it has not sent."
    )
    changes_something = True

    def add_options(self, parser: CommandParser) -> None:
        add_households(parser)

    def work(self, *, dry_run: bool, **options: Any) -> Answer:
        tenants = [each for each in households(options) if each.status == Tenant.Status.READY]
        if options["tenant"] and not tenants:
            raise bad_input("This household is not ready: it is in maintenance, or was deleted.")
        removed: dict[str, int] = {}
        failed: dict[str, str] = {}
        for tenant in progress(tenants, "households"):
            try:
                removed[str(tenant.pk)] = compact_tombstones(tenant.pk, dry_run=dry_run)
            except SyncError as error:
                failed[str(tenant.pk)] = error.code
        would = "would be removed" if dry_run else "removed"
        return Answer(
            {"removed": removed, "failed": failed, "dry_run": dry_run},
            [f"{sum(removed.values())} tombstones {would} in {len(removed)} households."],
            failed=[
                f"Not compacted, try again later: {key} ({code})" for key, code in failed.items()
            ],
        )
