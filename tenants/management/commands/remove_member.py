from typing import Any

from django.core.management.base import CommandParser

from tenants.management.asking import bad_input, household_of, person_of, plain_refusals
from tenants.management.operating import Answer, OperatorCommand
from tenants.memberships import end_membership, refuse_without_owner
from tenants.models import Membership


class Command(OperatorCommand):
    help = (
        "Take a person out of a household, or let them leave it: nothing of theirs is accepted "
        "any more, and their sockets are closed. What they entered stays."
    )
    changes_something = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", metavar="TENANT", help="UUID, schema or name")
        parser.add_argument("user", metavar="EMAIL")

    def work(self, *, tenant: str, user: str, **options: Any) -> Answer:
        household, person = household_of(tenant), person_of(user)
        if not Membership.objects.filter(tenant=household, user=person).exists():
            raise bad_input(f"{person.email} does not belong to {household.name!r}.")
        with plain_refusals():
            if options["dry_run"]:
                refuse_without_owner(household, person.id)
            else:
                end_membership(household, person)
        would = "would no longer belong" if options["dry_run"] else "no longer belongs"
        return Answer(
            {"tenant": str(household.id), "user": person.email},
            [f"{person.email} {would} to {household.name!r}."],
        )
