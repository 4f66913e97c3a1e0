"""Where a server's socket is, from whatever a person types."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from .errors import DeviceError

_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
_SOCKET_PATH = re.compile(r"(?P<prefix>.*)/ws/sync/(?P<household>[^/]+)/?\Z")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class BadAddress(DeviceError):
    code = "address"


class Address(NamedTuple):
    """base: scheme, host and port, with the path before /ws/ if there is one.

    household: if a whole socket address was typed.
    """

    base: str
    household: str | None

    def socket_url(self, household: str) -> str:
        return f"{self.base}/ws/sync/{household}/"

    @property
    def is_on_this_machine(self) -> bool:
        return (urlsplit(self.base).hostname or "") in _LOOPBACK


def parse_address(text: str) -> Address:
    """ws://host:8000, http://host:8000, host:8000 or a whole socket address.

    Raises BadAddress.
    """
    text = text.strip()
    if "://" not in text:
        text = f"ws://{text}"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # the port is checked when it is read
    except ValueError:
        raise BadAddress(f"{text} is no address.") from None
    scheme = _SCHEMES.get(parts.scheme.lower())
    if scheme is None or not host:
        raise BadAddress(f"{text} is no address of a server; write it like ws://127.0.0.1:8000.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise BadAddress(
            "An address has no token, user or question mark in it: logs would keep them."
            " Give the token with --token or in FINWISE_TOKEN."
        )
    path, household = parts.path.rstrip("/"), None
    match = _SOCKET_PATH.match(path)
    if match is not None:
        path, household = match["prefix"], check_household(match["household"])
    return Address(f"{scheme}://{parts.netloc}{path}", household)


def check_household(text: str) -> str:
    """The UUID of a household in its one spelling. Raises BadAddress."""
    household = text.strip().lower()
    if not _UUID.match(household):
        raise BadAddress(f"{text} is not the UUID of a household.")
    return household
