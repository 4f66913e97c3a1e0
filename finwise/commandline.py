"""What `manage.py` does: Django's command line, with a database behind it."""

import os

# These commands never talk to the database, so none is started for them.
WITHOUT_DATABASE = {"help", "version", "--help", "--version", "-h", "check", "diffsettings",
                    "collectstatic", "findstatic", "makemessages", "compilemessages",
                    "startapp", "startproject", "testserver", "sendtestemail"}  # fmt: skip


def main(arguments: list[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "finwise.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(arguments)
    return 0
