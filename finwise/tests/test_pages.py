"""The pages that need no front end: sign in, sign out."""

import re

import pytest
from django.contrib.auth import SESSION_KEY
from django.test import Client

from tenants.models import User

pytestmark = pytest.mark.django_db

PASSWORD = "a pass phrase of mine"


@pytest.fixture
def anna() -> User:
    return User.objects.create_user("anna@example.org", PASSWORD, display_name="Anna")


def test_signing_in_speaks_the_browsers_language(client: Client) -> None:
    answer = client.get("/accounts/login/", headers={"accept-language": "de-AT,de;q=0.8"})
    assert "Anmelden" in answer.text
    assert '<html lang="de">' in answer.text


def test_signing_in_leads_to_the_app(client: Client, anna: User) -> None:
    answer = client.post("/accounts/login/", {"login": "Anna@Example.org", "password": PASSWORD})
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/"


def test_a_wrong_password_is_told_without_saying_which_was_wrong(
    client: Client, anna: User
) -> None:
    wrong = client.post("/accounts/login/", {"login": anna.email, "password": "wrong"})
    nobody = client.post("/accounts/login/", {"login": "x@example.org", "password": "wrong"})
    assert "are not correct" in wrong.text
    assert "are not correct" in nobody.text


def test_pages_allow_nothing_inline_and_are_not_stored(client: Client) -> None:
    answer = client.get("/accounts/login/")
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "no-store" in answer.headers["Cache-Control"]
    assert "style=" not in answer.text
    # Scripts are files of ours; what lies in the page is data, and never runs.
    scripts = re.findall(r"<script([^>]*)>", answer.text)
    assert scripts
    assert all("src=" in each or 'type="application/json"' in each for each in scripts)


def test_signing_out_needs_a_post(client: Client, anna: User) -> None:
    client.force_login(anna)
    assert client.get("/accounts/logout/").status_code == 200
    assert SESSION_KEY in client.session
    assert client.post("/accounts/logout/").status_code == 302
    assert SESSION_KEY not in client.session
