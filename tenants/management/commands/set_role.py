from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.management.asking import household_of, person_of, plain_errors
from tenants.memberships import LastOwner, end_membership, set_role
from tenants.models import Membership

NONE = "none"


class Command(BaseCommand):
    help = "Say what a person may do in a household, or take the person out of it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="UUID, schema or name")
        parser.add_argument("--user", required=True, metavar="EMAIL")
        parser.add_argument(
            "--role", required=True, choices=[*Membership.Role.values, NONE], help="none: no member"
        )

    def handle(self, *, tenant: str, user: str, role: str, **options: Any) -> None:
        household, person = household_of(tenant), person_of(user)
        try:
            with plain_errors():
                if role == NONE:
                    end_membership(household, person)
                else:
                    set_role(household, person, role)
        except LastOwner as error:
            raise CommandError(str(error)) from error
        said = "no member" if role == NONE else role
        self.stdout.write(f"{person.email} is now {said} of {household.name!r}.")
