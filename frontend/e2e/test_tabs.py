"""Several tabs of one browser: one talks for all, and whatever happens to it, nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, CDPSession, Page, WebSocket, expect

from .conftest import wait_until_up_to_date
from .doing import (
    account,
    add_account,
    expect_closed,
    find_network,
    install,
    light,
    lose_network,
    open_details,
)


class Traffic:
    """The changes that a page has sent, one for each time that it has sent it."""

    def __init__(self, page: Page) -> None:
        self.sockets = 0
        self.changes: list[tuple[str, str]] = []
        page.on("websocket", self._opened)

    def _opened(self, socket: WebSocket) -> None:
        self.sockets += 1
        socket.on("framesent", self._sent)

    def _sent(self, text: str | bytes) -> None:
        frame: dict[str, Any] = json.loads(text)
        for change in frame["changes"] if frame["type"] == "push" else ():
            self.changes.append((change["id"], change["stamp"]))


@pytest.fixture
def tab(laptop: Page) -> Page:
    """A second tab of the laptop; the laptop's first one talks to the server."""
    return another_tab(laptop.context)


def another_tab(context: BrowserContext, address: str = "/") -> Page:
    page = context.new_page()
    page.goto(address)
    wait_until_up_to_date(page)
    return page


def block(page: Page) -> CDPSession:
    """Let no script of the page run any more, until `Debugger.disable`."""
    session = page.context.new_cdp_session(page)
    session.send("Debugger.enable")
    session.send("Debugger.pause")
    return session


def test_a_visible_tab_takes_over_from_one_that_is_stuck_and_each_change_is_sent_once(
    new_context: Callable[..., BrowserContext],
    sign_in: Callable[[BrowserContext], None],
    phone: Page,
) -> None:
    """J02"""
    context = new_context()
    sign_in(context)
    stuck, other = context.new_page(), context.new_page()
    traffic = {page: Traffic(page) for page in (stuck, other)}
    for page in (stuck, other):
        page.goto("/")
        wait_until_up_to_date(page)
    assert traffic[stuck].sockets == 1 and traffic[other].sockets == 0
    add_account(stuck, "Vor dem Stillstand")
    expect(account(phone, "Vor dem Stillstand")).to_be_visible()
    # In the middle of a transaction it would keep the database for the minute that Chromium gives.
    wait_until_up_to_date(stuck)
    session = block(stuck)
    other.bring_to_front()
    other.evaluate(WATCH_LIGHT)
    add_account(other, "Trotzdem")
    expect(account(phone, "Trotzdem")).to_have_count(1)
    wait_until_up_to_date(other)
    seen = set(other.evaluate("seenKinds"))
    # A light that waits for a busy machine may say so; that anything is wrong it must not say.
    assert seen <= {"up_to_date", "syncing", "connecting"}
    sent = traffic[stuck].changes + traffic[other].changes
    assert len(sent) == len(set(sent)) == 2
    assert len(traffic[stuck].changes) == 1
    session.send("Debugger.disable")


def test_a_tab_that_is_frozen_gives_the_lead_on_and_knows_everything_when_it_thaws(
    laptop: Page, tab: Page, phone: Page
) -> None:
    """J02"""
    session = laptop.context.new_cdp_session(laptop)
    session.send("Page.enable")
    session.send("Page.setWebLifecycleState", {"state": "frozen"})
    tab.bring_to_front()
    add_account(tab, "Im Winterschlaf")
    expect(account(phone, "Im Winterschlaf")).to_be_visible()
    wait_until_up_to_date(tab)
    session.send("Page.setWebLifecycleState", {"state": "active"})
    expect(account(laptop, "Im Winterschlaf")).to_have_count(1)
    wait_until_up_to_date(laptop)


def test_two_tabs_in_two_households_mix_nothing(laptop: Page, tab: Page, phone: Page) -> None:
    """J07"""
    tab.get_by_role("button", name="Haushalt wechseln").click()
    tab.get_by_role("button", name="Neuer Haushalt").click()
    tab.get_by_label("Name des Haushalts").fill("Vereinskasse")
    tab.get_by_role("dialog").get_by_role("button", name="Anlegen").click()
    expect_closed(tab)
    expect(tab.get_by_role("button", name="Haushalt wechseln")).to_contain_text("Vereinskasse")
    lose_network(laptop)
    add_account(laptop, "Nur zu Hause")
    add_account(tab, "Nur im Verein")
    find_network(laptop)
    for page in (laptop, tab):
        wait_until_up_to_date(page)
        page.reload()
        wait_until_up_to_date(page)
    for page in (laptop, phone):
        expect(account(page, "Nur zu Hause")).to_have_count(1)
        expect(account(page, "Nur im Verein")).to_have_count(0)
    expect(account(tab, "Nur im Verein")).to_have_count(1)
    expect(account(tab, "Nur zu Hause")).to_have_count(0)


