"""Servers that die, tabs by the dozen, values that are refused: nothing gets lost, all is said."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, WebSocket, expect

from syncapp.tests.faults.real_server import RealServer

from .conftest import wait_until_up_to_date
from .doing import account, add_account, find_network, light, lose_network, open_details

TABS = 12
HOUSEHOLD = "Ferienwohnung"


def test_a_refusal_is_shown_and_edited_and_then_accepted(laptop: Page, phone: Page) -> None:
    laptop.wait_for_function("navigator.serviceWorker.ready")
    lose_network(laptop)
    add_account(laptop, "Zu lang")
    assert laptop.evaluate(PLANT_LONG_NAME) == 1
    laptop.reload()
    find_network(laptop)
    expect(light(laptop)).to_contain_text("1 Änderung braucht dich")
    details = open_details(laptop)
    refused = details.get_by_role("listitem").filter(has_text="Nicht angenommen")
    expect(refused).to_contain_text("Das ist zu lang.")
    refused.get_by_label("Name", exact=True).fill("Kurz genug")
    refused.get_by_role("button", name="Noch einmal senden").click()
    expect(refused).to_have_count(0)
    expect(account(phone, "Kurz genug")).to_be_visible()
    wait_until_up_to_date(laptop)


def test_a_household_born_offline_is_made_on_the_server_and_filled(
    laptop: Page, device: Callable[..., Page]
) -> None:
    lose_network(laptop)
    laptop.get_by_role("button", name="Haushalt wechseln").click()
    laptop.get_by_role("button", name="Neuer Haushalt").click()
    laptop.get_by_label("Name des Haushalts").fill(HOUSEHOLD)
    laptop.get_by_role("dialog").get_by_role("button", name="Anlegen").click()
    add_account(laptop, "Kurtaxe", "12")
    find_network(laptop)
    wait_until_up_to_date(laptop)
    other = device()
    other.get_by_role("button", name="Haushalt wechseln").click()
    other.get_by_role("button", name=HOUSEHOLD).click()
    expect(account(other, "Kurtaxe")).to_contain_text("12,00")


def test_a_server_killed_while_it_is_sent_to_gets_everything_once(
    laptop: Page, phone: Page, server: RealServer
) -> None:
    lose_network(laptop)
    names = [f"Umschlag {n}" for n in range(5)]
    for name in names:
        add_account(laptop, name)

    def kill_at_push(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: server.kill() if '"push"' in str(frame) else None)

    laptop.once("websocket", kill_at_push)
    find_network(laptop)
    laptop.locator(".sync-button[data-kind=unreachable]").wait_for()
    assert server.process.poll() is not None
    server.start()
    wait_until_up_to_date(laptop)
    wait_until_up_to_date(phone)
    for page in (laptop, phone):
        for name in names:
            expect(account(page, name)).to_have_count(1)


def test_a_dozen_tabs_show_the_same_and_send_it_once(laptop: Page, phone: Page) -> None:
    tabs = [laptop, *(laptop.context.new_page() for _ in range(TABS - 1))]
    for tab in tabs[1:]:
        tab.goto("/")
    for tab in tabs:
        wait_until_up_to_date(tab)
    add_account(tabs[5], "Von Tab sechs")
    for page in (*tabs, phone):
        expect(account(page, "Von Tab sechs")).to_have_count(1)
        wait_until_up_to_date(page)


# A name that no form lets pass: as if the server had stricter rules than this app.
PLANT_LONG_NAME = """async () => {
    let planted = 0
    for (const { name } of await indexedDB.databases()) {
        const db = await new Promise((done, failed) => {
            const opening = indexedDB.open(name)
            opening.onsuccess = () => done(opening.result)
            opening.onerror = () => failed(opening.error)
        })
        if (db.objectStoreNames.contains("outbox")) {
            const writing = db.transaction("outbox", "readwrite")
            const outbox = writing.objectStore("outbox")
            const reading = outbox.getAll()
            reading.onsuccess = () => {
                for (const entry of reading.result) {
                    entry.fields.name = "Z".repeat(121)
                    outbox.put(entry)
                    planted++
                }
            }
            await new Promise(done => { writing.oncomplete = done })
        }
        db.close()
    }
    return planted
}"""
