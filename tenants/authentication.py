"""Who stands behind a socket: a session cookie from one of our pages, or a bearer token.

What needs no database is decided first, from the headers alone (`claim_of`). The functions
that ask the database are blocking: coroutines call them through `context.run_in_public`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from typing import Any, NamedTuple
from urllib.parse import parse_qsl
from uuid import UUID

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.core.exceptions import ValidationError
from django.http import parse_cookie
from django.http.request import split_domain_port, validate_host
from django.utils.crypto import constant_time_compare

from tenants.models import Membership, Tenant, Token, User
from tenants.origins import is_ours
from tenants.tokens import token_of

Scope = Mapping[str, Any]

# Where a careless client would put its token, and access logs would keep it.
_URL_SECRETS = {"token", "access_token", "authorization", "auth", "key", "sessionid"}


class Reason(StrEnum):
    """Why a socket may not come in, for the log; never with the secret itself."""

    PLAIN_TEXT = "tls: this site is spoken to over TLS only"
    FOREIGN_ORIGIN = "origin: not one of ours"
    SECRET_IN_URL = "url: a token in the query string ends up in access logs"  # noqa: S105
    DOUBLE_HEADER = "header: Origin, Host or Authorization came twice"
    NO_CREDENTIALS = "sign in: no session and no token"
    NOT_SIGNED_IN = "sign in: the session or token is not valid"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A socket that may not come in.

    is_outright: refuse the handshake itself (403). Otherwise accept it, tell the person to
    sign in and close with 4401, because a browser cannot read a refused handshake.
    """

    reason: Reason

    @property
    def is_outright(self) -> bool:
        return self.reason not in (Reason.NO_CREDENTIALS, Reason.NOT_SIGNED_IN)


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person behind a socket, and what the socket's life depends on."""

    user_id: UUID
    email: str
    session_key: str | None = field(default=None, repr=False)
    token_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says about itself, not yet checked: exactly one of the two."""

    session_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


class Standing(NamedTuple):
    """A person's place in a household."""

    role: str
    status: str  # of the household: Tenant.Status


def visitor_of(scope: Scope, also: Sequence[str] = ()) -> Visitor | Refusal:
    """Return who opened this socket, or why nobody may. Blocking.

    also: origins whose pages may open this socket, besides ours.
    """
    claim = claim_of(scope, also)
    if isinstance(claim, Refusal):
        return claim
    if claim.token is not None:
        token = token_of(claim.token)
        if token is None:
            return Refusal(Reason.NOT_SIGNED_IN)
        return Visitor(token.user_id, token.user.email, token_id=token.id)
    user = _user_of_session(claim.session_key or "")
    if user is None:
        return Refusal(Reason.NOT_SIGNED_IN)
    return Visitor(user.id, user.email, session_key=claim.session_key)


def is_still_valid(visitor: Visitor) -> bool:
    """Whether a socket that came in may stay: signed in, active, same password. Blocking."""
    if visitor.token_id is not None:
        return Token.objects.filter(
            pk=visitor.token_id, revoked_at=None, user__is_active=True
        ).exists()
    user = _user_of_session(visitor.session_key or "")
    return user is not None and user.id == visitor.user_id


def standing_of(user_id: UUID, tenant_id: UUID) -> Standing | None:
    """Return the person's place in the household, or None. Blocking, one query.

    None alike for a household that is unknown, deleted, or somebody else's.
    """
    found = (
        Membership.objects.filter(user_id=user_id, tenant_id=tenant_id)
        .exclude(tenant__status=Tenant.Status.DELETED)
        .values_list("role", "tenant__status")
        .first()
    )
    return Standing(*found) if found else None


def role_of(user_id: UUID, tenant_id: UUID) -> str | None:
    """Return the person's role in the household, or None; see `standing_of`."""
    standing = standing_of(user_id, tenant_id)
    return standing.role if standing else None


def claim_of(scope: Scope, also: Sequence[str] = ()) -> Claim | Refusal:
    """Return what the headers of a handshake claim, or why it is refused. Asks no database.

    also: origins whose pages may open this socket, besides ours.
    """
    headers = _headers(scope)
    if any(len(headers.get(name, ())) > 1 for name in ("origin", "host", "authorization")):
        return Refusal(Reason.DOUBLE_HEADER)
    # Pages are redirected; a socket cannot be, and what was sent with it was readable anyway.
    if settings.SECURE_SSL_REDIRECT and not _is_secure(scope, headers):
        return Refusal(Reason.PLAIN_TEXT)
    query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    if any(name.lower() in _URL_SECRETS for name, _ in query):
        return Refusal(Reason.SECRET_IN_URL)
    (origin,) = headers.get("origin", [None])
    if origin is not None and not is_ours(
        origin, (*settings.CSRF_TRUSTED_ORIGINS, *also), own_origin(scope, headers)
    ):
        return Refusal(Reason.FOREIGN_ORIGIN)
    scheme, _, token = headers.get("authorization", [""])[0].partition(" ")
    if scheme.lower() == "bearer":
        return Claim(token=token.strip())  # and cookies are ignored
    # Without an Origin it is no browser, and then a cookie proves nothing.
    cookies = parse_cookie("; ".join(headers.get("cookie", ()))) if origin is not None else {}
    session_key = cookies.get(settings.SESSION_COOKIE_NAME, "")
    if not session_key or not (session_key.isascii() and session_key.isprintable()):
        return Refusal(Reason.NO_CREDENTIALS)  # PostgreSQL would not even look for a NUL
    return Claim(session_key=session_key)


def own_origin(scope: Scope, headers: Mapping[str, list[str]]) -> str | None:
    """Return the origin under which a request came, or None if its Host is not one of ours."""
    (host,) = headers.get("host", [""])
    allowed = settings.ALLOWED_HOSTS
    if settings.DEBUG and not allowed:
        allowed = [".localhost", "127.0.0.1", "[::1]"]  # as Django does
    domain, _ = split_domain_port(host)
    if not domain or not validate_host(domain, allowed):
        return None
    return f"{'https' if _is_secure(scope, headers) else 'http'}://{host}"


def _is_secure(scope: Scope, headers: Mapping[str, list[str]]) -> bool:
    """Whether the visitor came over TLS, by the word of the proxy if there is one."""
    if settings.SECURE_PROXY_SSL_HEADER:
        name, value = settings.SECURE_PROXY_SSL_HEADER
        told = headers.get(name.removeprefix("HTTP_").replace("_", "-").lower(), [""])
        return told[0].split(",")[0].strip() == value
    return scope.get("scheme") in ("wss", "https")


def _headers(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope.get("headers", ()):
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def _user_of_session(session_key: str) -> User | None:
    """Return whose session this is, as django.contrib.auth.get_user does, but only looking.

    That one ends a session that does not fit and renews one under an old secret key; a
    socket could not hand the browser its new cookie.
    """
    session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    if session.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS:
        return None
    try:
        user_id = User._meta.pk.to_python(session[SESSION_KEY])
    except (KeyError, ValidationError):
        return None
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        return None
    kept = session.get(HASH_SESSION_KEY, "")
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return user if any(constant_time_compare(kept, each) for each in hashes) else None
