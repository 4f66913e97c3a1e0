import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from syncapp.core.errors import NotYours
from tenants.management.asking import bad_input, new_person, person_of, plain_errors, uuid_of
from tenants.models import Tenant, User
from tenants.provisioning import provision


class Command(BaseCommand):
    help = "Make a household with its schema and its owner, and print its UUID."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument("--owner", required=True, metavar="EMAIL")
        parser.add_argument(
            "--create-user", action="store_true", help="make the owner too, if nobody signs in so"
        )
        parser.add_argument("--id", metavar="UUID", help="default: a random one")

    def handle(self, *, name: str, owner: str, **options: Any) -> None:
        if not name.strip():
            raise bad_input("A household needs a name.")
        tenant_id = uuid_of(options["id"]) if options["id"] else uuid.uuid4()
        is_new = not User.objects.filter(email=User.objects.normalize_email(owner)).exists()
        person = new_person(owner) if is_new and options["create_user"] else person_of(owner)
        existed = Tenant.objects.filter(pk=tenant_id).exists()
        with plain_errors():
            try:
                tenant = provision(tenant_id, name, person.id, by_operator=True)
            except NotYours:
                raise bad_input(f"The UUID {tenant_id} is taken, or was once.") from None
        if existed:
            self.stderr.write(f"This household exists already, as {tenant.name!r}.")
        self.stdout.write(str(tenant.id))
