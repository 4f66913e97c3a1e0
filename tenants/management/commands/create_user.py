from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from tenants.management.asking import PASSWORD_VARIABLE, new_person


class Command(BaseCommand):
    help = (
        "Make a person who can sign in. The password is asked for, or taken from the "
        f"environment variable {PASSWORD_VARIABLE}."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", required=True)
        parser.add_argument("--name", default="")
        parser.add_argument("--language", choices=[code for code, _ in settings.LANGUAGES])
        parser.add_argument("--admin", action="store_true", help="may do everything in the admin")

    def handle(self, *, email: str, name: str, admin: bool, **options: Any) -> None:
        fields: dict[str, Any] = {"display_name": name, "is_staff": admin, "is_superuser": admin}
        if options["language"]:
            fields["language"] = options["language"]
        person = new_person(email, **fields)
        self.stdout.write(f"{person.email} can sign in.")
