from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from tenants.management.asking import PASSWORD_VARIABLE, new_email, new_person
from tenants.management.operating import Answer, OperatorCommand


class Command(OperatorCommand):
    help = (
        "Make a person who can sign in. The password is asked for, or taken from the "
        f"environment variable {PASSWORD_VARIABLE}."
    )
    changes_something = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--email", required=True)
        parser.add_argument("--name", default="")
        parser.add_argument("--language", choices=[code for code, _ in settings.LANGUAGES])
        parser.add_argument("--admin", action="store_true", help="may do everything in the admin")

    def work(self, *, email: str, name: str, admin: bool, dry_run: bool, **options: Any) -> Answer:
        if dry_run:
            address = new_email(email)
            return Answer({"email": address, "admin": admin}, [f"{address} could sign in."])
        fields: dict[str, Any] = {"display_name": name, "is_staff": admin, "is_superuser": admin}
        if options["language"]:
            fields["language"] = options["language"]
        person = new_person(email, **fields)
        facts = {"user": str(person.id), "email": person.email, "admin": admin}
        return Answer(facts, [f"{person.email} can sign in."])
