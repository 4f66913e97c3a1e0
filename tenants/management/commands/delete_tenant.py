import sys
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.management.asking import bad_input, household_of, plain_errors
from tenants.models import Tenant
from tenants.provisioning import delete_household


class Command(BaseCommand):
    help = "Delete a household with all its data, for good. Its UUID stays reserved."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="UUID, schema or name")
        parser.add_argument("--export", metavar="FILE", help="write everything to a file first")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *, tenant: str, **options: Any) -> None:
        household = household_of(tenant)
        if household.status == Tenant.Status.DELETED:
            raise bad_input(f"{household.name!r} is deleted already.")
        if not options["yes"]:
            self._ask(household)
        if options["export"]:
            call_command("export_tenant", str(household.id), output=options["export"])
        with plain_errors():
            delete_household(household.id)
        self.stdout.write(f"Deleted {household.name!r}.")

    def _ask(self, household: Tenant) -> None:
        if not sys.stdin.isatty():
            raise bad_input("There is no terminal to ask on: say --yes if you are sure.")
        self.stdout.write(
            f"{household.name!r} ({household.id}) and everything in it will be gone for good.\n"
            "Devices keep what they have, but can never sync it again."
        )
        if input("Type the name of the household to delete it: ").strip() != household.name:
            raise CommandError("Nothing was deleted.")
