"""What the FinWise 0.4 app asks for over HTTP, and who gets it."""

from __future__ import annotations

import json
import secrets
import uuid
from datetime import datetime

import bcrypt
import pytest
from django.conf import settings as project_settings
from django.core import mail
from django.core.cache import cache
from django.test import Client

from tenants.browsers import browser_of
from tenants.hashers import ImportedBcrypt, imported
from tenants.memberships import set_role
from tenants.models import Membership, Tenant, User

PASSWORD = "ein geheimes Wort"
ORIGIN = "http://testserver"


@pytest.fixture(autouse=True)
def enabled(settings, django_db_setup, django_db_blocker):
    settings.FINWISE04_ENABLED = True
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.MD5PasswordHasher",
        "tenants.hashers.ImportedBcrypt",
    ]
    cache.clear()
    with django_db_blocker.unblock():
        yield


class Browser:
    """A browser with the app in it: enforces CSRF, as a real server does."""

    def __init__(self) -> None:
        self.client = Client(enforce_csrf_checks=True)

    def ask(self, method, path, body=None, **headers):
        sent = {"origin": ORIGIN} if method != "GET" else {}
        sent |= headers
        response = self.client.generic(
            method,
            path,
            b"" if body is None else json.dumps(body),
            content_type=sent.pop("content_type", "application/json"),
            headers={name: value for name, value in sent.items() if value is not None},
        )
        return response.status_code, response.json() if response.content else None

    def register(self, **changes):
        body = {"name": "Anna", "email": new_email(), "password": PASSWORD}
        return self.ask("POST", "/register", body | changes)

    def log_in(self, who, password=PASSWORD):
        return self.ask("POST", "/login", {"username_or_email": who, "password": password})

    @property
    def is_signed_in(self):
        return self.ask("GET", "/users")[1] != []


@pytest.fixture
def browser():
    return Browser()


def new_email():
    return f"{secrets.token_hex(6)}@example.org"


def bcrypt_of(password, cost=4, prefix=b"2b"):
    return bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(cost, prefix=b"2b")).decode()


def born_offline(password=PASSWORD, **changes):
    body = {"uuid": str(uuid.uuid4()), "name": "Ben", "email": new_email()}
    return body | {"hashed_password": bcrypt_of(password)} | changes


# --- signing up -----------------------------------------------------------------------------


def test_who_registers_is_signed_in_and_gets_their_times_in_utc(browser):
    status, person = browser.register(email="Anna.Berg@Example.ORG")
    User.objects.get(pk=person["uuid"]).delete()
    assert status == 201
    assert set(person) == {"uuid", "name", "email", "createdAt", "updatedAt"}
    assert (person["name"], person["email"]) == ("Anna", "anna.berg@example.org")
    assert person["createdAt"].endswith("Z")
    assert datetime.fromisoformat(person["createdAt"])


def test_an_address_is_taken_once(browser):
    email = new_email()
    assert browser.register(email=email)[0] == 201
    status, answer = Browser().register(email=email.upper())
    assert status == 400
    assert "detail" in answer


@pytest.mark.parametrize(
    "changes",
    [
        {"email": "keine Adresse"},
        {"email": None},
        {"email": "a" * 300 + "@example.org"},
        {"password": ""},
        {"password": None},
        {"password": "x" * 5000},
        {"name": None},
    ],
)
def test_what_cannot_be_registered_is_refused(browser, changes):
    assert browser.register(**changes)[0] == 422
    assert not browser.is_signed_in


