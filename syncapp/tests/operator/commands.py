"""Running a command as an operator does, and reading what it says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import StringIO
from typing import Any

from django.core.management import CommandError, call_command


@dataclass
class Said:
    """out: on stdout. err: on stderr, or the sentence that it ended with. code: its exit code."""

    out: str
    err: str
    code: int

    @property
    def facts(self) -> Any:
        return json.loads(self.out)


def run(command: str, *arguments: str) -> Said:
    out, err = StringIO(), StringIO()
    try:
        call_command(command, *arguments, stdout=out, stderr=err)
    except CommandError as error:
        return Said(out.getvalue(), err.getvalue() + str(error), error.returncode)
    return Said(out.getvalue(), err.getvalue(), 0)
