"""What the operator's commands have in common: options, answers, exit codes.

0  done
1  something failed; what was done before stays done
2  the command line, or the file it names, is wrong; nothing was done
3  done, and it found problems
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from tenants.management.asking import bad_input, household_of, plain_errors
from tenants.models import Tenant

FAILED, BAD_INPUT, PROBLEMS_FOUND = 1, 2, 3

Item = TypeVar("Item")


@dataclass
class Answer:
    """What a command has to say, to a program and to a person.

    failed: a sentence for each thing that could not be done; then the exit code is 1.
    problems: what was found to be wrong, in a sentence; then the exit code is 3.
    """

    facts: Any
    lines: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    problems: str = ""


class OperatorCommand(BaseCommand):
    """A command with `--json` and, if it changes something, `--dry-run`.

    A subclass says `add_options` and `work`. What it returns is printed for whoever asked.
    """

    changes_something: ClassVar[bool] = False

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_options(parser)
        parser.add_argument("--json", action="store_true", help="one JSON value, for programs")
        if self.changes_something:
            parser.add_argument(
                "--dry-run", action="store_true", help="say what would happen, and change nothing"
            )

    def add_options(self, parser: CommandParser) -> None:
        """Add what this command needs besides."""

    def work(self, **options: Any) -> Answer:
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        with plain_errors():
            answer = self.work(**options)
        if options["json"]:
            self.stdout.write(json.dumps(answer.facts, indent=2, ensure_ascii=False))
        else:
            for line in answer.lines:
                self.stdout.write(line)
        if answer.failed:
            raise CommandError("\n".join(answer.failed), returncode=FAILED)
        if answer.problems:
            raise CommandError(answer.problems, returncode=PROBLEMS_FOUND)


def add_households(parser: CommandParser, *, may_be_all: bool = True) -> None:
    """Take the household that a command is about; without one (or with --all), every one."""
    parser.add_argument("tenant", nargs="?", metavar="TENANT", help="UUID, schema or name")
    if may_be_all:
        parser.add_argument("--all", action="store_true", help="every household (the default)")


def households(options: dict[str, Any]) -> list[Tenant]:
    """The households that the command line names, oldest first; deleted ones only by name."""
    if options["tenant"]:
        if options.get("all"):
            raise bad_input("Name a household or say --all, not both.")
        return [household_of(options["tenant"])]
    found = Tenant.objects.exclude(status=Tenant.Status.DELETED)
    return list(found.order_by("created_at", "id"))


def progress(items: Iterable[Item], unit: str) -> Iterable[Item]:
    """The items, with a bar on a terminal: a log file needs none."""
    return tqdm(items, unit=f" {unit}", disable=None, leave=False)
