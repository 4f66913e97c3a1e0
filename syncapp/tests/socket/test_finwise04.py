"""FinWise 0.4 apps on real sockets, together with devices of our own protocol."""

from __future__ import annotations

import secrets
import uuid

import pytest

from syncapp.tests.socket.browser import App, Browser


@pytest.fixture(autouse=True)
def enabled(settings):
    settings.FINWISE04_ENABLED = True
    settings.ACCOUNT_RATE_LIMITS = False


@pytest.fixture
def new_browser(server):
    return lambda **options: Browser(server.port, **options)


@pytest.fixture
def apps():
    made = []
    yield made
    for app in made:
        app.hang_up()


@pytest.fixture
def new_app(new_browser, apps):
    """Signs somebody up in a fresh browser, with a household of their own."""

    def make(browser=None, tenant_id=None, **options):
        browser = browser or new_browser()
        if not browser.cookies:
            person = browser.register("Anna", f"{secrets.token_hex(6)}@example.org")
            browser.user_id = person["uuid"]
            browser.email = person["email"]
        if tenant_id is None:
            tenant_id = str(uuid.uuid4())
            browser.announce(tenant_id, "Zuhause", browser.user_id)
        apps.append(App(browser, tenant_id, **options))
        return apps[-1]

    return make


@pytest.fixture
def second_app(new_browser, apps):
    """Another browser of the same person, on the same household."""

    def make(first, **options):
        browser = new_browser()
        browser.user_id = browser.log_in(first.browser.email)["uuid"]
        browser.email = first.browser.email
        apps.append(App(browser, first.tenant_id, **options))
        return apps[-1]

    return make


def test_two_browsers_of_one_person_share_a_household_from_sign_up_on(new_app, second_app):
    first = new_app()
    first.begin()
    first.come_online()
    first.sync()
    assert first.queue == []
    assert first.nacks == []

    second = second_app(first)
    second.come_online()
    second.hear_until("initial_data_load")
    [account] = second.seen["Account"].values()
    assert account["name"] == "Girokonto"
    assert account["accountType"] == "CHECKING"
    assert {each["name"] for each in second.seen["AccountGroup"].values()} == {
        "Girokonten",
        "Sparkonten",
    }

    second.edit(account["id"], name="Haushalt", offset=12.34)
    second.sync()
    first.await_(lambda: first.seen["Account"][account["id"]]["name"] == "Haushalt")
    assert first.seen["Account"][account["id"]]["offset"] == 12.34