FAMILY = "Anna \U0001f468\u200d\U0001f469\u200d\U0001f467"
PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
NAMES = {
    "family": (FAMILY, FAMILY),
    "persian": (PERSIAN, PERSIAN),
    "soft hyphen": ("Anne\u00adliese", "Anneliese"),
    "unbreakable space": ("Anna\u00a0Berg", "Anna Berg"),
    "lines and tabs": (" Anna\r\n\tBerg ", "Anna Berg"),
    "turned around": ("Anna\u202egreB", "AnnagreB"),
    "NUL": ("An\x00na", "Anna"),
    "half an emoji": ("Anna\ud83d", "Anna"),
    "decomposed": ("Jo\u0308rg", "J\u00f6rg"),
    "long": ("x" * 300, "x" * 150),
    "cut before a joiner": ("x" * 149 + "\u200d\U0001f469", "x" * 149),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_put_right_rather_than_refused(browser, name):
    typed, kept = NAMES[name]
    status, person = browser.register(name=typed)
    assert (status, person["name"]) == (201, kept)
    born = born_offline(name=typed)
    assert browser.ask("POST", "/users", born)[1]["name"] == kept
    household = {"uuid": str(uuid.uuid4()), "name": typed, "user_id": person["uuid"]}
    status, made = browser.ask("POST", "/tenants", household)
    assert status == 200
    assert made["name"] == (typed[:200] if name == "long" else kept if len(kept) < 149 else typed)


def test_one_signs_in_by_the_name_that_one_has_typed(browser):
    typed = f"Anne\u00adliese \u00a0{secrets.token_hex(4)}"
    _, person = browser.register(name=typed)
    assert Browser().log_in(typed.lower())[1]["uuid"] == person["uuid"]


def test_who_has_no_name_is_called_by_their_address_and_a_household_by_what_it_is(browser):
    _, person = browser.register(name="\u200d \u00ad")
    assert person["name"] == person["email"]
    body = {"uuid": str(uuid.uuid4()), "name": "\u200b", "user_id": person["uuid"]}
    assert browser.ask("POST", "/tenants", body)[1]["name"] == "Haushalt"


def test_a_refusal_is_said_where_the_app_shows_it(browser):
    email = new_email()
    browser.register(email=email)
    status, answer = Browser().register(email=email)
    assert status == 400
    assert answer["detail"] == "Diese E-Mail-Adresse ist schon vergeben."
    assert answer["message"] == f"{answer['detail']} (API request failed with status 400)"


def test_a_wrong_password_is_told_by_its_status_alone_which_the_app_knows(browser):
    _, person = browser.register()
    status, answer = Browser().log_in(person["email"], "falsch")
    assert (status, set(answer)) == (401, {"detail"})


def test_a_new_person_is_asked_to_confirm_their_address(browser):
    _, person = browser.register()
    assert [message.to for message in mail.outbox] == [[person["email"]]]
    assert User.objects.get(pk=person["uuid"]).email_verified is False


def test_nobody_signs_up_where_sign_up_is_closed(browser, settings):
    settings.ACCOUNT_IS_OPEN = False
    assert browser.register()[0] == 403
    assert browser.ask("POST", "/users", born_offline())[0] == 403


def test_signing_up_too_often_is_slowed_down(browser):
    statuses = [Browser().register()[0] for _ in range(25)]
    assert 201 in statuses
    assert statuses[-1] == 429


# --- signing in -----------------------------------------------------------------------------


def test_one_signs_in_by_address_or_by_a_name_that_is_nobody_elses(browser):
    name = f"Anna{secrets.token_hex(4)}"
    _, person = browser.register(name=name)
    for who in (person["email"], name.lower()):
        other = Browser()
        status, found = other.log_in(who)
        assert (status, found["uuid"]) == (200, person["uuid"])
        assert other.is_signed_in
    assert Browser().log_in(name.lower(), "falsch")[0] == 401
    assert Browser().log_in("niemand")[0] == 401
    Browser().register(name=name.upper())  # with the same password, too
    assert Browser().log_in(name.lower())[0] == 401


def test_a_wrong_password_signs_nobody_in_and_is_slowed_down(browser):
    _, person = browser.register()
    stranger = Browser()
    statuses = [stranger.log_in(person["email"], "falsch")[0] for _ in range(12)]
    assert statuses[0] == 401
    assert 429 in statuses
    assert not stranger.is_signed_in


def test_a_second_factor_is_not_walked_around(browser):
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    _, person = browser.register()
    TOTP.activate(User.objects.get(pk=person["uuid"]), generate_totp_secret())
    other = Browser()
    assert other.log_in(person["email"])[0] == 401
    assert not other.is_signed_in


def test_somebody_who_was_disabled_is_nobody(browser):
    _, person = browser.register()
    User.objects.filter(pk=person["uuid"]).update(is_active=False)
    assert Browser().log_in(person["email"])[0] == 401
    assert not browser.is_signed_in


# --- people born offline --------------------------------------------------------------------


def test_the_hash_that_the_app_made_signs_up_once_and_is_hashed_anew_at_the_first_sign_in(browser):
    body = born_offline()
    status, person = browser.ask("POST", "/users", body)
    assert (status, person["uuid"]) == (200, body["uuid"])
    assert browser.is_signed_in
    assert User.objects.get(pk=body["uuid"]).password == f"bcrypt${body['hashed_password']}"
    assert Browser().log_in(body["email"], "falsch")[0] == 401
    assert Browser().log_in(body["email"])[0] == 200
    assert User.objects.get(pk=body["uuid"]).password.startswith("md5$")
    assert Browser().log_in(body["email"])[0] == 200


def test_whoever_sends_it_again_is_nobody_and_changes_nothing(browser):
    body = born_offline()
    browser.ask("POST", "/users", body)
    stranger = Browser()
    again = body | {"name": "Mallory", "hashed_password": bcrypt_of("meins")}
    assert stranger.ask("POST", "/users", again)[0] == 401
    assert stranger.ask("POST", "/users", body)[0] == 401
    assert not stranger.is_signed_in
    stranger.register()
    assert stranger.ask("POST", "/users", again)[0] == 403
    assert stranger.ask("PUT", f"/users/{body['uuid']}", again)[0] == 404
    person = User.objects.get(pk=body["uuid"])
    assert person.display_name == "Ben"
    assert Browser().log_in(body["email"])[0] == 200


def test_a_person_changes_their_own_name_and_no_address(browser):
    body = born_offline()
    browser.ask("POST", "/users", body)
    change = {"name": "Benjamin", "email": body["email"]}
    assert browser.ask("PUT", f"/users/{body['uuid']}", change)[1]["name"] == "Benjamin"
    assert browser.ask("POST", "/users", body)[1]["name"] == "Ben"
    change["email"] = new_email()
    assert browser.ask("PUT", f"/users/{body['uuid']}", change)[0] == 400
    assert browser.ask("PUT", f"/users/{uuid.uuid4()}", change)[0] == 404
    assert User.objects.get(pk=body["uuid"]).email == body["email"]


@pytest.mark.parametrize(
    "hashed",
    [None, "", PASSWORD, "$2b$13$" + "a" * 53, "$2b$03$" + "a" * 53, "$2b$09$" + "a" * 52,
     "$2b$09$" + "a" * 53 + "\n", "$2x$09$" + "a" * 53, "$2b$9$" + "a" * 54, 7, "!"],
)  # fmt: skip
def test_only_a_well_formed_hash_that_is_cheap_to_check_is_taken(browser, hashed):
    assert browser.ask("POST", "/users", born_offline(hashed_password=hashed))[0] == 422
    assert not browser.is_signed_in


def test_the_address_of_somebody_else_is_taken_for_people_born_offline_too(browser):
    _, person = browser.register()
    status, _ = Browser().ask("POST", "/users", born_offline(email=person["email"]))
    assert status == 400


def test_a_sign_in_elsewhere_leaves_who_was_born_offline_signed_in(browser):
    body = born_offline()
    browser.ask("POST", "/users", body)
    other = Browser()
    assert other.log_in(body["email"])[0] == 200  # and the password is hashed anew
    assert User.objects.get(pk=body["uuid"]).password.startswith("md5$")
    assert browser.is_signed_in
    assert other.is_signed_in


def test_of_two_people_born_offline_in_one_browser_each_gets_what_is_theirs(browser):
    anna, ben = born_offline(), born_offline(name="Anna")
    for each in (anna, ben):
        assert browser.ask("POST", "/users", each)[0] == 200
    homes = {}
    for each in (ben, anna, ben):
        assert browser.ask("GET", f"/tenants?user_id={each['uuid']}")[0] == 200
        home = homes.setdefault(each["uuid"], str(uuid.uuid4()))
        body = {"uuid": home, "name": "Zuhause", "user_id": each["uuid"]}
        assert browser.ask("POST", "/tenants/", body)[0] == 200
        assert [each["uuid"] for each in browser.ask("GET", "/users")[1]] == [each["uuid"]]
    for person_id, home in homes.items():
        assert Membership.objects.get(tenant=home).user_id == uuid.UUID(person_id)
    # Each start of the app sends those again whom the list of people does not name.
    for each in (anna, ben):
        assert browser.ask("POST", "/users", each)[0] == 200
        change = {"name": "Neu", "email": each["email"]}
        assert browser.ask("PUT", f"/users/{each['uuid']}", change)[1]["name"] == "Neu"


def test_who_is_there_already_does_not_keep_somebody_born_offline_from_what_is_theirs(browser):
    browser.register()
    ben = born_offline()
    browser.ask("POST", "/users", ben)
    body = {"uuid": str(uuid.uuid4()), "name": "Zuhause", "user_id": ben["uuid"]}
    assert browser.ask("POST", "/tenants/", body)[0] == 200
    assert browser.ask("GET", "/users")[1][0]["uuid"] == ben["uuid"]


def test_being_born_somewhere_is_no_key_for_others_and_none_for_long(browser):
    anna, ben = born_offline(), born_offline()
    browser.ask("POST", "/users", anna)
    browser.ask("POST", "/users", ben)
    stranger = Browser()
    stranger.register()
    assert stranger.ask("GET", f"/tenants?user_id={ben['uuid']}")[0] == 404
    # Who proves by mail that the address is theirs takes the account, and the keys are void.
    confirm(ben["email"], Client())
    assert browser.ask("GET", f"/tenants?user_id={ben['uuid']}")[0] == 404
    assert browser.ask("POST", "/users", ben)[0] == 403
    assert browser.ask("GET", "/users")[1][0]["uuid"] == anna["uuid"]
    User.objects.filter(pk=anna["uuid"]).update(is_active=False)
    assert browser.ask("GET", f"/tenants?user_id={anna['uuid']}")[0] == 401


def test_signing_somebody_up_does_not_sign_out_who_is_there(browser):
    _, person = browser.register()
    assert browser.ask("POST", "/users", born_offline())[0] == 200
    assert browser.ask("GET", "/users")[1][0]["uuid"] == person["uuid"]


def test_a_long_password_is_cut_as_the_app_cuts_it(browser):
    long = "ß" * 60
    hasher = ImportedBcrypt()
    assert hasher.verify(long, imported(bcrypt_of(long)))
    assert not hasher.verify(long[1:] + "x" * 50, imported(bcrypt_of(long + "y")[:-1] + "A"))
    assert hasher.verify("\x00", imported(bcrypt_of("x"))) is False


def test_the_list_of_people_tells_of_nobody_else(browser):
    Browser().register()
    assert browser.ask("GET", "/users") == (200, [])
    _, person = browser.register()
    status, people = browser.ask("GET", "/users")
    assert status == 200
    assert [each["uuid"] for each in people] == [person["uuid"]]


# --- whose address it is --------------------------------------------------------------------


def confirm(message_body, client):
    from allauth.account.models import EmailAddress, EmailConfirmationHMAC

    address = EmailAddress.objects.get(email=message_body)
    return client.post(f"/accounts/confirm-email/{EmailConfirmationHMAC(address).key}/")


def test_an_address_that_somebody_else_confirms_takes_the_account_from_who_typed_it(browser):
    _, person = browser.register()
    confirm(person["email"], Client())
    user = User.objects.get(pk=person["uuid"])
    assert user.email_verified
    assert not user.has_usable_password()
    assert not browser.is_signed_in
    assert Browser().log_in(person["email"])[0] == 401


def test_an_address_that_its_own_browser_confirms_changes_nothing_else(browser):
    _, person = browser.register()
    browser.client.handler.enforce_csrf_checks = False
    confirm(person["email"], browser.client)
    assert User.objects.get(pk=person["uuid"]).email_verified
    assert browser.is_signed_in
    assert Browser().log_in(person["email"])[0] == 200


def test_in_production_a_household_waits_for_the_confirmed_address(browser, settings):
    settings.TENANT_NEEDS_VERIFIED_EMAIL = True
    _, person = browser.register()
    body = {"uuid": str(uuid.uuid4()), "name": "Zuhause", "user_id": person["uuid"]}
    assert browser.ask("POST", "/tenants/", body)[0] == 403
    user = User.objects.get(pk=person["uuid"])
    user.email_verified = True
    user.save(update_fields=["email_verified"])
    assert browser.ask("POST", "/tenants/", body)[0] == 200


# --- households -----------------------------------------------------------------------------


def test_a_household_is_made_once_however_often_it_is_announced(browser):
    _, person = browser.register()
    body = {"uuid": str(uuid.uuid4()), "name": "Zuhause", "user_id": person["uuid"]}
    for path in ("/tenants/", "/tenants", "/tenants"):
        status, tenant = browser.ask("POST", path, body)
        assert status == 200
        assert set(tenant) == {"uuid", "name", "user_id", "createdAt", "updatedAt"}
        assert (tenant["uuid"], tenant["name"]) == (body["uuid"], "Zuhause")
        assert tenant["updatedAt"].endswith("Z")
    for path in ("/tenants", "/tenants/"):
        status, found = browser.ask("GET", f"{path}?user_id={person['uuid']}")
        assert [each["uuid"] for each in found] == [body["uuid"]]
    assert Tenant.objects.get(pk=body["uuid"]).memberships.get().role == "owner"


def test_a_household_of_somebody_else_stays_theirs(browser):
    _, person = browser.register()
    body = {"uuid": str(uuid.uuid4()), "name": "Zuhause", "user_id": person["uuid"]}
    browser.ask("POST", "/tenants", body)
    other = Browser()
    _, stranger = other.register()
    assert other.ask("POST", "/tenants", body | {"user_id": stranger["uuid"]})[0] == 404
    assert other.ask("POST", "/tenants", body)[0] == 404
    assert other.ask("GET", f"/tenants?user_id={person['uuid']}")[0] == 404
    assert other.ask("GET", f"/tenants?user_id={stranger['uuid']}") == (200, [])
    assert Membership.objects.filter(tenant=body["uuid"]).count() == 1


def test_an_invited_member_has_it_in_their_list(browser):
    _, person = browser.register()
    body = {"uuid": str(uuid.uuid4()), "name": "Zuhause", "user_id": person["uuid"]}
    browser.ask("POST", "/tenants", body)
    other = Browser()
    _, guest = other.register()
    set_role(Tenant.objects.get(pk=body["uuid"]), User.objects.get(pk=guest["uuid"]), "viewer")
    [found] = other.ask("GET", f"/tenants?user_id={guest['uuid']}")[1]
    assert (found["uuid"], found["user_id"]) == (body["uuid"], guest["uuid"])


def test_without_a_session_households_are_nobodys(browser):
    user_id = str(uuid.uuid4())
    body = {"uuid": str(uuid.uuid4()), "name": "Zuhause", "user_id": user_id}
    assert browser.ask("GET", f"/tenants?user_id={user_id}")[0] == 401
    assert browser.ask("POST", "/tenants", body)[0] == 401
    assert not Tenant.objects.filter(pk=body["uuid"]).exists()


@pytest.mark.parametrize(
    "changes",
    [{"uuid": "x"}, {"uuid": None}, {"name": None}, {"name": 7}, {"uuid": "{" + "a" * 34 + "}"}],
)  # fmt: skip
def test_what_is_no_household_is_refused(browser, changes):
    _, person = browser.register()
    body = {"uuid": str(uuid.uuid4()), "name": "Zuhause", "user_id": person["uuid"]}
    assert browser.ask("POST", "/tenants", body | changes)[0] == 422


def test_too_many_households_a_day_are_refused(browser, settings):
    settings.TENANT_CREATIONS_PER_DAY = 1
    _, person = browser.register()
    for status in (200, 429):
        body = {"uuid": str(uuid.uuid4()), "name": "Zuhause", "user_id": person["uuid"]}
        assert browser.ask("POST", "/tenants", body)[0] == status


# --- who may ask at all ---------------------------------------------------------------------

WRITES = [("POST", "/register"), ("POST", "/login"), ("POST", "/users"), ("POST", "/tenants"),
          ("POST", "/tenants/"), ("PUT", f"/users/{uuid.UUID(int=7)}")]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_only_pages_of_ours_may_write_and_only_json(browser, method, path):
    for headers, status in (
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": None}, 403),
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "application/x-www-form-urlencoded"}, 415),
    ):
        assert browser.ask(method, path, {}, **headers)[0] == status
    assert browser.ask(method, path, [])[0] in (401, 422)
    assert browser.ask(method, path, {"x": "y" * 70_000})[0] == 413
    assert browser.ask(method, path, {"x": "y" * 3_000_000})[0] == 413
    assert browser.ask("DELETE", path, {})[0] == 405


