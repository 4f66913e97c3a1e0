"""Which devices of households a browser is: a cookie that outlives what the browser keeps itself.

A browser may delete the app's database when the disk is short of space, or after a week without a
visit, and all other storage with it; a cookie of the server stays. So the app can tell that it was
a device before, and need not take what is gone for a household that is empty.

The cookie proves nothing to the server: whoever changes it fools his own browser only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse

DEVICES_MAX = 8  # of one browser; the oldest goes
MAX_AGE_S = 400 * 24 * 3600  # longer is cut by browsers
_BETWEEN, _WITHIN = "~", "."


class KnownDevice(NamedTuple):
    user: UUID
    household: UUID
    device: UUID


def known_devices(request: HttpRequest) -> tuple[KnownDevice, ...]:
    """Those that this browser has named, newest first. What is no device is passed over."""
    told = request.COOKIES.get(settings.DEVICES_COOKIE_NAME, "")
    found = (_parsed(part) for part in told.split(_BETWEEN)[:DEVICES_MAX])
    return tuple(each for each in found if each is not None)


def remember_device(request: HttpRequest, response: HttpResponse, new: KnownDevice) -> None:
    """This browser is that device from now on, and no other one of that person and household."""
    others = (each for each in known_devices(request) if each[:2] != new[:2])
    response.set_cookie(
        settings.DEVICES_COOKIE_NAME,
        _written([new, *others][:DEVICES_MAX]),
        max_age=MAX_AGE_S,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )


def _parsed(part: str) -> KnownDevice | None:
    words = part.split(_WITHIN)
    try:
        user, household, device = (UUID(hex=word) for word in words)
    except ValueError:
        return None
    return KnownDevice(user, household, device)


def _written(devices: Iterable[KnownDevice]) -> str:
    return _BETWEEN.join(_WITHIN.join(part.hex for part in each) for each in devices)