def test_without_web_locks_two_tabs_send_everything_once(
    new_context: Callable[..., BrowserContext],
    sign_in: Callable[[BrowserContext], None],
    phone: Page,
) -> None:
    """J04"""
    context = new_context()
    context.add_init_script("delete Navigator.prototype.locks")
    sign_in(context)
    first = another_tab(context)
    assert first.evaluate("navigator.locks === undefined")
    second = another_tab(context)
    lose_network(first, second)
    add_account(first, "Ohne Schloss eins")
    add_account(second, "Ohne Schloss zwei")
    find_network(first, second)
    for page in (first, second, phone):
        for name in ("Ohne Schloss eins", "Ohne Schloss zwei"):
            expect(account(page, name)).to_have_count(1)
        wait_until_up_to_date(page)
    first.close()
    add_account(second, "Ohne Schloss drei")
    expect(account(phone, "Ohne Schloss drei")).to_have_count(1)
    wait_until_up_to_date(second)


def test_an_old_tab_beside_a_newer_app_keeps_what_it_made_and_says_so(laptop: Page) -> None:
    install(laptop)
    lose_network(laptop)
    add_account(laptop, "Von früher")
    assert laptop.evaluate(OPEN_AS_NEWER) == 1
    expect(light(laptop)).to_contain_text("Neue Version im anderen Tab – neu laden")
    expect(laptop.get_by_role("alert")).to_contain_text("läuft schon eine neuere Version")
    expect(account(laptop, "Von früher")).to_be_visible()
    laptop.reload()
    expect(laptop.get_by_text("lässt sich hier gerade nicht öffnen")).to_be_visible()
    expect(laptop.get_by_role("alert")).to_contain_text("läuft schon eine neuere Version")
    expect(laptop.get_by_text("Willkommen bei FinWise")).to_have_count(0)
    assert laptop.evaluate(PENDING) == ["Von früher"]


def test_an_app_that_is_too_old_for_the_server_keeps_everything_until_it_is_newer(
    laptop: Page, phone: Page
) -> None:
    is_too_old = [True]

    def answer(socket: Any) -> None:
        if is_too_old[0]:
            socket.close(code=4426, reason="upgrade needed")
        else:
            socket.connect_to_server()

    laptop.context.route_web_socket("**/ws/**", answer)
    laptop.reload()
    expect(light(laptop)).to_contain_text("Update nötig zum Synchronisieren")
    add_account(laptop, "Zu alt")
    details = open_details(laptop)
    expect(details).to_contain_text("alles wird hier gespeichert und nach dem Update gesendet")
    expect(details.get_by_role("listitem").filter(has_text="Zu alt")).to_be_visible()
    is_too_old[0] = False
    laptop.reload()
    wait_until_up_to_date(laptop)
    expect(account(phone, "Zu alt")).to_have_count(1)


# Every kind that the light shows from now on.
WATCH_LIGHT = """() => {
    const button = document.querySelector(".sync-button")
    window.seenKinds = [button.dataset.kind]
    new MutationObserver(() => window.seenKinds.push(button.dataset.kind))
        .observe(button, { attributes: true, attributeFilter: ["data-kind"] })
}"""

# Open the household's database as a version of the app with other tables would.
OPEN_AS_NEWER = """async () => {
    let opened = 0
    for (const { name, version } of await indexedDB.databases()) {
        if (!name.startsWith("finwise-")) continue
        await new Promise((done, failed) => {
            const opening = indexedDB.open(name, version + 10)
            opening.onupgradeneeded = () => opening.result.createObjectStore("of a newer app")
            opening.onsuccess = () => { opening.result.close(); done() }
            opening.onerror = () => failed(opening.error)
        })
        opened++
    }
    return opened
}"""

# The names in the queue.
PENDING = """async () => {
    const found = []
    for (const { name } of await indexedDB.databases()) {
        if (!name.startsWith("finwise-")) continue
        const db = await new Promise((done, failed) => {
            const opening = indexedDB.open(name)
            opening.onsuccess = () => done(opening.result)
            opening.onerror = () => failed(opening.error)
        })
        const reading = db.transaction("outbox").objectStore("outbox").getAll()
        await new Promise(done => { reading.onsuccess = done })
        found.push(...reading.result.map(entry => entry.fields.name))
        db.close()
    }
    return found
}"""
