"""What `manage.py` does: Django's command line, with a database behind it."""

import os
import sys
from collections.abc import Callable

from finwise import places
from finwise.problem import Problem

# These commands never talk to the database, so none is started for them.
WITHOUT_DATABASE = {"help", "version", "check", "diffsettings", "collectstatic", "findstatic",
                    "makemessages", "compilemessages", "startapp", "device"}  # fmt: skip


def main(arguments: list[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "finwise.settings")
    try:
        if needs_database(arguments):
            use_embedded_database()
        from django.core.management import execute_from_command_line

        execute_from_command_line(arguments)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def needs_database(arguments: list[str]) -> bool:
    command = arguments[1] if len(arguments) > 1 else "help"
    asks_for_help = "-h" in arguments or "--help" in arguments
    return not (command.startswith("-") or command in WITHOUT_DATABASE or asks_for_help)


def use_embedded_database() -> None:
    """Without a DATABASE_URL: use the server that runs for script/server, or start one.

    It ends with this process, unless others use it too.
    """
    if os.environ.get("DATABASE_URL"):
        return
    from finwise.postgres import ensure_running

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    os.environ["DATABASE_URL"] = ensure_running(places.state_dir(), tell=rarely(tell))


def rarely(tell: Callable[[str], None]) -> Callable[[str], None]:
    """Starting takes 0.1 s and is not worth a line; making, recovering and stopping are."""
    return lambda text: None if text.startswith("Starting") else tell(text)
