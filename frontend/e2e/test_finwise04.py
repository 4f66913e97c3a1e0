"""The FinWise 0.4 app in a real browser, from sign-up on, with devices of our own beside it.

The app is a double (`syncapp/tests/finwise04/page`), its browser, its cookies and our server are
real. It is served by us, as an operator would.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from playwright.sync_api import BrowserContext, expect

from finwise.places import ROOT
from syncapp.device.client import DeviceClient
from syncapp.tests.faults.real_server import RealServer

from .conftest import PATIENCE_MS
from .doing import command

pytestmark = pytest.mark.slow

APP_DIR = ROOT / "syncapp" / "tests" / "finwise04" / "page"
PASSWORD = "ein geheimes Wort"
DAY_MS = 24 * 3600 * 1000
UNTIL = """async ([condition, given]) => {
    const end = Date.now() + %d
    while (!(%s)) {
        if (Date.now() > end) {
            const { status, closes, nacks, problems } = app
            const facts = { given, status, closes, nacks, problems, queue: await app.queue() }
            throw new Error(`${condition} in vain: ${JSON.stringify(facts)}`)
        }
        await new Promise((resolve) => setTimeout(resolve, 50))
    }
}"""
BROWSER_COOKIE = "finwise04_browser"


@pytest.fixture(scope="module")
def _server(state_dir: Path, chromium_path: str) -> Iterator[RealServer]:
    running = RealServer(state_dir, FINWISE04_ENABLED="1", FINWISE04_APP_DIR=str(APP_DIR))
    yield running
    running.stop()


class App:
    """The app in one tab."""

    def __init__(self, context: BrowserContext) -> None:
        self.page = context.new_page()
        self.complaints: list[str] = []
        # What a browser refuses by itself: the page's policy, origins, cookies.
        self.page.on(
            "console",
            lambda said: self.complaints.append(said.text) if "Policy" in said.text else None,
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.open()

    def open(self) -> None:
        self.page.goto("/")
        self.page.evaluate("app.ready")

    reload = open

    def do(self, what: str, *arguments: Any) -> Any:
        """Call a function of the app."""
        return self.page.evaluate(f"async (given) => await app.{what}(...given)", list(arguments))

    def value(self, expression: str) -> Any:
        return self.page.evaluate(f"async () => {expression}")

    def until(self, condition: str, given: Any = None) -> None:
        """Wait until this is true in the page, of `given`. It may be awaited itself, unlike in
        Playwright's `wait_for_function`, which takes any promise for true."""
        self.page.evaluate(UNTIL % (3 * PATIENCE_MS, condition), [condition, given])

    def wait_for_online(self) -> None:
        self.until("app.status === 'online'")

    def settle(self) -> None:
        """Send what waits, and hear every answer."""
        self.wait_for_online()
        self.do("poll")
        self.until("(await app.queue()).every((each) => each.status === 'failed')")

    def settle_with_repeats(self) -> None:
        """As `settle`; what was cut off on its way is sent again, and perhaps what was not, too."""
        self.wait_for_online()
        for _ in range(20):
            self.do("sendAgain")
            self.do("poll")
            patience_ms = time.time_ns() // 1_000_000 + 5_000
            self.until("(await app.queue()).length === 0 || Date.now() > given", patience_ms)
            if not self.do("queue"):
                return
        raise AssertionError(self.do("queue"))

    def rows(self, kind: str = "Account") -> dict[str, dict[str, Any]]:
        return {each["id"]: each for each in self.do("kept", kind)}

    def shown(self, kind: str = "Account") -> set[str]:
        """The names on the page."""
        return set(self.value(f"Object.values(app.seen.{kind}).map((each) => each.name)"))

    def wait_for_value(self, row_id: str, name: str, value: Any, kind: str = "Account") -> None:
        self.until(
            f"app.seen.{kind}[given.id]?.[given.name] === given.value",
            {"id": row_id, "name": name, "value": value},
        )

    def wait_until_gone(self, row_id: str, kind: str = "Account") -> None:
        self.until(f"app.seen.{kind}[given] === undefined", row_id)

    def find_account(self) -> str:
        """The account that a new household has by itself."""
        self.until("Object.keys(app.seen.Account).length > 0")
        return next(iter(self.rows()))

    def lose_network(self) -> None:
        self.page.context.set_offline(True)
        # Whether a browser cuts open sockets by this depends on its version.
        self.page.evaluate("app.socket?.close()")
        self.until("app.status === ''")

    def find_network(self) -> None:
        self.page.context.set_offline(False)
        self.do("activate", self.value("app.tenantId"))


