"""Who may open a socket: exactly our pages with a session, or a program with a token."""

import uuid
from collections.abc import Callable
from importlib import import_module
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.conf import settings as django_settings
from django.contrib.auth import login
from django.db import connection
from django.http import HttpRequest
from hypothesis import given
from hypothesis import strategies as st

from tenants.access import ACCESS_CHANNEL
from tenants.authentication import (
    Claim,
    Reason,
    Refusal,
    Standing,
    Visitor,
    claim_of,
    is_still_valid,
    role_of,
    standing_of,
    visitor_of,
)
from tenants.models import Tenant, User
from tenants.provisioning import delete_household
from tenants.tokens import create_token, revoke_token, token_of

HOST = "127.0.0.1:8000"
ORIGIN = f"http://{HOST}"


def scope_of(*headers: tuple[str, str], scheme: str = "ws", query: bytes = b"") -> dict[str, Any]:
    return {
        "type": "websocket",
        "scheme": scheme,
        "path": "/ws/sync/x/",
        "query_string": query,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }


def from_page(session_key: str, origin: str = ORIGIN, host: str = HOST) -> dict[str, Any]:
    cookie = f"{django_settings.SESSION_COOKIE_NAME}={session_key}"
    return scope_of(("host", host), ("origin", origin), ("cookie", cookie))


def sign_in(user: User) -> str:
    request = HttpRequest()
    request.session = import_module(django_settings.SESSION_ENGINE).SessionStore()
    login(request, user)
    request.session.save()
    return str(request.session.session_key)


# --- from the headers alone -------------------------------------------------------------


def test_a_page_of_ours_with_a_session_is_heard(settings: Any) -> None:
    assert claim_of(from_page("abc")) == Claim(session_key="abc")
    settings.CSRF_TRUSTED_ORIGINS = ["https://app.example"]
    assert claim_of(from_page("abc", origin="https://APP.example:443")) == Claim(session_key="abc")


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "file://",
        "https://evil.example",
        f"http://{HOST}@evil.example",
        "https://[::1",
        "http://127.0.0.1:8001",
        "https://127.0.0.1:8000",
        "",
        f"{ORIGIN}.evil.example",
    ],
)
def test_any_other_page_is_refused_outright(origin: str) -> None:
    """S02, S03, S04"""
    answer = claim_of(from_page("abc", origin=origin))
    assert answer == Refusal(Reason.FOREIGN_ORIGIN)
    assert answer.is_outright


def test_same_origin_counts_only_under_a_host_of_ours() -> None:
    """S11: a rebound name points to us, but is not ours."""
    answer = claim_of(from_page("abc", origin="http://rebound.example", host="rebound.example"))
    assert answer == Refusal(Reason.FOREIGN_ORIGIN)


def test_behind_a_proxy_the_scheme_is_the_one_it_tells(settings: Any) -> None:
    headers = [("host", "localhost"), ("origin", "https://localhost"), ("cookie", "sessionid=abc")]
    told = ("x-forwarded-proto", "https")
    assert claim_of(scope_of(*headers, told)) == Refusal(Reason.FOREIGN_ORIGIN)
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert claim_of(scope_of(*headers, told)) == Claim(session_key="abc")
    assert claim_of(scope_of(*headers)) == Refusal(Reason.FOREIGN_ORIGIN)


def test_over_tls_our_page_is_an_https_page() -> None:
    headers = [("host", "localhost"), ("origin", "https://localhost"), ("cookie", "sessionid=abc")]
    assert claim_of(scope_of(*headers, scheme="wss")) == Claim(session_key="abc")


