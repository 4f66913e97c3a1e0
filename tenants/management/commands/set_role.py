from typing import Any

from django.core.management.base import CommandParser

from tenants.management.asking import bad_input, household_of, person_of, plain_refusals
from tenants.management.operating import Answer, OperatorCommand
from tenants.memberships import refuse_without_owner, set_role
from tenants.models import Membership


class Command(OperatorCommand):
    help = "Say what a person may do in a household. remove_member takes the person out."
    changes_something = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="UUID, schema or name")
        parser.add_argument("--user", required=True, metavar="EMAIL")
        parser.add_argument("--role", required=True, choices=Membership.Role.values)

    def work(self, *, tenant: str, user: str, role: str, **options: Any) -> Answer:
        household, person = household_of(tenant), person_of(user)
        if household.status == household.Status.DELETED:
            raise bad_input(f"{household.name!r} is deleted.")
        with plain_refusals():
            if options["dry_run"]:
                if role != Membership.Role.OWNER:
                    refuse_without_owner(household, person.id)
            else:
                set_role(household, person, role)
        would = "would be" if options["dry_run"] else "is now"
        return Answer(
            {"tenant": str(household.id), "user": person.email, "role": role},
            [f"{person.email} {would} {role} of {household.name!r}."],
        )