class Person:
    def __init__(self) -> None:
        self.email = f"{secrets.token_hex(6)}@example.org"
        self.password_hash = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(9)).decode()

    def registers(self, app: App, name: str = "Anna") -> str:
        user_id: str = app.do("register", name, self.email, PASSWORD, self.password_hash)
        return user_id

    def logs_in(self, app: App) -> None:
        assert app.do("logIn", self.email.upper(), PASSWORD) == ""


@pytest.fixture
def new_app(new_context: Callable[..., BrowserContext]) -> Iterator[Callable[..., App]]:
    made: list[App] = []

    def make(context: BrowserContext | None = None) -> App:
        made.append(App(context or new_context()))
        return made[-1]

    yield make
    for app in made:
        assert app.complaints == []


@pytest.fixture
def anna() -> Person:
    return Person()


@pytest.fixture
def home(new_app: Callable[..., App], anna: Person) -> App:
    """Somebody who has signed up, with a household that is on the server."""
    app = new_app()
    anna.registers(app)
    app.do("newTenant", "Zuhause")
    app.settle()
    return app


@pytest.fixture
def second(new_app: Callable[..., App], anna: Person, home: App) -> App:
    """Another browser of the same person, on the same household."""
    return join(new_app(), anna, home)


def join(app: App, person: Person, home: App) -> App:
    person.logs_in(app)
    tenant_id = home.value("app.tenantId")
    assert tenant_id in app.do("tenants")
    app.do("activate", tenant_id)
    app.wait_for_online()
    app.until("Object.keys(app.seen.AccountGroup).length > 0")
    return app


class Phone:
    """A device of our own protocol; its event loop has a thread of its own."""

    def __init__(self, server: RealServer, person: Person, tenant_id: str) -> None:
        said = command(server, "create_token", "--user", person.email, "--name", "Telefon")
        self._thread = ThreadPoolExecutor(1)
        self._runner = self._thread.submit(asyncio.Runner).result()
        self.client = DeviceClient(
            server.url, said.split()[-1], ":memory:", household=tenant_id, name="Telefon"
        )
        self._run(self.client.__aenter__)

    def _run(self, work: Callable[[], Any]) -> Any:
        return self._thread.submit(lambda: self._runner.run(work())).result(60)

    def sync(self) -> None:
        assert self._run(self.client.sync).is_up_to_date

    def edit(self, entity: str, row_id: str, fields: dict[str, Any]) -> None:
        self.sync()
        self._thread.submit(self.client.edit, entity, row_id, fields).result()
        self.sync()

    def delete(self, entity: str, row_id: str) -> None:
        self.sync()
        self._thread.submit(self.client.delete, entity, row_id).result()
        self.sync()

    def rows(self) -> dict[str, dict[str, Any]]:
        """Its accounts."""
        return {row.id: row.fields for row in self.client.replica.rows("account")}

    def wait_for(self, condition: Callable[[dict[str, dict[str, Any]]], bool]) -> None:
        """Hear until this is true of its accounts."""

        async def hear() -> None:
            async with asyncio.timeout(60):
                await self.client.until(lambda: condition(self.rows()))

        self.sync()
        self._run(hear)

    def close(self) -> None:
        self._run(self.client.__aexit__)
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()


@pytest.fixture
def phone(server: RealServer, anna: Person, home: App) -> Iterator[Phone]:
    made = Phone(server, anna, home.value("app.tenantId"))
    yield made
    made.close()


# --- the stories ----------------------------------------------------------------------------


def test_from_sign_up_to_three_devices_that_agree(home: App, second: App, phone: Phone) -> None:
    assert home.value("app.problems") == []
    assert second.shown() == {"Girokonto"}
    assert second.shown("AccountGroup") == {"Girokonten", "Sparkonten"}
    account = home.find_account()
    group = next(iter(home.rows("AccountGroup")))
    second.do(
        "edit", "Account", account,
        {"name": "Haushalt", "description": "d", "note": "zwei\nZeilen", "offset": 12.34,
         "creditLimit": 250.5, "iban": "DE89 3704 0044 0532 0130 00", "accountType": "CASH",
         "isActive": False, "isOfflineBudget": True, "sortOrder": 3},
    )  # fmt: skip
    second.do("edit", "AccountGroup", group, {"name": "Banken"})
    second.settle()
    home.wait_for_value(account, "offset", 12.34)
    home.wait_for_value(group, "name", "Banken", "AccountGroup")
    phone.wait_for(lambda rows: rows[account]["name"] == "Haushalt")
    row = phone.rows()[account]
    assert (row["offset"], row["creditLimit"]) == ("12.34", "250.5")
    assert (row["iban"], row["accountType"]) == ("DE89370400440532013000", "bar")
    phone.edit("account", account, {"balance": "1234.56", "accountType": "depot"})
    for app in (home, second):
        app.wait_for_value(account, "balance", 1234.56)
        app.wait_for_value(account, "accountType", "depot")
    new = home.do("newAccount", "Urlaub", group)
    home.settle()
    second.wait_for_value(new, "name", "Urlaub")
    phone.wait_for(lambda rows: new in rows)
    assert phone.rows()[new]["accountType"] == "giro"
    phone.delete("account", new)
    for app in (home, second):
        app.wait_until_gone(new)
    second.do("drop", "Account", account)
    second.settle()
    home.wait_until_gone(account)
    phone.wait_for(lambda rows: not rows)
    for app in (home, second):
        assert app.value("app.nacks") == []
        app.reload()
        app.until("Object.keys(app.seen.AccountGroup).length === 2")
        assert app.shown() == set()