@pytest.mark.parametrize("who", ["a page", "a device"])
def test_where_pages_go_to_tls_a_plain_socket_is_refused(settings: Any, who: str) -> None:
    """S06: also for whoever could sign in; what was sent with it has been readable."""
    settings.SECURE_SSL_REDIRECT = True
    shown = [("authorization", "Bearer fw_x")]
    if who == "a page":
        shown = [("origin", "http://localhost"), ("cookie", "sessionid=abc")]
    headers = [("host", "localhost"), *shown]
    answer = claim_of(scope_of(*headers))
    assert answer == Refusal(Reason.PLAIN_TEXT)
    assert answer.is_outright
    if who == "a device":
        assert claim_of(scope_of(*headers, scheme="wss")) == Claim(token="fw_x")
    # Behind a proxy its word counts, and only there.
    told = ("x-forwarded-proto", "https")
    assert claim_of(scope_of(*headers, told)) == Refusal(Reason.PLAIN_TEXT)
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert claim_of(scope_of(*headers, ("x-forwarded-proto", "http"))) == Refusal(Reason.PLAIN_TEXT)
    assert claim_of(scope_of(*headers)) == Refusal(Reason.PLAIN_TEXT)
    if who == "a device":
        assert claim_of(scope_of(*headers, told)) == Claim(token="fw_x")


def test_without_origin_a_cookie_proves_nothing() -> None:
    """S01"""
    assert claim_of(scope_of(("host", HOST), ("cookie", "sessionid=abc"))) == Refusal(
        Reason.NO_CREDENTIALS
    )


def test_without_origin_a_token_is_heard_and_cookies_are_ignored() -> None:
    headers = [("host", HOST), ("authorization", "Bearer fw_x"), ("cookie", "sessionid=abc")]
    assert claim_of(scope_of(*headers)) == Claim(token="fw_x")


def test_a_token_does_not_open_the_door_to_a_foreign_page() -> None:
    headers = [("host", HOST), ("origin", "https://evil.example"), ("authorization", "Bearer x")]
    assert claim_of(scope_of(*headers)) == Refusal(Reason.FOREIGN_ORIGIN)


@pytest.mark.parametrize("query", [b"token=fw_x", b"a=1&Access_Token=", b"sessionid=x", b"key=%00"])
def test_a_secret_in_the_url_is_refused(query: bytes) -> None:
    """S07"""
    headers = [("host", HOST), ("authorization", "Bearer fw_x")]
    answer = claim_of(scope_of(*headers, query=query))
    assert answer == Refusal(Reason.SECRET_IN_URL)
    assert answer.is_outright


@pytest.mark.parametrize("name", ["Origin", "host", "Authorization"])
def test_a_header_that_came_twice_is_refused(name: str) -> None:
    """S10"""
    headers = [("host", HOST), ("origin", ORIGIN), ("authorization", "Bearer fw_x")]
    assert claim_of(scope_of(*headers, (name, ORIGIN))) == Refusal(Reason.DOUBLE_HEADER)


def test_who_has_nothing_to_show_is_let_in_to_be_told() -> None:
    """S08"""
    for scope in (scope_of(), scope_of(("host", HOST), ("origin", ORIGIN))):
        answer = claim_of(scope)
        assert answer == Refusal(Reason.NO_CREDENTIALS)
        assert not answer.is_outright


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["origin", "host", "authorization", "cookie", "x"]),
            st.binary(max_size=40) | st.sampled_from([b"http://[::1", b"Bearer ", b"sessionid="]),
        ),
        max_size=6,
    ),
    st.binary(max_size=40),
)
def test_no_handshake_makes_it_raise(headers: list[tuple[str, bytes]], query: bytes) -> None:
    """S04: 403 or 4401, never 500."""
    scope = scope_of(query=query) | {"headers": [(n.encode(), value) for n, value in headers]}
    assert isinstance(claim_of(scope), Claim | Refusal)


def test_no_secret_is_shown_where_a_visitor_is_logged() -> None:
    """S07"""
    visitor = Visitor(uuid.uuid4(), "anna@example.org", session_key="SECRET")
    assert "SECRET" not in f"{visitor!r} {Claim(session_key='SECRET')!r} {Claim(token='SECRET')!r}"


# --- with the database ------------------------------------------------------------------


