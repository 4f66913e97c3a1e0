"""Write a household to a file that any FinWise can read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm

from syncapp.portable import export_household
from tenants import audit
from tenants.management.asking import bad_input, household_of
from tenants.management.operating import Answer, OperatorCommand
from tenants.models import Tenant

STDOUT = "-"


class Command(OperatorCommand):
    help = (
        "Write a household to a file of JSON lines: rows with their stamps, deleted ones too, "
        "members by e-mail address, open conflicts. What a device has not sent yet is not in it."
    )

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", metavar="TENANT", help="UUID, schema or name")
        parser.add_argument("--output", default=STDOUT, metavar="FILE", help="default: stdout")
        parser.add_argument("--force", action="store_true", help="write over an existing file")

    def work(self, *, tenant: str, output: str, force: bool, **options: Any) -> Answer:
        household = household_of(tenant)
        if household.status == Tenant.Status.DELETED:
            raise bad_input(f"{household.name!r} is deleted; there is nothing left of it.")
        if output == STDOUT:
            if options["json"]:
                raise bad_input("--json tells about the file: say --output FILE, too.")
            # Before: what cannot be written down is not read.
            audit.note(audit.Action.EXPORT, household)
            for line in _shown(export_household(household.id)):
                self.stdout.write(line, ending="")
            return Answer(None)
        path = Path(output)
        if path.exists() and not force:
            raise bad_input(f"{path} exists. Say --force to write over it.")
        audit.note(audit.Action.EXPORT, household)
        counts = _write(path, _shown(export_household(household.id)))
        told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        return Answer(
            {"tenant": str(household.id), "file": str(path), "counts": counts},
            [f"{household.name!r} is in {path}: {told or 'nothing'}. Keep it to yourself."],
        )


def _shown(lines: Iterable[str]) -> Iterable[str]:
    return tqdm(lines, unit=" lines", disable=None, leave=False)


def _write(path: Path, lines: Iterable[str]) -> dict[str, int]:
    """Write for the owner's eyes only, and under its name only when it is complete."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    try:
        descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            head = ""
            for line in lines:
                head = head or line
                file.write(line)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise CommandError(f"{path} could not be written: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return json.loads(head)["counts"]
