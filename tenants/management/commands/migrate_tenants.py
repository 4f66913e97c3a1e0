from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from tenants.management.asking import household_of
from tenants.models import Tenant
from tenants.provisioning import migrate_household, needs_migration


class Command(BaseCommand):
    help = (
        "Bring the tables of every household up to date. Those that are current are skipped; "
        "one that fails goes into maintenance and does not stop the others."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="only this one: UUID, schema or name")

    def handle(self, **options: Any) -> None:
        tenants = (
            [household_of(options["tenant"])]
            if options["tenant"]
            else list(Tenant.objects.exclude(status=Tenant.Status.DELETED).order_by("created_at"))
        )
        behind = [each for each in tenants if needs_migration(each) or each.trouble]
        failures: list[str] = []
        # Only on a terminal: a log file needs no bar.
        for tenant in tqdm(behind, unit="household", disable=None):
            try:
                migrate_household(tenant)
            except Exception as error:
                failures.append(f"{tenant.id} {tenant.name!r}: {error}")
        current = len(tenants) - len(behind)
        done = len(behind) - len(failures)
        self.stdout.write(f"{done} migrated, {current} were current, {len(failures)} failed.")
        if failures:
            raise CommandError("\n".join(failures))