def test_a_session_is_its_person(anna: User) -> None:
    session_key = sign_in(anna)
    visitor = visitor_of(from_page(session_key))
    assert visitor == Visitor(anna.id, anna.email, session_key=session_key)
    assert is_still_valid(visitor)


def test_a_token_is_its_person(anna: User) -> None:
    text = create_token(anna, "importer")
    token = token_of(text)
    assert token is not None
    visitor = visitor_of(scope_of(("authorization", f"bearer {text}")))
    assert visitor == Visitor(anna.id, anna.email, token_id=token.id)
    assert is_still_valid(visitor)
    revoke_token(token)
    assert not is_still_valid(visitor)
    assert visitor_of(scope_of(("authorization", f"Bearer {text}"))) == Refusal(
        Reason.NOT_SIGNED_IN
    )


@pytest.mark.parametrize("session_key", ["", "x", "a" * 32, "\x00" * 32, "a" * 400, "ä" * 32])
def test_an_unknown_session_is_nobody(database: None, session_key: str) -> None:
    answer = visitor_of(from_page(session_key))
    assert isinstance(answer, Refusal)
    assert not answer.is_outright


def sign_out(user: User, session_key: str) -> None:
    import_module(django_settings.SESSION_ENGINE).SessionStore(session_key).flush()


def change_password(user: User, session_key: str) -> None:
    user.set_password("another horse")
    user.save()


def disable(user: User, session_key: str) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


@pytest.mark.parametrize("end", [sign_out, change_password, disable])
def test_a_session_ends_with_everything_that_ends_it(
    anna: User, end: Callable[[User, str], None]
) -> None:
    """S13, S14"""
    session_key = sign_in(anna)
    visitor = visitor_of(from_page(session_key))
    assert isinstance(visitor, Visitor)
    end(anna, session_key)
    assert not is_still_valid(visitor)
    assert visitor_of(from_page(session_key)) == Refusal(Reason.NOT_SIGNED_IN)


def test_looking_at_a_session_does_not_change_it(anna: User, settings: Any) -> None:
    """A session under an old secret key goes on; Django's own look would give it a new key."""
    session_key = sign_in(anna)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key, of today"
    store = import_module(django_settings.SESSION_ENGINE).SessionStore(session_key)
    before = store.load()
    assert isinstance(visitor_of(from_page(session_key)), Visitor)
    assert store.load() == before


def test_a_session_of_a_removed_backend_is_nobody(anna: User, settings: Any) -> None:
    session_key = sign_in(anna)
    settings.AUTHENTICATION_BACKENDS = ["another.Backend"]
    assert visitor_of(from_page(session_key)) == Refusal(Reason.NOT_SIGNED_IN)


def test_every_process_hears_of_the_end_of_a_session(anna: User) -> None:
    """S13"""
    session_key = sign_in(anna)
    parameters = connection.get_connection_params() | {"autocommit": True}
    with psycopg.connect(**parameters) as listener:
        listener.execute(f"LISTEN {ACCESS_CHANNEL}")
        sign_out(anna, session_key)
        listener.execute("SELECT 1")
        assert [each.payload for each in listener.notifies(timeout=0)] == [str(anna.id)]


# --- in a household ---------------------------------------------------------------------


def test_unknown_deleted_and_foreign_households_answer_alike(
    home: UUID, anna: User, new_person: Callable[..., User], django_assert_num_queries: Any
) -> None:
    """S12, L07"""
    bert = new_person("bert")
    with django_assert_num_queries(1):
        assert standing_of(anna.id, home) == Standing("owner", "ready")
    with django_assert_num_queries(1):
        assert role_of(bert.id, home) is None
    with django_assert_num_queries(1):
        assert role_of(anna.id, uuid.uuid4()) is None
    delete_household(home)
    with django_assert_num_queries(1):
        assert role_of(anna.id, home) is None


def test_a_household_in_maintenance_says_so(home: UUID, anna: User) -> None:
    """M06"""
    Tenant.objects.filter(pk=home).update(status=Tenant.Status.MAINTENANCE)
    assert standing_of(anna.id, home) == Standing("owner", "maintenance")
