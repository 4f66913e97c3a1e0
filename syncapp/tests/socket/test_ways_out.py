"""S13-S15: every way in which access ends closes the sockets that rest on it, and no others.

Within a second, because PostgreSQL tells every process; within a heartbeat, when it cannot.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.core import mail
from django.core.cache import cache
from django.test import Client

from syncapp import listening
from syncapp.core import messages
from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.server import ServerThread
from syncapp.tests.socket.test_live import _unreachable, wait_until_listening
from syncapp.tests.socket.test_rights import browse
from tenants.memberships import delete_person
from tenants.models import Token, User

PASSWORD = "correct horse battery"
SIGNED_OUT = {("sign_in", 4401)}
NOT_YOURS = {("not_yours", 4403)}

Here, There = Client, Client
Act = Callable[[Client, Client, User, Household], None]


def sign_in(user: User) -> Client:
    client = Client()
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    return client


def sign_out(here: Here, there: There, user: User, household: Household) -> None:
    there.post("/accounts/logout/")


def change_password(here: Here, there: There, user: User, household: Household) -> None:
    new = "another pass phrase"
    data = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert here.post("/accounts/password/change/", data).status_code == 302


def reset_password(here: Here, there: There, user: User, household: Household) -> None:
    """By the link in a mail, in a browser that nobody has signed in with."""
    mail.outbox.clear()
    stranger = Client()
    stranger.post("/accounts/password/reset/", {"email": user.email})
    (link,) = re.findall(r"https?://[^/]+(/accounts/password/reset/key/\S+)", mail.outbox[0].body)
    form = stranger.get(link).headers["Location"]  # the key moves into the session
    new = "another pass phrase"
    assert stranger.post(form, {"password1": new, "password2": new}).status_code == 302


def disable(here: Here, there: There, user: User, household: Household) -> None:
    user.is_active = False
    user.save()


def vanish(here: Here, there: There, user: User, household: Household) -> None:
    delete_person(user)


def end_session(here: Here, there: There, user: User, household: Household) -> None:
    session = UserSession.objects.get(session_key=there.session.session_key)
    assert here.post(f"/accounts/sessions/{session.pk}/end/").status_code == 302


def sign_out_everywhere(here: Here, there: There, user: User, household: Household) -> None:
    here.post("/accounts/sessions/end-others/")


def and_revoke_tokens(here: Here, there: There, user: User, household: Household) -> None:
    here.post("/accounts/sessions/end-others/", {"tokens": "1"})


def revoke_token(here: Here, there: There, user: User, household: Household) -> None:
    here.post(f"/accounts/tokens/{Token.objects.get(user=user).pk}/revoke/")


def leave(here: Here, there: There, user: User, household: Household) -> None:
    here.post(f"/accounts/households/{household.id}/leave/")


# What ends, and what the person's socket in another browser and the one with a token then hear:
# how they are closed, or None for those that stay.
WAYS: list[tuple[Act, set[tuple[str, int]] | None, set[tuple[str, int]] | None]] = [
    (sign_out, SIGNED_OUT, None),
    (change_password, SIGNED_OUT, SIGNED_OUT),
    (reset_password, SIGNED_OUT, SIGNED_OUT),
    (disable, SIGNED_OUT, SIGNED_OUT),
    # Out of the household and out of the house at once: whichever is looked at first.
    (vanish, SIGNED_OUT | NOT_YOURS, SIGNED_OUT | NOT_YOURS),
    (end_session, SIGNED_OUT, None),
    (sign_out_everywhere, SIGNED_OUT, None),
    (and_revoke_tokens, SIGNED_OUT, SIGNED_OUT),
    (revoke_token, None, SIGNED_OUT),
    (leave, NOT_YOURS, NOT_YOURS),
]


@pytest.fixture(params=WAYS, ids=lambda way: way[0].__name__)
def way(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def act(
    household: Household,
    new_member: Callable[[Household, str], User],
    new_phone: Callable[..., Phone],
    server: ServerThread,
    settings: Any,
) -> Callable[..., None]:
    """Lets a member's access end, and returns when the last socket that has to close has closed."""

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick

    def run(way: Any, *, is_told: bool) -> None:
        cache.clear()
        ends, in_browser, with_token = way
        user = new_member(household, "editor")
        user.set_password(PASSWORD)
        user.save()
        bystander = new_phone().online()
        app = new_phone(user).online()
        here, there = sign_in(user), sign_in(user)
        browser = browse(there, new_phone(user), server)
        if is_told:
            wait_until_listening(server)
        else:
            assert server.hub().listener.pid is None
        ends(here, there, user, household)
        stay, closed = [bystander], []
        for phone, how in ((browser, in_browser), (app, with_token)):
            (stay if how is None else closed).append(phone)
            if how is not None:
                assert phone.refused() in how
        for phone in stay:
            phone.ping()
        assert closed

    return run


def test_its_sockets_close_at_once(
    way: Any, act: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "HEARTBEAT_S", 3600)  # so it was no heartbeat
    act(way, is_told=True)


def test_when_nothing_is_told_a_heartbeat_closes_them(
    way: Any, act: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert messages.HEARTBEAT_S <= 60
    monkeypatch.setattr(messages, "HEARTBEAT_S", 0.2)
    monkeypatch.setattr(listening, "_parameters", _unreachable)
    act(way, is_told=False)
