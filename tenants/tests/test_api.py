"""What the app asks over HTTP. No answer is for anybody but the person who asks, or kept."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from uuid import UUID

import pytest
from django.test import Client

from tenants.known_devices import DEVICES_MAX
from tenants.memberships import set_role
from tenants.models import Tenant, User
from tenants.provisioning import delete_household

pytestmark = pytest.mark.usefixtures("database")


def client_of(person: User | None = None, **kwargs: object) -> Client:
    client = Client(**kwargs)
    if person is not None:
        client.force_login(person)
    return client


def post_name(client: Client, household: UUID, body: object, **headers: str):
    return client.post(
        f"/api/households/{household}/name",
        body if isinstance(body, bytes) else json.dumps(body),
        content_type="application/json",
        headers=headers,
    )


# --- session -----------------------------------------------------------------------------


def test_who_is_not_signed_in_is_told_where_to(client: Client) -> None:
    answer = client.get("/api/session")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["user"], told["households"]) == (None, [])
    assert told["signInUrl"] == "/accounts/login/"
    assert told["csrfToken"]


def test_who_is_signed_in_is_told_who_and_with_which_households(
    anna: User, new_person: Callable[..., User], new_household: Callable[..., UUID]
) -> None:
    home = new_household("Home")
    new_household("Somebody else's", owner=new_person("ben"))
    gone = new_household("Gone")
    delete_household(gone)
    told = client_of(anna).get("/api/session").json()
    assert told["user"] == {"id": str(anna.pk), "email": anna.email, "name": ""}
    assert told["households"] == [
        {"id": str(home), "name": "Home", "role": "owner", "status": "ready"}
    ]


def test_no_answer_is_kept(anna: User, home: UUID) -> None:
    client = client_of(anna)
    for path in ("/api/session", f"/api/households/{home}/devices"):
        assert "no-store" in client.get(path).headers["Cache-Control"]
    assert "no-store" in Client().get(f"/api/households/{home}/devices").headers["Cache-Control"]


# --- name --------------------------------------------------------------------------------


def test_an_owner_renames_the_household(anna: User, home: UUID) -> None:
    answer = post_name(client_of(anna), home, {"name": "  Zuhause  "})
    assert (answer.status_code, answer.json()) == (200, {"id": str(home), "name": "Zuhause"})
    assert Tenant.objects.get(pk=home).name == "Zuhause"


@pytest.mark.parametrize("role", ["editor", "viewer"])
def test_other_members_may_not(role: str, new_person: Callable[..., User], home: UUID) -> None:
    ben = new_person("ben")
    set_role(Tenant.objects.get(pk=home), ben, role)
    assert post_name(client_of(ben), home, {"name": "Ben's"}).status_code == 403
    assert Tenant.objects.get(pk=home).name == "Home"


def test_a_household_that_is_unknown_deleted_or_somebody_elses_answers_alike(
    new_person: Callable[..., User], new_household: Callable[..., UUID]
) -> None:
    ben = client_of(new_person("ben"))
    gone = new_household("Gone")
    delete_household(gone)
    answers = {
        (each.status_code, each.content)
        for household in (new_household("Anna's"), gone, uuid.uuid4())
        for each in (post_name(ben, household, {"name": "Mine"}),)
    }
    assert len(answers) == 1
    assert answers.pop()[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"name": "   "},
        {"name": "x" * 121},
        {"name": "a\nb"},
        {"name": 7},
        {"name": None},
        {},
        [],
        "name",
        b"{",
        b'{"name": "\\ud800"}',
        b"[" * 2000,
        b'{"name": "' + b" " * 5000 + b'"}',
    ],
)
def test_what_is_no_name_is_refused_and_changes_nothing(
    body: object, anna: User, home: UUID
) -> None:
    assert post_name(client_of(anna), home, body).status_code == 422
    assert Tenant.objects.get(pk=home).name == "Home"


def test_a_form_of_another_page_is_not_a_rename(anna: User, home: UUID) -> None:
    client = client_of(anna)
    answer = client.post(f"/api/households/{home}/name", {"name": "Theirs"})
    assert answer.status_code == 422
    assert client.get(f"/api/households/{home}/name").status_code == 405
    assert Tenant.objects.get(pk=home).name == "Home"


def test_writing_needs_the_token_of_the_session(anna: User, home: UUID) -> None:
    client = client_of(anna, enforce_csrf_checks=True)
    assert post_name(client, home, {"name": "Theirs"}).status_code == 403
    token = client.get("/api/session").json()["csrfToken"]
    foreign = {"X-CSRFToken": token, "Origin": "https://elsewhere.example"}
    assert post_name(client, home, {"name": "Theirs"}, **foreign).status_code == 403
    assert Tenant.objects.get(pk=home).name == "Home"
    assert post_name(client, home, {"name": "Mine"}, **{"X-CSRFToken": token}).status_code == 200


# --- devices -----------------------------------------------------------------------------


def test_whoever_is_not_signed_in_gets_no_page_but_a_status(home: UUID) -> None:
    answer = Client().get(f"/api/households/{home}/devices")
    assert (answer.status_code, answer.json()["code"]) == (401, "sign_in")
    assert post_name(Client(), home, {"name": "x"}).status_code == 401


def test_strangers_learn_nothing_of_devices(new_person: Callable[..., User], home: UUID) -> None:
    ben = client_of(new_person("ben"))
    theirs = ben.get(f"/api/households/{home}/devices")
    nobodys = ben.get(f"/api/households/{uuid.uuid4()}/devices")
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.content == nobodys.content


def test_a_household_without_devices_has_none(anna: User, home: UUID) -> None:
    answer = client_of(anna).get(f"/api/households/{home}/devices")
    assert (answer.status_code, answer.json()) == (200, [])


# --- which devices a browser is ----------------------------------------------------------


def post_device(client: Client, household: UUID, device: object):
    body = json.dumps({"device": str(device)})
    return client.post(f"/api/households/{household}/device", body, content_type="application/json")


def told_devices(client: Client) -> list[tuple[str, str]]:
    told = client.get("/api/session").json()["devices"]
    return [(each["household"], each["device"]) for each in told]


def test_a_browser_is_told_which_device_it_was_also_after_signing_out(
    anna: User, home: UUID
) -> None:
    client, first, second = client_of(anna), uuid.uuid4(), uuid.uuid4()
    assert told_devices(client) == []
    assert post_device(client, home, first).status_code == 204
    assert post_device(client, home, second).status_code == 204
    client.post("/accounts/logout/")
    assert told_devices(client) == []
    client.force_login(anna)
    assert told_devices(client) == [(str(home), str(second))]


def test_whoever_shares_a_browser_is_not_told_of_the_others_devices(
    anna: User, home: UUID, new_person: Callable[..., User]
) -> None:
    ben = new_person("ben")
    set_role(Tenant.objects.get(pk=home), ben, "editor")
    client, hers, his = client_of(anna), uuid.uuid4(), uuid.uuid4()
    post_device(client, home, hers)
    client.force_login(ben)
    assert told_devices(client) == []
    post_device(client, home, his)
    assert told_devices(client) == [(str(home), str(his))]
    client.force_login(anna)
    assert told_devices(client) == [(str(home), str(hers))]


def test_a_browser_remembers_a_bounded_number_of_devices(
    anna: User, new_household: Callable[..., UUID]
) -> None:
    client = client_of(anna)
    homes = [new_household(f"Home {n}") for n in range(DEVICES_MAX + 1)]
    for household in homes:
        post_device(client, household, uuid.uuid4())
    assert [household for household, _ in told_devices(client)] == [
        str(household) for household in reversed(homes[1:])
    ]


def test_no_script_reads_the_devices_of_a_browser_and_no_other_site_sends_them(
    anna: User, home: UUID
) -> None:
    cookie = post_device(client_of(anna), home, uuid.uuid4()).cookies["finwise_devices"]
    assert cookie["httponly"] and cookie["samesite"] == "Strict" and cookie["path"] == "/"


@pytest.mark.parametrize("text", ["", "x", "~~~", ".".join("abc"), "\u0000", "a" * 5_000])
def test_a_cookie_that_somebody_has_changed_tells_of_no_device(text: str, anna: User) -> None:
    client = client_of(anna)
    client.cookies["finwise_devices"] = text
    assert told_devices(client) == []


@pytest.mark.parametrize("device", ["", "x", "{}", 7])
def test_what_is_no_device_is_not_remembered(device: object, anna: User, home: UUID) -> None:
    answer = post_device(client_of(anna), home, device)
    assert answer.status_code == 422
    assert "finwise_devices" not in answer.cookies


def test_a_device_of_a_household_that_is_not_yours_is_not_remembered(
    home: UUID, new_person: Callable[..., User]
) -> None:
    answer = post_device(client_of(new_person("ben")), home, uuid.uuid4())
    assert answer.status_code == 404
    assert "finwise_devices" not in answer.cookies
