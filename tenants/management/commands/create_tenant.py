import uuid
from typing import Any

from django.core.management.base import CommandParser

from syncapp.core.errors import NotYours
from tenants.management.asking import bad_input, new_person, person_of, uuid_of
from tenants.management.operating import Answer, OperatorCommand
from tenants.models import Tenant, User
from tenants.provisioning import NAME_MAX_CHARACTERS, is_household_name, provision


class Command(OperatorCommand):
    help = "Make a household with its schema and its owner, and print its UUID."
    changes_something = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument("--owner", required=True, metavar="EMAIL")
        parser.add_argument(
            "--create-user", action="store_true", help="make the owner too, if nobody signs in so"
        )
        parser.add_argument("--id", metavar="UUID", help="default: a random one")

    def work(self, *, name: str, owner: str, dry_run: bool, **options: Any) -> Answer:
        if not is_household_name(name):
            most = NAME_MAX_CHARACTERS
            raise bad_input(f"A household needs a name of 1 to {most} characters, in one line.")
        tenant_id = uuid_of(options["id"]) if options["id"] else uuid.uuid4()
        email = User.objects.normalize_email(owner)
        is_new = not User.objects.filter(email=email).exists()
        found = Tenant.objects.filter(pk=tenant_id).first()
        facts = {"tenant": str(tenant_id), "owner": email, "made": found is None}
        if dry_run:
            if not (is_new and options["create_user"]):
                person_of(owner)
            if found is not None:
                return Answer(facts, [f"This household exists already, as {found.name!r}."])
            return Answer(facts, [f"{name.strip()!r} would be made for {email}."])
        person = new_person(owner) if is_new and options["create_user"] else person_of(owner)
        try:
            tenant = provision(tenant_id, name, person.id, by_operator=True)
        except NotYours:
            raise bad_input(f"The UUID {tenant_id} is taken, or was once.") from None
        if found is not None:
            self.stderr.write(f"This household exists already, as {tenant.name!r}.")
        return Answer(facts, [str(tenant.id)])
