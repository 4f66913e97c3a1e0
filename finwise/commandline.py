"""What `manage.py` does: Django's command line, with a database behind it."""

import os
import sys
from collections.abc import Callable

from finwise import places
from finwise.problem import Problem

# These commands never talk to the database, so none is started for them.
WITHOUT_DATABASE = {"help", "version", "check", "diffsettings", "collectstatic", "findstatic",
                    "makemessages", "compilemessages", "startapp", "device",
                    "generate_protocol"}  # fmt: skip
SERVING = {"serve", "runserver"}
TABLES_ARE_BEHIND = (
    "The tables of this database are not there yet, or older than this program. Run "
    "'manage.py migrate' first (script/server does that by itself)."
)


def main(arguments: list[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "finwise.settings")
    try:
        if needs_database(arguments):
            use_embedded_database(is_serving=arguments[1] in SERVING)
        from django.core.management import execute_from_command_line
        from django.db import OperationalError, ProgrammingError

        try:
            execute_from_command_line(arguments)
        except OperationalError as error:
            if "connection failed" not in str(error) and "timeout expired" not in str(error):
                raise
            raise Problem(database_sentence(error)) from error
        except ProgrammingError as error:
            if "migrate" in arguments[1:2] or not tables_are_behind():
                raise
            raise Problem(TABLES_ARE_BEHIND) from error
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    return 0


def needs_database(arguments: list[str]) -> bool:
    command = arguments[1] if len(arguments) > 1 else "help"
    asks_for_help = "-h" in arguments or "--help" in arguments
    return not (command.startswith("-") or command in WITHOUT_DATABASE or asks_for_help)


def use_embedded_database(*, is_serving: bool) -> None:
    """Without a DATABASE_URL: use the server that runs for script/server, or start one.

    It ends with this process, unless others use it too.
    """
    if os.environ.get("DATABASE_URL"):
        return
    from finwise.postgres.lease import hold

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    lease = hold(places.state_dir(), tell=rarely(tell))
    if is_serving:
        lease.keep()
    os.environ["DATABASE_URL"] = lease.url


def database_sentence(error: Exception) -> str:
    """What to do when the database cannot be used at all; never with its password."""
    text = " ".join(str(error).split())
    if "No space left on device" in text or "could not extend file" in text:
        return "The disk is full, so the database cannot work. Free some space and start again."
    return f"The database does not answer. Check DATABASE_URL and that it runs. It said: {text}"


def tables_are_behind() -> bool:
    """Whether there are migrations that this database has not seen."""
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    connection.close()  # what it was doing has failed
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def rarely(tell: Callable[[str], None]) -> Callable[[str], None]:
    """Starting takes 0.1 s and is not worth a line; making, recovering and stopping are."""
    return lambda text: None if text.startswith("Starting") else tell(text)
