from typing import Any

from django.core.management.base import CommandParser

from tenants.management.asking import bad_input, household_of, person_of, plain_refusals
from tenants.management.operating import Answer, OperatorCommand
from tenants.memberships import hand_over
from tenants.models import Membership


class Command(OperatorCommand):
    help = "Make one member an owner in another one's place, who may edit from then on."
    changes_something = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", metavar="TENANT", help="UUID, schema or name")
        parser.add_argument("--from", required=True, metavar="EMAIL", dest="giver")
        parser.add_argument("--to", required=True, metavar="EMAIL", dest="taker")

    def work(self, *, tenant: str, giver: str, taker: str, **options: Any) -> Answer:
        household, old, new = household_of(tenant), person_of(giver), person_of(taker)
        roles = dict(Membership.objects.filter(tenant=household).values_list("user_id", "role"))
        if roles.get(old.id) != Membership.Role.OWNER:
            raise bad_input(f"{old.email} does not own {household.name!r}.")
        if new.id not in roles:
            raise bad_input(f"{new.email} does not belong to {household.name!r}: invite first.")
        if not options["dry_run"]:
            with plain_refusals():
                hand_over(household, old, new)
        would = "would own" if options["dry_run"] else "owns"
        return Answer(
            {"tenant": str(household.id), "from": old.email, "to": new.email},
            [f"{new.email} {would} {household.name!r}; {old.email} may edit."],
        )
