from typing import Any

from django.core.management.base import CommandParser

from tenants.invitations import accept, invitation_of
from tenants.management.asking import bad_input, person_of, plain_refusals
from tenants.management.operating import Answer, OperatorCommand


class Command(OperatorCommand):
    help = "Accept an invitation for a person who asked you to."
    changes_something = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("link", metavar="LINK", help="the whole link, or its last part")
        parser.add_argument("--user", required=True, metavar="EMAIL")

    def work(self, *, link: str, user: str, **options: Any) -> Answer:
        person = person_of(user)
        invitation = invitation_of(link.rstrip("/").rpartition("/")[2])
        if invitation is None:
            raise bad_input("This invitation is not valid, or not any more.")
        household = invitation.tenant
        if not options["dry_run"]:
            with plain_refusals():
                accept(invitation, person, at_other_address=True)
        would = "would belong" if options["dry_run"] else "belongs"
        return Answer(
            {"tenant": str(household.id), "user": person.email, "role": invitation.role},
            [f"{person.email} {would} to {household.name!r}."],
        )