def test_the_browser_has_its_name_before_the_app_asks_for_anything(
    new_context: Callable[..., BrowserContext],
) -> None:
    context = new_context()
    asked: list[str] = []
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.headers.get("cookie", "")))
    with page.expect_request("**/users") as request:
        page.goto("/")
    assert BROWSER_COOKIE in request.value.all_headers()["cookie"]
    page.evaluate("app.ready")
    [cookie] = [each for each in context.cookies() if each["name"] == BROWSER_COOKIE]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")


def test_somebody_and_their_household_are_born_offline_and_nothing_signs_them_out(
    new_app: Callable[..., App], anna: Person
) -> None:
    app = new_app()
    app.page.context.set_offline(True)
    user_id = anna.registers(app)
    tenant_id = app.do("newTenant", "Zuhause")
    group = next(iter(app.rows("AccountGroup")))
    account = app.do("newAccount", "Bargeld", group, {"offset": 0.5})
    app.do("edit", "Account", account, {"note": "noch offline"})
    app.page.context.set_offline(False)
    app.reload()
    app.settle()
    assert (app.value("app.problems"), app.value("app.nacks")) == ([], [])
    other = new_app()
    join(other, anna, app)  # by the password, of which the server has had a hash only
    other.wait_for_value(account, "note", "noch offline")
    assert other.do("tenants") == [tenant_id]
    assert other.value("app.person.uuid") == user_id
    # The first browser is still who it was, and goes on.
    app.do("edit", "Account", account, {"name": "Kasse"})
    app.settle()
    other.wait_for_value(account, "name", "Kasse")
    app.reload()
    assert app.value("app.problems") == []
    app.wait_for_value(account, "name", "Kasse")


def test_two_people_born_offline_in_one_browser_each_have_what_is_theirs(
    new_app: Callable[..., App], anna: Person
) -> None:
    app, ben = new_app(), Person()
    app.page.context.set_offline(True)
    anna.registers(app)
    hers = app.do("newTenant", "Anna daheim")
    app.do("logOut")
    ben.registers(app, "Ben")
    his = app.do("newTenant", "Ben daheim")
    app.page.context.set_offline(False)
    app.reload()
    app.settle()
    assert app.value("app.problems") == []
    assert app.do("tenants") == [his]
    app.do("logOut")
    anna.logs_in(app)
    app.do("activate", hers)
    app.settle()
    assert app.value("app.nacks") == []
    for person, tenant_id in ((anna, hers), (ben, his)):
        elsewhere = new_app()
        person.logs_in(elsewhere)
        assert elsewhere.do("tenants") == [tenant_id]
        elsewhere.do("activate", tenant_id)
        elsewhere.until("Object.keys(app.seen.Account).length === 1")


