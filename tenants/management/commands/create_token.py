from typing import Any

from django.core.management.base import CommandParser

from tenants.management.asking import bad_input, person_of
from tenants.management.operating import Answer, OperatorCommand
from tenants.tokens import create_token


class Command(OperatorCommand):
    help = "Make a token with which a program signs in as a person, and print it, once."
    changes_something = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True, metavar="EMAIL")
        parser.add_argument("--name", required=True, help="what it is for")

    def work(self, *, user: str, name: str, **options: Any) -> Answer:
        person = person_of(user)
        name = name.strip()
        if not 0 < len(name) <= 100:
            raise bad_input("Say in 1 to 100 characters what the token is for.")
        facts = {"user": person.email, "name": name}
        if options["dry_run"]:
            return Answer(facts, [f"{person.email} would get a token for {name!r}."])
        token = create_token(person, name)
        self.stderr.write("Keep this token secret. It cannot be shown again.")
        return Answer({**facts, "token": token}, [token])
