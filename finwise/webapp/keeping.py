"""How long browsers keep the files of the app."""

from __future__ import annotations

import re
from collections.abc import MutableMapping

NAMED_BY_CONTENT = re.compile(r"^/static/app/.+-[\w-]{8}\.\w+$")
FOR_EVER = f"max-age={365 * 24 * 3600}, public, immutable"


def keep_for_ever(headers: MutableMapping[str, str], path: str, url: str) -> None:
    """A built file's name holds a digest of its content: another content has another name."""
    if NAMED_BY_CONTENT.match(url):
        headers["Cache-Control"] = FOR_EVER
