"""The pages of one's own account: what they show, what they change, and for whom."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.test import Client

from tenants.devices import device_of
from tenants.invitations import invite
from tenants.models import Tenant, Token, User
from tenants.provisioning import delete_household
from tenants.tokens import create_token, token_of

Browse = Callable[..., Client]

PAGES = ("", "sessions/", "tokens/", "email/", "password/set/", "2fa/", "2fa/webauthn/")


@pytest.mark.parametrize("page", PAGES)
def test_a_stranger_is_asked_to_sign_in(browse: Browse, page: str) -> None:
    answer = browse().get(f"/accounts/{page}")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/accounts/login/?next=/accounts/")


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_speaks_both_languages_and_is_kept_by_no_cache(
    browse: Browse, anna: User, page: str, language: str
) -> None:
    answer = browse(anna).get(f"/accounts/{page}", headers={"accept-language": language})
    assert answer.status_code == 200
    assert f'<html lang="{language}">' in answer.text
    assert ("Abmelden" in answer.text) is (language == "de")
    assert "no-store" in answer.headers["Cache-Control"]
    assert "style=" not in answer.text
    scripts = re.findall(r"<script([^>]*)>", answer.text)
    assert all("src=" in each or 'type="application/json"' in each for each in scripts)


def test_one_sees_ones_own_households_and_invitations_only(
    browse: Browse, anna: User, new_person: Callable[..., User], home: UUID, new_household: Any
) -> None:
    bert = new_person("bert")
    theirs = new_household("Somebody else's", bert)
    gone = new_household("Gone")
    delete_household(gone)
    invite(Tenant.objects.get(pk=theirs), "carla@example.org", "editor", bert)
    page = browse(anna).get("/accounts/").text
    assert str(home) in page
    assert str(theirs) not in page
    assert str(gone) not in page
    assert "Invitation to" not in page
    invite(Tenant.objects.get(pk=theirs), anna.email, "editor", bert)
    assert "Invitation to" in browse(anna).get("/accounts/").text


def test_names_are_shown_as_text(browse: Browse, anna: User, home: UUID) -> None:
    """S36"""
    nasty = "<script>alert(1)</script>"
    Tenant.objects.filter(pk=home).update(name=nasty)
    User.objects.filter(pk=anna.pk).update(display_name=nasty)
    create_token(anna, nasty)
    browser = browse(anna)
    browser.get("/accounts/", headers={"user-agent": nasty})
    invite(Tenant.objects.get(pk=home), "bert@example.org", "editor", anna)
    for page in ("", "sessions/", "tokens/", f"households/{home}/", f"households/{home}/leave/"):
        text = browser.get(f"/accounts/{page}").text
        assert "&lt;script&gt;" in text
        assert "<script>" not in text


def test_ones_name_and_language_can_be_changed(browse: Browse, anna: User) -> None:
    browse(anna).post("/accounts/", {"display_name": "Anna W.", "language": "en", "is_staff": "1"})
    anna.refresh_from_db()
    assert (anna.display_name, anna.language, anna.is_staff) == ("Anna W.", "en", False)


# --- sessions


def test_one_sees_where_one_is_signed_in_and_ends_one_of_them(browse: Browse, anna: User) -> None:
    here, there = browse(anna), browse(anna)
    firefox = "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0"
    there.get("/accounts/", headers={"user-agent": firefox})
    here.get("/accounts/")
    page = here.get("/accounts/sessions/").text
    assert "Firefox · Windows" in page
    other = UserSession.objects.get(session_key=there.session.session_key)
    here.post(f"/accounts/sessions/{other.pk}/end/")
    assert there.get("/accounts/").status_code == 302
    assert here.get("/accounts/").status_code == 200


def test_nobody_ends_somebody_elses_session(
    browse: Browse, anna: User, new_person: Callable[..., User]
) -> None:
    there = browse(anna)
    there.get("/accounts/")
    other = UserSession.objects.get(user=anna)
    assert browse(new_person("bert")).post(f"/accounts/sessions/{other.pk}/end/").status_code == 404
    assert there.get("/accounts/").status_code == 200


@pytest.mark.parametrize("with_tokens", [False, True])
def test_signing_out_everywhere_ends_sessions_that_no_list_knows(
    browse: Browse, anna: User, with_tokens: bool
) -> None:
    here, listed, unlisted = browse(anna), browse(anna), browse(anna)
    listed.get("/accounts/")
    token = create_token(anna, "phone")
    old_key = here.session.session_key
    here.post("/accounts/sessions/end-others/", {"tokens": "1"} if with_tokens else {})
    assert here.get("/accounts/").status_code == 200
    assert not Session.objects.filter(pk=old_key).exists()
    for each in (listed, unlisted):
        assert each.get("/accounts/").status_code == 302
    assert (token_of(token) is None) is with_tokens
    assert [each.session_key for each in UserSession.objects.filter(user=anna)] == [
        here.session.session_key
    ]


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
         "Edge · Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
         "Safari · iPhone"),
        ("curl/8.0", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_a_browser_is_told_in_two_words(says: str, told: str) -> None:
    assert device_of(says) == told


# --- tokens


def test_a_token_is_shown_once_and_works(browse: Browse, anna: User) -> None:
    browser = browse(anna)
    page = browser.post("/accounts/tokens/new/", {"name": " Tablet "})
    (secret,) = set(re.findall(r"fw_[0-9a-f]{32}_[\w-]{43}", page.text))
    token = token_of(secret)
    assert token is not None
    assert (token.user, token.name) == (anna, "Tablet")
    assert "no-store" in page.headers["Cache-Control"]
    again = browser.get("/accounts/tokens/").text
    assert "Tablet" in again
    assert "fw_" not in again


def test_a_token_needs_the_password_once_more(browse: Browse, anna: User) -> None:
    browser = browse()
    anna.set_password("correct horse battery")
    anna.save()
    browser.force_login(anna)
    answer = browser.post("/accounts/tokens/new/", {"name": "Tablet"})
    assert answer.headers["Location"].startswith("/accounts/reauthenticate/")
    assert not Token.objects.filter(user=anna).exists()
    page = browser.post(answer.headers["Location"], {"password": "correct horse battery"})
    assert "fw_" in page.text
    assert Token.objects.filter(user=anna).count() == 1


@pytest.mark.parametrize("name", ["", " ", "x" * 101])
def test_a_token_without_a_sensible_name_is_not_made(browse: Browse, anna: User, name: str) -> None:
    page = browse(anna).post("/accounts/tokens/new/", {"name": name})
    assert page.status_code == 200
    assert 'class="error"' in page.text
    assert not Token.objects.filter(user=anna).exists()


def test_one_revokes_ones_own_tokens_only(
    browse: Browse, anna: User, new_person: Callable[..., User]
) -> None:
    secret = create_token(anna, "Tablet")
    token = Token.objects.get(user=anna)
    address = f"/accounts/tokens/{token.pk}/revoke/"
    assert browse(new_person("bert")).post(address).status_code == 404
    assert token_of(secret) is not None
    assert browse(anna).get(address).status_code == 405
    browse(anna).post(address)
    assert token_of(secret) is None
    assert "Tablet" not in browse(anna).get("/accounts/tokens/").text


def test_forms_from_elsewhere_change_nothing(browse: Browse, anna: User) -> None:
    """S45"""
    browser = browse(anna, enforce_csrf_checks=True)
    token = browser.get("/accounts/").context["csrf_token"]
    data = {"display_name": "Eve", "language": "de"}
    foreign = {"origin": "https://evil.example"}
    refused = [
        browser.post("/accounts/", data),
        browser.post("/accounts/", {**data, "csrfmiddlewaretoken": str(token)}, headers=foreign),
        browser.post("/accounts/logout/", headers=foreign),
    ]
    assert [each.status_code for each in refused] == [403] * 3
    assert "Please try again" in refused[0].text
    anna.refresh_from_db()
    assert anna.display_name == ""
    assert SESSION_KEY in browser.session
    ours = {"origin": "http://testserver"}
    done = browser.post("/accounts/", {**data, "csrfmiddlewaretoken": str(token)}, headers=ours)
    assert done.status_code == 302
