"""Sign in, see one's own households, sign out."""

import pytest
from django.test import Client

from tenants.models import Membership, Tenant, User

pytestmark = pytest.mark.django_db

PASSWORD = "a pass phrase of mine"


@pytest.fixture
def anna() -> User:
    return User.objects.create_user("anna@example.org", PASSWORD, display_name="Anna")


@pytest.fixture
def household(anna: User) -> Tenant:
    tenant = Tenant.objects.create(name="Familie Weiß", status=Tenant.Status.READY)
    Membership.objects.create(tenant=tenant, user=anna, role=Membership.Role.OWNER)
    return tenant


def test_a_stranger_is_asked_to_sign_in_in_the_browsers_language(client: Client) -> None:
    answer = client.get("/", follow=True, headers={"accept-language": "de-AT,de;q=0.8"})
    assert answer.redirect_chain == [("/sign-in/?next=/", 302)]
    assert "Anmelden" in answer.text
    assert '<html lang="de">' in answer.text


def test_signing_in_leads_to_ones_own_households_only(client: Client, household: Tenant) -> None:
    other = Tenant.objects.create(name="Somebody else's", status=Tenant.Status.READY)
    answer = client.post(
        "/sign-in/", {"username": "Anna@Example.org", "password": PASSWORD}, follow=True
    )
    assert answer.redirect_chain[-1][0] == "/"
    assert "Familie Weiß" in answer.text
    assert str(household.id) in answer.text
    assert other.name not in answer.text
    assert str(other.id) not in answer.text


def test_a_wrong_password_is_told_without_saying_which_was_wrong(
    client: Client, anna: User
) -> None:
    wrong = client.post("/sign-in/", {"username": anna.email, "password": "wrong"})
    nobody = client.post("/sign-in/", {"username": "x@example.org", "password": "wrong"})
    assert "do not belong together" in wrong.text
    assert "do not belong together" in nobody.text


def test_names_are_shown_as_text(client: Client, household: Tenant, anna: User) -> None:
    Tenant.objects.filter(pk=household.pk).update(name="<script>alert(1)</script>")
    client.force_login(anna)
    assert "<script>" not in client.get("/").text


def test_pages_allow_nothing_inline_and_are_not_stored(client: Client, anna: User) -> None:
    client.force_login(anna)
    answer = client.get("/")
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "no-store" in answer.headers["Cache-Control"]
    assert "style=" not in answer.text
    assert "<script" not in answer.text


def test_signing_out_needs_a_post(client: Client, anna: User) -> None:
    client.force_login(anna)
    assert client.get("/sign-out/").status_code == 405
    assert client.post("/sign-out/").status_code == 302
    assert client.get("/").status_code == 302


def test_a_deleted_household_is_not_listed(client: Client, household: Tenant, anna: User) -> None:
    Tenant.objects.filter(pk=household.pk).update(status=Tenant.Status.DELETED)
    client.force_login(anna)
    assert "You belong to no household yet" in client.get("/").text


def test_the_process_says_that_it_lives(client: Client) -> None:
    assert client.get("/health/live").text == "ok\n"
