"""Tracebacks for the log: where something failed, without what it failed on.

A database error quotes the row that it refused, and that row holds people's money. Its class,
its SQLSTATE and the name of the constraint say as much to whoever has to mend it. Local
variables are never printed.
"""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any, TextIO

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def print_without_values(stream: TextIO, exc_info: Any) -> None:
    """As structlog's console wants it."""
    stream.write("\n" + text_without_values(exc_info))


def text_without_values(exc_info: ExcInfo) -> str:
    """The traceback of an exception and of those that led to it, oldest first."""
    return "\n".join(_parts(exc_info[1], set()))


def _parts(error: BaseException, seen: set[int]) -> list[str]:
    # Imported here: this is set up while Django's settings are being read.
    from tenants.faults import without_values

    if id(error) in seen:
        return []
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    parts = [] if before is None else [*_parts(before, seen), "which led to:"]
    frames = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    parts += [frames] if frames else []
    parts.append(without_values(error))
    if isinstance(error, BaseExceptionGroup):
        for number, each in enumerate(error.exceptions, 1):
            parts += [f"{number} of {len(error.exceptions)}:", *_parts(each, seen)]
    return parts