def test_what_all_did_offline_is_merged_and_deletes_hold(
    home: App, second: App, phone: Phone
) -> None:
    account = home.find_account()
    group = next(iter(home.rows("AccountGroup")))
    ids = {name: home.do("newAccount", name, group) for name in ("a", "b", "c", "d")}
    home.settle()
    for row_id in ids.values():
        second.until("app.seen.Account[given] !== undefined", row_id)
    home.lose_network()
    second.lose_network()
    home.do("edit", "Account", account, {"name": "von der ersten"})
    second.do("edit", "Account", account, {"note": "von der zweiten"})
    phone.edit("account", account, {"description": "vom Telefon"})
    home.do("drop", "Account", ids["a"])  # on both sides
    second.do("drop", "Account", ids["a"])
    second.do("drop", "Account", ids["b"])  # and then edited elsewhere
    home.do("edit", "Account", ids["b"], {"name": "b lebt"})
    home.do("edit", "Account", ids["c"], {"name": "c zu früh"})  # and then deleted elsewhere
    second.do("drop", "Account", ids["c"])
    phone.delete("account", ids["d"])
    late = home.do("newAccount", "neu", group)
    for app in (second, home):
        app.find_network()
        app.settle()
    for app in (home, second):
        app.wait_for_value(account, "name", "von der ersten")
        app.wait_for_value(account, "note", "von der zweiten")
        app.wait_for_value(account, "description", "vom Telefon")
        app.wait_for_value(ids["b"], "name", "b lebt")
        app.wait_for_value(late, "name", "neu")
        for name in ("a", "c", "d"):
            app.wait_until_gone(ids[name])
        assert app.value("app.nacks") == []
    phone.wait_for(lambda rows: rows.keys() == {account, ids["b"], late})


def test_answers_that_are_lost_and_entries_that_come_twice_change_nothing(
    home: App, second: App, phone: Phone
) -> None:
    account = home.find_account()
    home.page.evaluate("() => { app.loses = (text) => text.includes('sync_ack') }")
    home.do("edit", "Account", account, {"name": "einmal"})
    home.do("poll")
    second.wait_for_value(account, "name", "einmal")
    assert [each["status"] for each in home.do("queue")] == ["processing"]
    phone.edit("account", account, {"name": "danach"})
    home.page.evaluate("() => { app.loses = () => false }")
    home.reload()
    home.settle_with_repeats()
    for app in (home, second):
        app.wait_for_value(account, "name", "danach")
    phone.wait_for(lambda rows: rows[account]["name"] == "danach")


def test_two_tabs_of_one_browser_send_the_same_queue_and_are_one_device(
    home: App, new_app: Callable[..., App], phone: Phone
) -> None:
    other = new_app(home.page.context)
    other.wait_for_online()
    other.until("Object.keys(app.seen.Account).length > 0")
    account = home.find_account()
    # Each finds them waiting, before the other has noted that they are on their way.
    entries = []
    for n in range(5):
        home.do("edit", "Account", account, {"name": f"n{n}"})
        entries.append(home.do("queue"))
    for tab in (home, other):
        tab.page.evaluate(
            """(entries) => entries.forEach((payload) =>
                app.say({ type: "process_sync_entry", payload }))""",
            [{**each, "status": "processing", "attempts": 1} for each in entries[-1]],
        )
    for tab in (home, other):
        tab.settle()
        tab.wait_for_value(account, "name", "n4")
        assert tab.value("app.nacks") == []
    phone.wait_for(lambda rows: rows[account]["name"] == "n4")
    home.page.goto(f"/sync/{home.value('app.tenantId')}/")
    devices = home.page.locator("table.devices tbody tr")
    expect(devices).to_have_count(2)
    old = devices.filter(has_text="FinWise 0.4")
    expect(old).to_have_count(1)
    expect(old).to_contain_text("finwise.0.4")
    expect(old).to_contain_text("kann es nicht sagen")  # no light is green without evidence
    expect(devices.filter(has_text="Telefon")).to_contain_text("finwise.sync.v1")
    home.open()


def test_hundreds_of_rows_arrive_though_the_socket_breaks_in_the_middle(
    home: App, new_app: Callable[..., App], anna: Person, phone: Phone
) -> None:
    group = next(iter(home.rows("AccountGroup")))
    home.lose_network()
    home.page.evaluate(
        """async (group) => {
            for (let n = 0; n < 260; n += 1) await app.newAccount(`Konto ${n}`, group)
        }""",
        group,
    )
    home.page.evaluate(
        """() => {
            let acks = 0
            app.loses = (text) => {
                acks += text.includes("sync_ack")
                if (acks === 20) app.socket.close()
                return acks >= 20
            }
        }"""
    )
    home.find_network()
    home.until("app.acks.length >= 19")
    home.page.evaluate("() => { app.loses = () => false }")
    home.until("app.closes.length > 0")
    home.do("activate", home.value("app.tenantId"))
    home.settle_with_repeats()
    assert home.value("app.nacks") == []
    phone.wait_for(lambda rows: len(rows) == 261)
    fresh = join(new_app(), anna, home)
    fresh.until("Object.keys(app.seen.Account).length === 261")
    home.reload()
    home.until("Object.keys(app.seen.Account).length === 261")