def test_pages_of_a_development_server_may_ask_when_they_are_named(browser, settings):
    page = "http://localhost:5173"
    assert browser.ask("POST", "/login", {}, origin=page)[0] == 403
    settings.FINWISE04_ORIGINS = [page]
    assert browser.ask("POST", "/login", {}, origin=page)[0] == 422
    asked = browser.client.options("/register", headers={"origin": page})
    assert asked.status_code == 204
    assert asked["Access-Control-Allow-Origin"] == page
    assert asked["Access-Control-Allow-Headers"] == "content-type"
    assert "Access-Control-Allow-Credentials" not in asked
    other = browser.client.options("/register", headers={"origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in other


def test_the_browser_is_told_apart_by_a_cookie_that_scripts_cannot_read(browser):
    browser.ask("GET", "/users")
    cookie = browser.client.cookies[project_settings.FINWISE04_BROWSER_COOKIE]
    assert len(cookie.value) == 32
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    browser.register()
    browser.log_in("x")
    assert browser.client.cookies[project_settings.FINWISE04_BROWSER_COOKIE].value == cookie.value


def test_answers_side_by_side_give_a_browser_one_name_and_its_socket_has_it_too(browser):
    browser.register()
    name = project_settings.FINWISE04_BROWSER_COOKIE
    session_key = browser.client.cookies[project_settings.SESSION_COOKIE_NAME].value
    given = set()
    for path in ("/users", "/api/v1/websocket/health", "/users"):
        del browser.client.cookies[name]
        browser.ask("GET", path)
        given.add(browser.client.cookies[name].value)
    assert given == {browser_of(None, session_key)}
    assert given == {browser_of(given.copy().pop(), "another")}
    assert browser_of("made up", session_key) in given


def test_each_start_of_the_app_renews_the_session(browser):
    browser.register()
    name = project_settings.SESSION_COOKIE_NAME
    browser.client.cookies[name]["expires"] = ""
    browser.ask("GET", "/users")
    assert browser.client.cookies[name]["expires"]


def test_health_is_told_to_everybody(browser):
    assert browser.ask("GET", "/api/v1/websocket/health") == (200, {"status": "ok"})


def test_nothing_is_there_while_it_is_switched_off(browser, settings):
    settings.FINWISE04_ENABLED = False
    reads = ["/users", "/tenants", "/tenants/", "/tenants?user_id=x", "/api/v1/websocket/health"]
    for method, path in [*WRITES, *(("GET", each) for each in reads), ("OPTIONS", "/register")]:
        assert browser.ask(method, path, {})[0] == 404
        assert browser.ask(method, path, {}, origin="https://evil.example")[0] == 404
    assert project_settings.FINWISE04_BROWSER_COOKIE not in browser.client.cookies
