"""Keys that people and programs carry, as a log may show them: not at all.

The link of an invitation, of a confirmation or of a new password opens what it is for to
whoever reads it, and a token opens everything. Addresses get into logs: a page that is not there
is logged by its path. So every line of ours goes through `mask` before it is written.
"""

from __future__ import annotations

import re
from typing import Any

SHOWN = "***"
_SLASHES = r"(?:/|%2F)+"
# What follows is the key, to the end of the path: a reset's may hold a slash. By these words and
# not by whole addresses: a link that a mail program broke leads nowhere, and is logged for it.
_IN_AN_ADDRESS = re.compile(
    rf"""((?:invitations|confirm-email|reset{_SLASHES}key){_SLASHES})[^\s?\#&"'<>\\]+""",
    re.IGNORECASE,
)
# A token of a program, and the end of an invitation's link, wherever they stand.
_BY_ITSELF = re.compile(r"(?:fw_[0-9a-f]{32}_|[0-9a-f]{32}-)[A-Za-z0-9_-]{43}")


def mask(text: str) -> str:
    """Return `text` without the keys in it."""
    return _BY_ITSELF.sub(SHOWN, _IN_AN_ADDRESS.sub(rf"\1{SHOWN}", text))


def mask_line(logger: Any, method: str, line: str) -> str:
    """The last of structlog's processors: it sees the whole line, traceback included."""
    return mask(line)
