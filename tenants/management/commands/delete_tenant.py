import sys
from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser

from tenants.management.asking import bad_input, household_of
from tenants.management.operating import Answer, OperatorCommand
from tenants.models import Tenant
from tenants.provisioning import delete_household


class Command(OperatorCommand):
    help = "Delete a household with all its data, for good. Its UUID stays reserved."
    changes_something = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="UUID, schema or name")
        parser.add_argument("--export", metavar="FILE", help="write everything to a file first")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def work(self, *, tenant: str, dry_run: bool, **options: Any) -> Answer:
        household = household_of(tenant)
        if household.status == Tenant.Status.DELETED:
            raise bad_input(f"{household.name!r} is deleted already.")
        facts = {"tenant": str(household.id), "name": household.name, "export": options["export"]}
        if dry_run:
            return Answer(facts, [f"{household.name!r} ({household.id}) would be deleted."])
        if not options["yes"]:
            self._ask(household)
        if options["export"]:
            said = self.stderr if options["json"] else self.stdout
            call_command("export_tenant", str(household.id), output=options["export"], stdout=said)
        delete_household(household.id)
        return Answer(facts, [f"Deleted {household.name!r}."])

    def _ask(self, household: Tenant) -> None:
        if not sys.stdin.isatty():
            raise bad_input("There is no terminal to ask on: say --yes if you are sure.")
        self.stdout.write(
            f"{household.name!r} ({household.id}) and everything in it will be gone for good.\n"
            "Devices keep what they have, but can never sync it again."
        )
        if input("Type the name of the household to delete it: ").strip() != household.name:
            raise CommandError("Nothing was deleted.")
