"""FinWise 0.4 apps on real sockets, together with devices of our own protocol."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import secrets
import time
import uuid

import pytest
from django.contrib.sessions.models import Session
from websockets.exceptions import InvalidStatus

from syncapp import fanout
from syncapp.device.client import DeviceClient
from syncapp.finwise04 import consumer, conversation, household
from syncapp.tests.finwise04.rig import without_times
from syncapp.tests.socket.browser import App, Browser
from syncapp.tests.socket.server import ServerThread
from tenants.context import in_tenant
from tenants.memberships import end_membership, set_role
from tenants.models import Tenant, User
from tenants.names import schema_name
from tenants.tokens import create_token


@pytest.fixture(autouse=True)
def enabled(settings):
    settings.FINWISE04_ENABLED = True
    settings.ACCOUNT_RATE_LIMITS = False
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast


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


@pytest.fixture
def device(server):
    """The reference device, of whoever has that browser."""
    with asyncio.Runner() as runner:
        made = []

        def make(app):
            token = create_token(User.objects.get(pk=app.browser.user_id), "phone")
            client = DeviceClient(server.url, token, ":memory:", household=app.tenant_id)
            runner.run(client.__aenter__())
            made.append(client)
            return Device(runner, client)

        yield make
        for client in made:
            runner.run(client.__aexit__())


class Device:
    """The reference device, one step at a time."""

    def __init__(self, runner, client):
        self._runner, self.client = runner, client

    def sync(self):
        report = self._runner.run(self.client.sync())
        assert report.is_up_to_date, report

    def rows(self, entity):
        self.sync()
        return {row.id: row.fields for row in self.client.replica.rows(entity)}


def names(app, kind="AccountGroup"):
    return {record["name"] for record in app.seen[kind].values()}


# --- a household from its first day on ------------------------------------------------------


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
    assert names(second) == {"Girokonten", "Sparkonten"}

    second.edit(account["id"], name="Haushalt", offset=12.34)
    second.sync()
    first.await_(lambda: first.seen["Account"][account["id"]]["name"] == "Haushalt")
    assert first.seen["Account"][account["id"]]["offset"] == 12.34


def test_an_app_and_the_reference_device_see_each_other_live(new_app, device):
    app = new_app()
    app.come_online()
    app.begin()
    app.sync()
    phone = device(app)
    assert {row["name"] for row in phone.rows("account_group").values()} == {
        "Girokonten",
        "Sparkonten",
    }
    [account] = phone.rows("account")
    phone.client.edit("account", account, {"balance": "1234.56", "accountType": "depot"})
    phone.sync()
    app.await_(lambda: app.seen["Account"][account].get("balance") == 1234.56)
    assert app.seen["Account"][account]["accountType"] == "depot"
    app.edit(account, name="Wertpapiere")
    app.sync()
    row = phone.rows("account")[account]
    assert (row["name"], row["accountType"], row["balance"]) == ("Wertpapiere", "depot", "1234.56")
    phone.client.delete("account", account)
    phone.sync()
    app.await_(lambda: account not in app.kept["Account"])


def test_a_person_and_a_household_born_offline_come_to_the_server_whole(new_browser, apps):
    browser = new_browser()
    person_id, tenant_id = str(uuid.uuid4()), str(uuid.uuid4())
    app = App(browser, tenant_id)
    apps.append(app)
    app.begin()
    # The start of the app, as soon as there is a network.
    assert browser.ask("GET", "/users") == (200, [])
    body = {
        "uuid": person_id,
        "name": "Ben",
        "email": f"{secrets.token_hex(6)}@example.org",
        "hashed_password": "$2b$09$" + "a" * 53,
    }
    status, person = browser.ask("POST", "/users", body)
    assert (status, person["uuid"]) == (200, person_id)
    assert browser.ask("GET", f"/tenants?user_id={person_id}") == (200, [])
    browser.announce(tenant_id, "Zuhause", person_id)
    app.come_online()
    app.sync()
    assert app.queue == []
    status, [listed] = browser.ask("GET", f"/tenants?user_id={person_id}")
    assert (listed["uuid"], listed["name"], listed["user_id"]) == (tenant_id, "Zuhause", person_id)
    app.reload()
    app.hang_up()
    app.come_online()
    app.hear_until("initial_data_load")
    assert names(app) == {"Girokonten", "Sparkonten"}


# --- offline, concurrent, repeated ----------------------------------------------------------


def test_what_both_did_offline_is_merged_field_by_field(new_app, second_app, device):
    first = new_app()
    first.begin()
    first.come_online()
    first.sync()
    [account] = first.kept["Account"]
    second = second_app(first)
    second.come_online()
    second.hear_until("initial_data_load")
    first.hang_up()
    second.hang_up()
    first.edit(account, name="von der ersten")
    second.edit(account, note="von der zweiten\nin zwei Zeilen")
    new = second.new_account("neu", None)
    for app in (second, first):
        app.come_online()
        app.sync()
    second.await_(lambda: second.kept["Account"][account]["name"] == "von der ersten")
    first.mark()
    assert first.kept["Account"][account]["note"] == "von der zweiten\nin zwei Zeilen"
    assert without_times(first.kept) == without_times(second.kept)
    assert device(first).rows("account").keys() == {account, new}


def test_deletes_on_both_sides_and_an_edit_in_between(new_app, second_app):
    first = new_app()
    first.come_online()
    groups = [first.new_group(name) for name in ("a", "b", "c")]
    first.sync()
    second = second_app(first)
    second.come_online()
    second.hear_until("initial_data_load")
    first.hang_up()
    second.hang_up()
    first.delete(groups[0])
    second.delete(groups[0])
    second.delete(groups[1])
    first.clock_ms += 5  # clocks tick in milliseconds
    first.edit(groups[1], name="doch noch")
    for app in (first, second, first):
        app.hang_up()
        app.come_online()
        app.sync()
        app.mark()
    second.await_(lambda: "doch noch" in names(second))
    assert names(first) == names(second) == {"doch noch", "c"}


def test_what_was_sent_and_not_answered_is_acknowledged_after_a_reconnect(new_app, second_app):
    first = new_app()
    first.come_online()
    group = first.new_group("Urlaub")
    first.sync()
    first.edit(group, name="Ferien")
    first.send_pending()
    first.hang_up()  # nobody hears the answer
    second = second_app(first)
    second.come_online()
    second.hear_until("initial_data_load")
    second.await_(lambda: names(second) == {"Ferien"})
    second.edit(group, name="Reise")
    second.sync()
    first.retry_processing()
    first.come_online()
    first.sync()
    assert first.queue == []
    first.mark()
    assert names(first) == {"Reise"}


def test_an_app_that_goes_at_once_leaves_everything_it_has_sent(new_app, second_app):
    first = new_app()
    first.come_online()
    for n in range(40):
        first.new_group(f"Gruppe {n}")
    first.send_pending()
    first.hang_up()
    second = second_app(first)
    second.come_online()
    second.await_(lambda: len(names(second)) == 40)


@pytest.mark.slow
def test_more_than_a_hundred_rows_go_up_and_come_down(new_app, second_app):
    first = new_app()
    group = first.new_group("Girokonten")
    for n in range(250):  # more than a socket's burst of frames
        first.new_account(f"Konto {n}", group, note="x" * 200)
    first.come_online()
    first.sync()
    assert (first.queue, first.nacks) == ([], [])
    second = second_app(first)
    second.come_online()
    second.await_(lambda: len(second.seen["Account"]) == 250)
    loads = [each for each in second.heard if each.get("event_type") == "initial_data_load"]
    assert len(loads) == 1


def test_two_households_of_one_browser_never_mix(new_app):
    home = new_app()
    club = new_app(browser=home.browser)
    home.come_online()
    club.come_online()
    home.new_group("daheim")
    club.new_group("im Verein")
    for app in (home, club, home):
        app.sync()
        app.mark()
    assert names(home) == {"daheim"}
    assert names(club) == {"im Verein"}
    # Its entries name their household, whatever socket they come from.
    home.new_group("noch eine")
    home.queue[-1]["tenantId"] = club.tenant_id
    home.sync()
    assert home.nacks[-1]["reason"] == "validation_error"


def test_the_sync_button_asks_again_and_gets_everything_again(new_app):
    app = new_app()
    app.come_online()
    app.begin()
    app.sync()
    app.mark()
    app.heard.clear()
    app.say(app.connected())
    app.say(app.connected())
    app.hear_until("initial_data_load")
    app.hear_until("initial_data_load")
    assert app.dropped == 0
    assert len(app.seen["AccountGroup"]) == 2


def test_two_pages_of_one_browser_are_one_device(new_app):
    page = new_app()
    page.come_online()
    page.new_group("Urlaub")
    page.sync()
    other = new_app(browser=page.browser, tenant_id=page.tenant_id)
    other.come_online()
    other.hear_until("initial_data_load")
    other.edit(next(iter(other.kept["AccountGroup"])), name="Ferien")
    other.sync()
    page.await_(lambda: names(page) == {"Ferien"})
    with in_tenant(uuid.UUID(page.tenant_id)) as inside, inside.cursor() as cursor:
        cursor.execute(
            f"SELECT name, app, protocol FROM {schema_name(uuid.UUID(page.tenant_id))}.sync_device"
        )
        assert cursor.fetchall() == [("FinWise 0.4 (Firefox)", "FinWise 0.4", "finwise.0.4")]


def test_a_browser_whose_name_comes_late_is_the_same_device(new_app):
    app = new_app()
    del app.browser.cookies["finwise04_browser"]
    app.come_online()
    app.new_group("Urlaub")
    app.send_pending()
    app.hang_up()  # nobody hears the answer
    app.browser.ask("GET", "/users")
    assert "finwise04_browser" in app.browser.cookies
    app.retry_processing()
    app.come_online()
    app.sync()
    assert app.queue == []
    with in_tenant(uuid.UUID(app.tenant_id)) as inside, inside.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {schema_name(uuid.UUID(app.tenant_id))}.sync_device")
        assert cursor.fetchall() == [(1,)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_long_day_of_two_apps_and_a_device_ends_with_all_equal(new_app, second_app, device, seed):
    chance = random.Random(seed)
    first = new_app()
    first.begin()
    first.come_online()
    first.sync()
    apps = [first, second_app(first)]
    phone = device(first)
    for n in range(50):
        app = chance.choice(apps)
        groups = list(app.kept["AccountGroup"])
        accounts = list(app.kept["Account"])
        what = chance.random()
        if what < 0.1:
            app.new_group(f"g{n}")
        elif what < 0.2 and groups:
            app.new_account(f"a{n}", chance.choice(groups), balance=n + 0.25)
        elif what < 0.4 and accounts:
            app.edit(chance.choice(accounts), note=f"n{n}")
        elif what < 0.45 and accounts:
            app.delete(chance.choice(accounts))
        elif what < 0.55:
            if rows := list(phone.rows("account")):
                phone.client.edit("account", chance.choice(rows), {"description": f"d{n}"})
        elif what < 0.65:
            app.hang_up()
        elif what < 0.7:
            app.hang_up()
            app.reload()
        elif app.socket is None:
            app.retry_processing()
            app.come_online()
        elif what < 0.85:
            app.send_pending()
        else:
            app.mark()
    for app in apps * 2:
        app.hang_up()
        app.reload()
        app.retry_processing()
        phone.sync()
        app.come_online()
        app.sync()
        app.mark()
    phone.sync()
    for app in apps:
        assert (app.queue, app.nacks) == ([], [])
        app.hang_up()
        app.reload()
        app.come_online()
        app.hear_until("initial_data_load")
        app.mark()
    assert without_times(apps[0].seen) == without_times(apps[1].seen)
    assert without_times(apps[0].kept) == without_times(apps[0].seen)
    here = phone.rows("account")
    assert here.keys() == apps[0].seen["Account"].keys()
    for row_id, row in here.items():
        record = apps[0].seen["Account"][row_id]
        assert (row["name"], row["note"], row["description"]) == (
            record["name"], record["note"], record["description"]
        )  # fmt: skip
        assert float(row["balance"]) == record["balance"]


# --- every message --------------------------------------------------------------------------


def test_it_is_told_what_it_asks_and_nothing_that_it_does_not_know(new_app):
    app = new_app()
    app.come_online()
    app.say({"type": "ping", "timestamp": 1749830250123})
    assert app.hear_until("pong")["timestamp"] == 1749830250123
    app.say({"type": "connection_status_request"})
    assert app.hear_until("connection_status_response")["status"] == "online"
    app.say({"type": "data_status_request", "tenant_id": app.tenant_id, "entity_types": None})
    answer = app.hear_until("data_status_response")
    assert abs(answer["server_time"] - time.time()) < 60  # in seconds
    app.say({"type": "reticulate_splines"})
    assert "message" in app.hear_until("error")
    app.say({"type": "request_initial_data", "tenant_id": str(uuid.uuid4())})
    app.mark()
    known = {
        "status", "initial_data_load", "data_update", "sync_ack", "sync_nack", "pong",
        "connection_status_response", "data_status_response", "error",
    }  # fmt: skip
    assert {each["type"] for each in app.heard} <= known
    assert all(each.get("tenant_id") in (None, app.tenant_id) for each in app.heard)


def test_an_image_that_is_too_large_is_refused_alone(own_server, new_app):
    app = new_app(browser=Browser(own_server.port))
    app.come_online()
    app.new_account("Giro", None, image="data:image/png;base64," + "A" * 3_000_000)
    app.sync()
    [nack] = app.nacks
    assert nack["reason"] == "validation_error"
    assert "image" in nack["detail"]
    app.mark()
    [account] = app.kept["Account"].values()
    assert (account["name"], account["image"]) == ("Giro", None)


def test_a_photograph_is_refused_alone_too_and_nothing_behind_it_is_lost(own_server, new_app):
    app = new_app(browser=Browser(own_server.port))
    app.come_online()
    app.new_account("Giro", None, image="data:image/jpeg;base64," + "A" * 24_000_000)
    app.new_group("danach")
    app.sync()
    [nack] = app.nacks
    assert "image" in nack["detail"]
    assert len(app.acks) == 1
    app.mark()
    assert names(app) == {"danach"}


def test_entries_that_cannot_be_read_are_named_and_what_lies_behind_them_is_taken(new_app):
    app = new_app()
    app.come_online()
    app.mark()
    bad = []
    for n in range(30):  # more than a client may send that is none of ours
        group = app.new_group(f"Gruppe {n}")
        entry = app.queue[-1]
        payload = (
            {"entityId": "none"} if n % 3 else {"payload": {"id": group, "name": [[[[[[[[]]]]]]]]}}
        )
        bad.append(entry["id"])
        entry |= payload
    app.new_group("gut")
    app.send_pending()
    app.say('{"type":"process_sync_entry","payload":{"id":"cut-off","tenantId":"')
    app.mark()
    assert [each["id"] for each in app.nacks] == [*bad, "cut-off"]
    assert {each["reason"] for each in app.nacks} == {"validation_error"}
    assert len(app.acks) == 1
    assert app.close_code == 0


def test_half_an_emoji_takes_nothing_else_along(new_app, second_app):
    app = new_app()
    app.come_online()
    app.new_account("Giro \ud83d", None, note="bis hierher \ud83d")
    app.new_group("danach")
    app.sync()
    assert (app.queue, app.nacks) == ([], [])
    other = second_app(app)
    other.come_online()
    other.hear_until("initial_data_load")
    [account] = other.kept["Account"].values()
    assert (account["name"], account["note"]) == ("Giro \ufffd", "bis hierher \ufffd")
    assert names(other) == {"danach"}


# --- our own mistakes -----------------------------------------------------------------------


@pytest.fixture
def mistakes(monkeypatch):
    """Of how many times to come an entry of this id cannot be taken, for no reason at all."""
    left: dict[str, int] = {}
    take_entry = household.take_entry

    def take(desk, entry, now_ms):
        if left.get(entry.id, 0) > 0:
            left[entry.id] -= 1
            raise RuntimeError("a mistake of ours")
        return take_entry(desk, entry, now_ms)

    monkeypatch.setattr(household, "take_entry", take)
    monkeypatch.setattr(conversation, "PAUSES_AFTER_MISTAKES_S", (0.0, 0.0))
    return left


def test_after_a_mistake_of_ours_an_entry_is_tried_again(new_app, mistakes, caplog):
    app = new_app()
    app.come_online()
    app.new_group("Urlaub")
    mistakes[app.queue[-1]["id"]] = 2
    app.sync()
    assert (app.queue, app.nacks) == ([], [])
    assert "Urlaub" not in caplog.text


def test_a_mistake_that_stays_keeps_the_entry_in_the_app_and_holds_up_nothing_else(
    new_app, mistakes
):
    app = new_app()
    app.come_online()
    app.new_group("erste")
    entry = app.queue[-1]
    mistakes[entry["id"]] = 1000
    app.new_group("zweite")
    app.send_pending()
    app.mark()
    # Neither an ack nor a nack: in the app it waits for its answer, and is not marked as failed.
    assert app.queue == [entry]
    assert (entry["status"], app.nacks, len(app.acks)) == ("processing", [], 1)
    mistakes.clear()  # a new version of the server; the app is opened again
    app.retry_processing()
    app.hang_up()
    app.come_online()
    app.sync()
    assert (app.queue, app.nacks) == ([], [])
    assert names(app) == {"erste", "zweite"}


# --- rule 6, 9 and 11: who may come, and when -----------------------------------------------


def test_rule_6_a_household_that_is_not_announced_yet_is_waited_for_in_silence(new_app):
    app = new_app()
    waiting = new_app(browser=app.browser, tenant_id=str(uuid.uuid4()))
    waiting.begin()
    waiting.connect()
    assert waiting.is_silent()
    app.browser.announce(waiting.tenant_id, "Neu", app.browser.user_id)
    waiting.hear_until("status")
    assert waiting.status == "online"
    waiting.say(waiting.connected())
    waiting.sync()
    assert waiting.queue == []


def test_rule_6_also_when_it_is_announced_at_the_very_moment(own_server, new_app, apps):
    """The first socket of a server, before it listens to the database at all."""
    app = new_app(browser=Browser(own_server.port))
    app.tenant_id = str(uuid.uuid4())
    app.connect()
    app.browser.announce(app.tenant_id, "Neu", app.browser.user_id)
    began_s = time.monotonic()
    app.hear_until("status")
    assert time.monotonic() - began_s < 10  # a beat has 20 seconds


def test_a_person_has_no_thousand_sockets_that_wait(new_app, monkeypatch):
    monkeypatch.setattr(fanout, "SOCKETS_PER_PERSON", 3)
    mine = new_app()
    waiting = [new_app(browser=mine.browser, tenant_id=str(uuid.uuid4())) for _ in range(4)]
    for app in waiting:
        app.connect()
    assert waiting[-1].hear_close() == 4429
    assert waiting[0].is_silent()


def test_rule_11_unknown_and_not_yours_are_silent_alike_and_end_alike(new_app, new_browser):
    mine, other = new_app(), new_app()
    unknown = new_app(browser=mine.browser, tenant_id=str(uuid.uuid4()))
    not_yours = new_app(browser=mine.browser, tenant_id=other.tenant_id)
    said = []
    for app in (unknown, not_yours):
        app.connect()
        assert app.is_silent()
        app.say(app.connected())
        assert app.hear_close() == 4403
        said.append([json.dumps(each).replace(app.tenant_id, "") for each in app.heard])
    assert said[0] == said[1]


def test_rule_11_who_waits_for_too_long_is_sent_away(new_app, monkeypatch):
    monkeypatch.setattr(consumer, "WAIT_S", 0.2)
    mine = new_app()
    unknown = new_app(browser=mine.browser, tenant_id=str(uuid.uuid4()))
    unknown.connect()
    assert unknown.hear_close() == 4403


def test_rule_11_who_has_arrived_is_not_sent_away_when_the_time_to_wait_is_over(new_app, server):
    app = new_app()
    app.come_online()
    app.mark()

    async def time_is_over():
        for socket in fanout.hub().rooms[uuid.UUID(app.tenant_id)].sockets:
            await socket.end_unless_greeted()

    server.run(time_is_over())
    app.mark()


def test_rule_11_without_a_session_a_socket_is_told_to_sign_in(new_app, new_browser, apps):
    app = new_app()
    stranger = App(new_browser(), app.tenant_id)
    apps.append(stranger)
    stranger.connect()
    assert stranger.hear_close() == 4401


def test_a_session_that_ends_takes_its_sockets_along(new_app):
    app = new_app()
    app.come_online()
    waiting = new_app(browser=app.browser, tenant_id=str(uuid.uuid4()))
    waiting.connect()
    app.hear_until("initial_data_load")
    Session.objects.get(session_key=app.browser.cookies["sessionid"]).delete()
    assert app.hear_close() == 4401
    assert waiting.hear_close() == 4401


def test_a_membership_that_ends_takes_its_sockets_along(new_app, second_app):
    owner = new_app()
    guest = new_app(tenant_id="")
    guest.tenant_id = owner.tenant_id
    tenant = Tenant.objects.get(pk=owner.tenant_id)
    person = User.objects.get(pk=guest.browser.user_id)
    guest.connect()
    assert guest.is_silent()
    set_role(tenant, person, "editor")
    guest.hear_until("status")
    assert guest.status == "online"
    end_membership(tenant, person)
    assert guest.hear_close() == 4403


def test_who_may_only_look_is_shown_everything_and_keeps_what_was_typed(new_app):
    owner = new_app()
    owner.come_online()
    owner.begin()
    owner.sync()
    guest = new_app(tenant_id="")
    guest.tenant_id = owner.tenant_id
    tenant = Tenant.objects.get(pk=owner.tenant_id)
    person = User.objects.get(pk=guest.browser.user_id)
    set_role(tenant, person, "viewer")
    guest.connect()
    guest.hear_until("initial_data_load")
    assert guest.status == "maintenance"
    assert names(guest) == {"Girokonten", "Sparkonten"}
    group = next(iter(guest.kept["AccountGroup"]))
    guest.edit(group, name="meins")
    assert guest.send_pending() == 0
    owner.edit(group, name="Banken")
    owner.sync()
    guest.await_(lambda: "Banken" in names(guest))
    set_role(tenant, person, "editor")
    guest.hang_up()
    guest.come_online()
    guest.sync()
    assert guest.queue == []


def test_who_loses_the_right_to_write_while_sending_hears_it(new_app):
    owner = new_app()
    guest = new_app(tenant_id="")
    guest.tenant_id = owner.tenant_id
    tenant = Tenant.objects.get(pk=owner.tenant_id)
    person = User.objects.get(pk=guest.browser.user_id)
    set_role(tenant, person, "editor")
    guest.come_online()
    guest.mark()
    set_role(tenant, person, "viewer")
    guest.new_group("zu spät")
    guest.sync()
    assert guest.nacks[0]["reason"] == "forbidden"
    guest.await_(lambda: guest.status == "maintenance")


def test_who_loses_the_right_to_write_hears_it_before_anything_is_lost(new_app):
    owner = new_app()
    guest = new_app(tenant_id="")
    guest.tenant_id = owner.tenant_id
    tenant = Tenant.objects.get(pk=owner.tenant_id)
    person = User.objects.get(pk=guest.browser.user_id)
    set_role(tenant, person, "editor")
    guest.come_online()
    guest.mark()
    set_role(tenant, person, "viewer")
    guest.await_(lambda: guest.status == "maintenance")
    guest.new_group("wartet")
    assert guest.send_pending() == 0
    set_role(tenant, person, "editor")
    assert guest.hear_close() == 1012
    guest.come_online()
    guest.sync()
    assert (guest.queue, guest.nacks) == ([], [])


def test_of_many_entries_that_may_not_be_each_is_answered_and_one_load_follows(new_app):
    owner = new_app()
    guest = new_app(tenant_id="")
    guest.tenant_id = owner.tenant_id
    tenant = Tenant.objects.get(pk=owner.tenant_id)
    person = User.objects.get(pk=guest.browser.user_id)
    set_role(tenant, person, "editor")
    guest.come_online()
    guest.mark()
    for n in range(30):
        guest.new_group(f"Gruppe {n}")
    set_role(tenant, person, "viewer")
    guest.sync()

    def loads():
        return sum(each["type"] == "initial_data_load" for each in guest.heard)

    guest.await_(lambda: guest.status == "maintenance" and loads() == 2)  # one since it came
    guest.mark()
    assert loads() == 2
    assert len(guest.nacks) == 30


SAID = {
    "request_initial_data": "initial_data_load",
    "process_sync_entry": "sync_ack",
    "ping": "pong",
    "connection_status_request": "connection_status_response",
    "data_status_request": "data_status_response",
}
# By role: how each frame is answered; a number closes the socket.
ANSWERS = {
    "owner": SAID,
    "editor": SAID,
    "viewer": {**SAID, "process_sync_entry": "sync_nack"},
    "nobody here": dict.fromkeys(SAID, 4403),
    "not signed in": dict.fromkeys(SAID, 4401),
}


@pytest.mark.parametrize("role", ANSWERS)
def test_who_may_say_what(new_app, new_browser, apps, role):
    owner = new_app()
    for kind, answer in ANSWERS[role].items():
        if role == "not signed in":
            apps.append(guest := App(new_browser(), owner.tenant_id))
        elif role == "owner":
            guest = owner
        else:
            guest = new_app(tenant_id=owner.tenant_id)
            person = User.objects.get(pk=guest.browser.user_id)
            if role != "nobody here":
                set_role(Tenant.objects.get(pk=owner.tenant_id), person, role)
        guest.connect()
        guest.new_group("von mir")
        entry = guest.queue[-1]
        frames = {
            "request_initial_data": guest.connected(),
            "process_sync_entry": {"type": "process_sync_entry", "payload": entry},
        }
        if role != "not signed in":  # is closed at once
            guest.say(frames.get(kind, {"type": kind}))
        if isinstance(answer, int):
            assert guest.hear_close() == answer
        else:
            guest.hear_until(answer)
        guest.hang_up()


def test_pages_of_other_sites_open_no_socket(new_app, settings):
    app = new_app()
    app.browser.origin = "https://evil.example"
    with pytest.raises(InvalidStatus):
        app.connect()
    app.browser.origin = "http://localhost:5173"
    with pytest.raises(InvalidStatus):
        app.connect()
    settings.FINWISE04_ORIGINS = ["http://localhost:5173"]
    app.come_online()


def test_a_socket_without_an_origin_is_no_browsers(new_app):
    app = new_app()
    app.browser.origin = None
    app.connect()
    assert app.hear_close() == 4401


def test_nobody_comes_in_while_it_is_switched_off(new_app, settings):
    app = new_app()
    settings.FINWISE04_ENABLED = False
    with pytest.raises(InvalidStatus):
        app.connect()
    assert app.browser.ask("GET", "/users")[0] == 404


# --- when the server is in trouble ----------------------------------------------------------


def test_an_entry_is_tried_until_the_household_is_free(new_app, raw_connection, settings):
    app = new_app()
    app.come_online()
    app.mark()
    schema = schema_name(uuid.UUID(app.tenant_id))
    raw_connection.execute(f"SELECT FROM {schema}.sync_head FOR UPDATE")
    app.new_group("Urlaub")
    app.send_pending()
    with pytest.raises(TimeoutError):
        app.hear_one(3.5)  # longer than PostgreSQL waits for the lock
    raw_connection.rollback()
    app.sync()
    assert (app.queue, app.nacks) == ([], [])


def test_a_server_that_ends_first_answers_what_it_was_sent(own_server, settings):
    browser = Browser(own_server.port)
    person = browser.register("Anna", f"{secrets.token_hex(6)}@example.org")
    tenant_id = str(uuid.uuid4())
    browser.announce(tenant_id, "Zuhause", person["uuid"])
    app = App(browser, tenant_id)
    app.come_online()
    app.mark()
    for n in range(60):
        app.new_group(f"Gruppe {n}")
    app.send_pending()
    own_server.stop()
    assert app.hear_close() == 1012
    assert app.status == "offline"
    assert app.queue == []
    with in_tenant(uuid.UUID(tenant_id)) as inside, inside.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {schema_name(uuid.UUID(tenant_id))}.account_group")
        assert cursor.fetchone() == (60,)


def test_a_restarted_server_knows_what_it_had_shown(households, settings):
    first = ServerThread()
    browser = Browser(first.port)
    person = browser.register("Anna", f"{secrets.token_hex(6)}@example.org")
    tenant_id = str(uuid.uuid4())
    browser.announce(tenant_id, "Zuhause", person["uuid"])
    app = App(browser, tenant_id)
    app.come_online()
    account = app.new_account("Giro", None)
    app.sync()
    app.hang_up()
    first.stop()
    second = ServerThread()
    browser.port = second.port
    browser.origin = f"http://127.0.0.1:{second.port}"
    token = create_token(User.objects.get(pk=person["uuid"]), "phone")
    with asyncio.Runner() as runner:
        client = DeviceClient(second.url, token, ":memory:", household=tenant_id)
        runner.run(client.__aenter__())
        runner.run(client.sync())
        client.edit("account", account, {"note": "vom Telefon"})
        runner.run(client.sync())
        app.edit(account, name="Haushalt")
        app.come_online()
        app.sync()
        runner.run(client.sync())
        row = client.replica.row("account", account)
        assert (row.fields["name"], row.fields["note"]) == ("Haushalt", "vom Telefon")
        runner.run(client.__aexit__())
    app.hang_up()
    second.stop()


# --- hostile frames -------------------------------------------------------------------------

ODD = [
    None, True, 0, -1, 1e300, 2**70, "", "x" * 70_000, "\u0000", "\ud800", [], {}, [[]],
    {"a": {"b": {"c": []}}}, "NaN", "1e400", "__proto__", "'; DROP TABLE account; --",
]  # fmt: skip


@pytest.mark.slow
def test_hostile_frames_get_an_answer_and_disturb_nobody(new_app, second_app, caplog):
    good = new_app()
    good.come_online()
    group = good.new_group("Urlaub")
    good.sync()
    bad = second_app(good)
    bad.come_online()
    bad.mark()
    record = {"id": group, "name": "MARKER7f3a", "sortOrder": 1, "image": None}
    entry = {
        "id": "", "tenantId": good.tenant_id, "entityType": "AccountGroup", "entityId": group,
        "operationType": "update", "timestamp": 1, "attempts": 1, "payload": record,
    }  # fmt: skip
    frames = []
    for place, value in itertools.product([None, *entry], ODD):
        odd = {**entry, "id": str(uuid.uuid4())}
        if place is None:
            odd["payload"] = {**record, "name": value, "sortOrder": value, "image": value}
        else:
            odd[place] = value
        frames.append(json.dumps({"type": "process_sync_entry", "payload": odd}))
    frames += [json.dumps({"type": value}) for value in ODD]
    frames += ["", "{", "null", "[]", "[" * 2000, '{"type":' * 2000, "NaN", '{"type": "ping"'] * 3
    for frame in frames:
        if bad.socket is None:
            bad.come_online()
        bad.say(frame)
        bad.say({"type": "ping", "timestamp": 1})
        while (heard := bad.hear_one()) is not None and heard["type"] != "pong":
            pass
        if heard is None:
            assert bad.close_code in (4400, 4413)
            bad.socket = None
    good.edit(group, sortOrder=7)
    good.sync()
    good.mark()
    assert good.nacks == []
    assert "MARKER7f3a" not in caplog.text
    assert [each for each in caplog.records if each.exc_info] == []