def test_a_session_that_ends_keeps_what_is_typed_until_the_next_sign_in(
    home: App, second: App, anna: Person, phone: Phone
) -> None:
    account = home.find_account()
    home.page.context.clear_cookies(name="sessionid")
    home.page.evaluate("app.socket.close()")
    home.until("app.status === ''")
    home.do("activate", home.value("app.tenantId"))
    home.until("app.closes.includes(4401)")
    home.do("edit", "Account", account, {"name": "ohne Sitzung"})
    phone.edit("account", account, {"note": "vom Telefon"})
    home.reload()
    assert [each["status"] for each in home.do("queue")] == ["pending"]
    anna.logs_in(home)
    home.do("activate", home.value("app.tenantId"))
    home.settle()
    # The same browser is the same device: what it had not seen it does not overrule.
    second.wait_for_value(account, "name", "ohne Sitzung")
    second.wait_for_value(account, "note", "vom Telefon")
    assert home.value("app.nacks") == []


def test_a_server_that_is_killed_in_the_middle_gets_everything_once(
    home: App, second: App, server: RealServer
) -> None:
    account = home.find_account()
    home.do("edit", "Account", account, {"name": "davor"})
    home.settle()
    server.kill()
    for app in (home, second):
        app.until("app.status === ''")
    for n in range(3):
        home.do("edit", "Account", account, {"note": f"n{n}"})
    second.do("edit", "Account", account, {"description": "von der zweiten"})
    server.start()
    for app in (home, second):  # they come back by themselves
        app.settle()
        app.wait_for_value(account, "note", "n2")
        app.wait_for_value(account, "description", "von der zweiten")
        assert app.value("app.nacks") == []


def test_two_households_are_switched_and_never_mix(home: App) -> None:
    first = home.value("app.tenantId")
    club = home.do("newTenant", "Verein")
    group = home.do("newGroup", "nur im Verein")
    home.settle()
    home.do("activate", first)
    home.settle()
    home.until("Object.keys(app.seen.AccountGroup).length === 2")
    assert group not in home.rows("AccountGroup")
    home.do("activate", club)
    home.until("Object.keys(app.seen.AccountGroup).length === 3")
    assert home.value("app.problems") == []


def test_somebody_elses_household_is_as_silent_as_none(
    home: App, new_app: Callable[..., App]
) -> None:
    stranger = new_app()
    Person().registers(stranger)
    closes = []
    for tenant_id in (home.value("app.tenantId"), str(uuid.uuid4())):
        stranger.do("activate", tenant_id)
        stranger.until("app.socket.readyState === 1")
        stranger.do("newGroup", "fremd")
        stranger.do("poll")
        assert stranger.value("app.status") == ""
        stranger.page.evaluate("app.closes = []")
        stranger.do("sync")  # which the app does not do before it is told `online`
        stranger.until("app.closes.length > 0")
        closes.append((stranger.value("app.closes"), stranger.value("app.heard.at(-1).message")))
    assert closes[0] == closes[1]
    assert closes[0][0] == [4403]


@pytest.mark.parametrize("off_ms", [DAY_MS, -DAY_MS], ids=["a day ahead", "a day behind"])
def test_a_clock_that_is_a_day_off_keeps_nobody_from_working(
    home: App, second: App, phone: Phone, off_ms: int
) -> None:
    account = home.find_account()
    second.page.evaluate(f"app.clockOffMs = {off_ms}")
    group = next(iter(second.rows("AccountGroup")))
    mine = second.do("newAccount", "von daneben", group)
    second.do("edit", "Account", account, {"name": "von daneben"})
    second.settle()
    home.wait_for_value(account, "name", "von daneben")
    home.wait_for_value(mine, "name", "von daneben")
    # And whoever's clock is right has the last word when it is the last.
    home.do("edit", "Account", account, {"name": "danach"})
    home.do("edit", "Account", mine, {"note": "danach"})
    home.settle()
    second.wait_for_value(account, "name", "danach")
    second.wait_for_value(mine, "note", "danach")
    phone.edit("account", account, {"name": "zuletzt"})
    second.wait_for_value(account, "name", "zuletzt")
    second.do("edit", "Account", account, {"name": "allerletzt"})
    second.do("drop", "Account", mine)
    second.settle()
    home.wait_for_value(account, "name", "allerletzt")
    second.page.evaluate("app.clockOffMs = 0")
    second.reload()
    second.wait_for_value(account, "name", "allerletzt")
    assert second.value("app.nacks") == []
    is_here = mine in second.rows()
    home.until(f"(app.seen.Account[given] !== undefined) === {str(is_here).lower()}", mine)
    phone.wait_for(lambda rows: (mine in rows) is is_here)
