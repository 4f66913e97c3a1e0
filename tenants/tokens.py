"""Keys with which programs sign in: `fw_<id>_<secret>`. Only a hash of the secret is stored."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import timedelta
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.utils import timezone

from tenants.access import announce
from tenants.models import Token, User

# Recognisable, so that a scanner finds one that was committed somewhere.
_TOKEN = re.compile(r"fw_([0-9a-f]{32})_([A-Za-z0-9_-]{43})", re.ASCII)
_SECRET_BYTES = 32
# A token in constant use is not worth a write for each connection.
_USE_IS_NOTED_EVERY = timedelta(minutes=5)


def create_token(user: User, name: str) -> str:
    """Return a new token for `user`. It cannot be shown again."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    token = Token.objects.create(user=user, name=name, secret_hash=_hash(secret))
    return f"fw_{token.id.hex}_{secret}"


def token_of(text: str) -> Token | None:
    """Return the token that is valid now, or None whatever is wrong with it."""
    parts = _TOKEN.fullmatch(text)
    if parts is None:
        return None
    found = Token.objects.filter(
        pk=UUID(parts[1]), revoked_at__isnull=True, user__is_active=True
    ).select_related("user")
    token = found.first()
    # Compared in constant time; that an id exists tells nothing about its secret.
    if token is None or not hmac.compare_digest(token.secret_hash, _hash(parts[2])):
        return None
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > _USE_IS_NOTED_EVERY:
        Token.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def revoke_token(token: Token) -> None:
    """End a token; its sockets are closed as soon as the processes hear of it."""
    with transaction.atomic():
        Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
        announce(connections[DEFAULT_DB_ALIAS], token.user_id)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
