"""Write the AsyncAPI document and the TypeScript types from `core/messages.py`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from syncapp import protocol


class Command(BaseCommand):
    help = "Write the AsyncAPI document and the TypeScript types from syncapp/core/messages.py."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="Write nothing; fail if something is out of date."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["check"]:
            for path in protocol.write():
                self.stdout.write(f"Wrote {path}")
            return
        stale = protocol.stale()
        if stale:
            raise CommandError(
                f"Out of date: {', '.join(stale)}. Run: python manage.py generate_protocol"
            )
        self.stdout.write("The generated documents are up to date.")
