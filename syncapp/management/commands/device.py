"""A device of a household on the command line: works without a network and without a database."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from syncapp.device.command import add_options, run
from syncapp.registry import entities


class Command(BaseCommand):
    help = "Keeps accounts and groups of a household in a file, and syncs with a server."
    requires_system_checks = ()  # a device has no database to check
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        code = run(options, entities(), self.stdout, self.stderr)
        if code:
            sys.exit(code)
