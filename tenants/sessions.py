"""Sessions of browsers: when one was last used, and how all of them end."""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import timedelta
from importlib import import_module

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.backends.base import UpdateError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.deprecation import MiddlewareMixin

from tenants.models import User

# The list of sessions says when each was last used; this fine is fine enough.
_USE_IS_NOTED_EVERY = timedelta(minutes=5)


class NoteOfUse(MiddlewareMixin):
    """Notes that a session is in use, if the page asked who is there at all."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        # Looking at the session otherwise would make cached pages differ by person.
        key = request.session.session_key if request.session.accessed else None
        if key and request.user.is_authenticated and _is_worth_a_note(key):
            UserSession.objects.create_from_request(request)
        return response


def _is_worth_a_note(session_key: str) -> bool:
    fresh = timezone.now() - _USE_IS_NOTED_EVERY
    return not UserSession.objects.filter(session_key=session_key, last_seen_at__gt=fresh).exists()


def end_all_sessions(user: User) -> None:
    """Sign `user` out everywhere, in browsers nobody remembers too; their sockets close.

    The session of a request that asks for it survives if `update_session_auth_hash` follows.
    """
    user.session_salt = secrets.token_hex(16)
    with transaction.atomic():
        user.save(update_fields=["session_salt"])
        UserSession.objects.filter(user=user).delete()


def keep_sessions(user: User, fingerprint: str) -> None:
    """Let the sessions live on that carry this fingerprint: the password is another hash, no more.

    fingerprint: the user's `get_session_auth_hash` so far.
    """
    store = import_module(settings.SESSION_ENGINE).SessionStore
    for key in UserSession.objects.filter(user=user).values_list("session_key", flat=True):
        session = store(key)
        if constant_time_compare(session.get(HASH_SESSION_KEY, ""), fingerprint):
            session[HASH_SESSION_KEY] = user.get_session_auth_hash()
            with suppress(UpdateError):  # it has just ended
                session.save()
