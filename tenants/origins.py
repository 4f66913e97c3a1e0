"""Whether a browser that opens a socket shows one of our own pages. Pure; never raises.

A browser sends cookies along with a socket that any page in the world opens. So the
Origin, which a page cannot forge, must be exactly one of ours.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple

_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9_.-]*[a-z0-9])?)(:(?P<port>[0-9]{1,5}))?",
    re.IGNORECASE | re.ASCII,
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    scheme: str
    host: str
    port: int


def parse_origin(text: str) -> Origin | None:
    """Return what an Origin header names, or None if it is no page of a web site.

    Two spellings of one origin (case, default port, forms of an IPv6 address) are equal
    after this; `null`, `file://`, user info, a path or a wildcard are not origins.
    """
    found = _ORIGIN.fullmatch(text)
    if found is None:
        return None
    scheme = found["scheme"].lower()
    port = int(found["port"]) if found["port"] else _DEFAULT_PORTS[scheme]
    host = _host(found["host"].lower())
    return Origin(scheme, host, port) if host is not None and 0 < port < 65_536 else None


def is_ours(origin: str, allowed: Iterable[str], own: str | None) -> bool:
    """Whether the Origin header names an allowed origin.

    own: the origin under which the request itself came (scheme and Host), or None if its
    Host is not one of ours.
    """
    named = parse_origin(origin)
    if named is None:
        return False
    ours = (parse_origin(text) for text in (*allowed, *([own] if own else ())))
    return any(named == each for each in ours)


def _host(host: str) -> str | None:
    if not host.startswith("["):
        return host
    try:
        return f"[{ipaddress.IPv6Address(host[1:-1])}]"
    except ValueError:
        return None
