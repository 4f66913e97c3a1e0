"""By which name a FinWise 0.4 app's browser is told from others, longer than a session lasts."""

from __future__ import annotations

import re
import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

COOKIE_AGE_S = 400 * 24 * 3600  # as long as browsers keep one, and as the app's data lies there
_NAME = re.compile(r"[0-9a-f]{32}\Z")


def browser_of(cookie: str | None, session_key: str) -> str:
    """The name that its cookie tells; without one, that which its next answer brings it."""
    return cookie if cookie and _NAME.match(cookie) else _named_after(session_key)


def remember_browser(request: HttpRequest, response: HttpResponse) -> None:
    """Give this browser a name if it has none.

    With the app's page already, if we serve it. Answers that are given side by side all bring
    the same one, as soon as somebody is signed in.
    """
    if _NAME.match(request.COOKIES.get(settings.FINWISE04_BROWSER_COOKIE, "")):
        return
    key = request.session.session_key
    response.set_cookie(
        settings.FINWISE04_BROWSER_COOKIE,
        _named_after(key) if key else secrets.token_hex(16),
        max_age=COOKIE_AGE_S,
        httponly=True,
        secure=settings.SESSION_COOKIE_SECURE,
        samesite="Lax",
    )


def _named_after(session_key: str) -> str:
    return salted_hmac("tenants.browsers", session_key, algorithm="sha256").hexdigest()[:32]
