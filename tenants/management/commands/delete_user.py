import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from tenants import audit
from tenants.management.asking import bad_input, person_of, plain_refusals
from tenants.management.operating import Answer, OperatorCommand
from tenants.memberships import LastOwner, delete_person, households_that_need, last_owner_of
from tenants.models import Tenant, User


class Command(OperatorCommand):
    help = (
        "Delete a person, for good: out of every household, with tokens and sessions. What they "
        "entered stays. Refused while there is a household that nobody else can manage."
    )
    changes_something = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("user", metavar="EMAIL")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def work(self, *, user: str, dry_run: bool, yes: bool, **options: Any) -> Answer:
        person = person_of(user)
        memberships = person.memberships.exclude(tenant__status=Tenant.Status.DELETED)
        facts = {
            "user": str(person.id),
            "email": person.email,
            "households": sorted(str(each.tenant_id) for each in memberships),
        }
        with plain_refusals():
            if needing := households_that_need(person):
                raise LastOwner(last_owner_of(needing))
            if dry_run:
                return Answer(facts, [f"{person.email} would be deleted."])
            if not yes:
                _ask(person, len(facts["households"]))
            with transaction.atomic():
                audit.note(audit.Action.DELETE_PERSON, None, detail=facts["user"])
                delete_person(person)
        return Answer(facts, [f"Deleted {facts['email']}."])


def _ask(person: User, households: int) -> None:
    if not sys.stdin.isatty():
        raise bad_input("There is no terminal to ask on: say --yes if you are sure.")
    print(f"{person.email} will be taken out of {households} household(s) and be gone for good.")
    if input("Type the e-mail address to delete this person: ").strip() != person.email:
        raise CommandError("Nobody was deleted.")
