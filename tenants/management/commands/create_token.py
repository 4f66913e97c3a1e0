from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from tenants.management.asking import bad_input, person_of
from tenants.tokens import create_token


class Command(BaseCommand):
    help = "Make a token with which a program signs in as a person, and print it, once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True, metavar="EMAIL")
        parser.add_argument("--name", required=True, help="what it is for")

    def handle(self, *, user: str, name: str, **options: Any) -> None:
        person = person_of(user)
        if not 0 < len(name.strip()) <= 100:
            raise bad_input("Say in 1 to 100 characters what the token is for.")
        token = create_token(person, name.strip())
        self.stderr.write("Keep this token secret. It cannot be shown again.")
        self.stdout.write(token)
