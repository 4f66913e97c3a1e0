from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from tenants import template


class Command(BaseCommand):
    help = "Prepare the template from which new households are made in milliseconds."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--again", action="store_true", help="even if it is current")

    def handle(self, **options: Any) -> None:
        reason = template.prepare(again=options["again"])
        if reason is None:
            self.stdout.write("The template is current.")
            return
        self.stderr.write(
            f"{reason}\nNew households are made by running every migration instead, which is "
            "slower; nothing else is affected."
        )
