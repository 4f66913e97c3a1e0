from typing import Any

from django.core.management.base import CommandParser

from tenants.faults import without_values
from tenants.management.operating import Answer, OperatorCommand, households, progress
from tenants.provisioning import migrate_household, needs_migration


class Command(OperatorCommand):
    help = (
        "Bring the tables of every household up to date. Those that are current are skipped; "
        "one that fails goes into maintenance and does not stop the others."
    )
    changes_something = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="only this one: UUID, schema or name")

    def work(self, *, dry_run: bool, **options: Any) -> Answer:
        tenants = households(options)
        behind = [each for each in tenants if needs_migration(each) or each.trouble]
        current = len(tenants) - len(behind)
        if dry_run:
            facts = {"behind": [str(each.id) for each in behind], "current": current}
            return Answer(facts, [f"{len(behind)} would be migrated, {current} are current."])
        failed: dict[str, str] = {}
        for tenant in progress(behind, "households"):
            try:
                migrate_household(tenant)
            except Exception as error:
                failed[str(tenant.id)] = f"{tenant.name!r}: {without_values(error)}"
        done = len(behind) - len(failed)
        return Answer(
            {"migrated": done, "current": current, "failed": failed},
            [f"{done} migrated, {current} were current, {len(failed)} failed."],
            failed=[f"{tenant_id} {why}" for tenant_id, why in failed.items()],
        )
