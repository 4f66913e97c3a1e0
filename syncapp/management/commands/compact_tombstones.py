"""Remove tombstones that every active device has read past."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from syncapp.core.errors import SyncError
from syncapp.editing import compact_tombstones
from tenants.models import Tenant


class Command(BaseCommand):
    help = (
        "Remove tombstones older than 90 days that every active device has read past. A device "
        "silent for 90 days is not active: it takes a snapshot when it comes back, and keeps "
        "what it has not sent."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("household", nargs="?", type=UUID, help="only this one")
        parser.add_argument("--json", action="store_true", help="one JSON object for scripts")

    def handle(self, *args: Any, **options: Any) -> None:
        tenants = Tenant.objects.filter(status=Tenant.Status.READY)
        if options["household"]:
            tenants = tenants.filter(pk=options["household"])
            if not tenants:
                raise CommandError("There is no such household, or it is not ready.")
        removed: dict[str, int] = {}
        failed: dict[str, str] = {}
        for tenant in tqdm(list(tenants), unit=" households", disable=None):
            try:
                removed[str(tenant.pk)] = compact_tombstones(tenant.pk)
            except SyncError as error:
                failed[str(tenant.pk)] = error.code
        if options["json"]:
            self.stdout.write(json.dumps({"removed": removed, "failed": failed}))
        else:
            self.stdout.write(
                f"{sum(removed.values())} tombstones removed in {len(removed)} households."
            )
        if failed:
            names = ", ".join(f"{key} ({code})" for key, code in failed.items())
            raise CommandError(f"Not compacted, try again later: {names}", returncode=1)
