"""The pages that need no front end: sign in, sign out, a sign of life."""

import pytest
from django.test import Client

from tenants.models import User

pytestmark = pytest.mark.django_db

PASSWORD = "a pass phrase of mine"


@pytest.fixture
def anna() -> User:
    return User.objects.create_user("anna@example.org", PASSWORD, display_name="Anna")


def test_signing_in_speaks_the_browsers_language(client: Client) -> None:
    answer = client.get("/sign-in/", headers={"accept-language": "de-AT,de;q=0.8"})
    assert "Anmelden" in answer.text
    assert '<html lang="de">' in answer.text


def test_signing_in_leads_to_the_app(client: Client, anna: User) -> None:
    answer = client.post("/sign-in/", {"username": "Anna@Example.org", "password": PASSWORD})
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/"


def test_a_wrong_password_is_told_without_saying_which_was_wrong(
    client: Client, anna: User
) -> None:
    wrong = client.post("/sign-in/", {"username": anna.email, "password": "wrong"})
    nobody = client.post("/sign-in/", {"username": "x@example.org", "password": "wrong"})
    assert "do not belong together" in wrong.text
    assert "do not belong together" in nobody.text


def test_pages_allow_nothing_inline_and_are_not_stored(client: Client) -> None:
    answer = client.get("/sign-in/")
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "no-store" in answer.headers["Cache-Control"]
    assert "style=" not in answer.text
    assert "<script" not in answer.text


def test_signing_out_needs_a_post(client: Client, anna: User) -> None:
    client.force_login(anna)
    assert client.get("/sign-out/").status_code == 405
    assert client.post("/sign-out/").status_code == 302


def test_the_process_says_that_it_lives(client: Client) -> None:
    assert client.get("/health/live").text == "ok\n"
