"""Servers that die, tabs by the dozen, values that are refused: nothing gets lost, all is said."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, WebSocketRoute, expect

from syncapp.tests.faults.real_server import RealServer

from .conftest import wait_until_up_to_date
from .doing import (
    account,
    add_account,
    add_known_account,
    command,
    expect_closed,
    find_network,
    install,
    light,
    lose_network,
    open_details,
    switch_household,
)

TABS = 12
HOUSEHOLD = "Ferienwohnung"
DELETED = "Der Browser hat Daten gelöscht"


def test_a_refusal_is_shown_and_edited_and_then_accepted(laptop: Page, phone: Page) -> None:
    laptop.wait_for_function("() => navigator.serviceWorker.ready")
    lose_network(laptop)
    add_account(laptop, "Zu lang")
    assert laptop.evaluate(PLANT_LONG_NAME) == 1
    laptop.reload()
    find_network(laptop)
    expect(light(laptop)).to_contain_text("1 Änderung braucht dich")
    details = open_details(laptop)
    refused = details.get_by_role("listitem").filter(has_text="Nicht angenommen")
    expect(refused).to_contain_text("Das ist zu lang: 121 Zeichen, höchstens 120.")
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
    expect_closed(laptop)
    add_account(laptop, "Kurtaxe", "12")
    find_network(laptop)
    wait_until_up_to_date(laptop)
    other = device()
    other.get_by_role("button", name="Haushalt wechseln").click()
    other.get_by_role("button", name=HOUSEHOLD).click()
    expect(account(other, "Kurtaxe")).to_contain_text("12,00")


def test_what_waits_in_a_household_that_is_not_shown_is_sent_too(laptop: Page, phone: Page) -> None:
    laptop.goto("/#/new")
    form = laptop.get_by_role("dialog")
    form.get_by_label("Name des Haushalts").fill("Ferienhaus")
    form.get_by_role("button", name="Anlegen").click()
    expect_closed(laptop)
    wait_until_up_to_date(laptop)
    phone.reload()
    wait_until_up_to_date(phone)
    lose_network(laptop)
    add_account(laptop, "Kaminholz")
    switch_household(laptop, "Demo household")
    laptop.get_by_role("button", name="Menü").click()
    laptop.get_by_role("button", name="Abmelden").click()
    expect(laptop.get_by_role("dialog")).to_contain_text("1 Änderung ist noch nicht gesendet")
    laptop.get_by_role("button", name="Abbrechen").click()
    find_network(laptop)
    wait_until_up_to_date(laptop)
    switch_household(phone, "Ferienhaus")
    expect(account(phone, "Kaminholz")).to_be_visible()
    wait_until_up_to_date(laptop)
    expect(laptop).to_have_title("Demo household · FinWise")


def test_a_server_killed_while_it_is_sent_to_gets_everything_once(
    laptop: Page, phone: Page, server: RealServer
) -> None:
    """B04"""
    lose_network(laptop)
    names = [f"Umschlag {n}" for n in range(5)]
    for name in names:
        add_account(laptop, name)

    def kill_at_push(frame: str | bytes) -> None:
        if '"push"' in str(frame) and not kills:
            kills.append(str(frame))
            server.kill()

    kills: list[str] = []
    laptop.on("websocket", lambda socket: socket.on("framesent", kill_at_push))
    find_network(laptop)
    laptop.locator(".sync-button[data-kind=unreachable]").wait_for()
    server.process.wait(20)
    server.start()
    wait_until_up_to_date(laptop)
    wait_until_up_to_date(phone)
    for page in (laptop, phone):
        for name in names:
            expect(account(page, name)).to_have_count(1)


def test_a_dozen_tabs_show_the_same_and_send_it_once(laptop: Page, phone: Page) -> None:
    """J01, J05"""
    tabs = [laptop, *(laptop.context.new_page() for _ in range(TABS - 1))]
    for tab in tabs[1:]:
        tab.goto("/")
    for tab in tabs:
        wait_until_up_to_date(tab)
    add_account(tabs[5], "Von Tab sechs")
    for page in (*tabs, phone):
        expect(account(page, "Von Tab sechs")).to_have_count(1)
        wait_until_up_to_date(page)


def test_a_household_whose_id_is_taken_moves_whole_to_a_fresh_one(
    laptop: Page, device: Callable[..., Page], server: RealServer
) -> None:
    lose_network(laptop)
    laptop.get_by_role("button", name="Haushalt wechseln").click()
    laptop.get_by_role("button", name="Neuer Haushalt").click()
    laptop.get_by_label("Name des Haushalts").fill("Doppelgänger")
    laptop.get_by_role("dialog").get_by_role("button", name="Anlegen").click()
    expect_closed(laptop)
    add_account(laptop, "Zieht um", "12")
    taken = shown_household(laptop)
    owner = "sam@finwise.example"
    make = ("create_tenant", "--name", "Schon da", "--owner", owner, "--create-user")
    command(server, *make, "--id", taken, FINWISE_PASSWORD="correct horse battery")
    find_network(laptop)
    wait_until_up_to_date(laptop)
    expect(account(laptop, "Zieht um")).to_contain_text("12,00")
    laptop.wait_for_function("taken => !location.hash.includes(taken)", arg=taken)
    laptop.reload()
    wait_until_up_to_date(laptop)
    expect(account(laptop, "Zieht um")).to_contain_text("12,00")
    other = device()
    other.get_by_role("button", name="Haushalt wechseln").click()
    other.get_by_role("button", name="Doppelgänger").click()
    expect(account(other, "Zieht um")).to_contain_text("12,00")
    expect(other.get_by_role("button", name="Schon da")).to_have_count(0)


def test_a_full_disk_is_said_and_neither_the_queue_nor_what_was_typed_is_lost(
    laptop: Page, phone: Page
) -> None:
    """A03"""
    lose_network(laptop)
    add_account(laptop, "Passt noch")
    laptop.evaluate(FILL_DISK)
    laptop.get_by_role("button", name="Konto anlegen").first.click()
    dialog = laptop.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("Passt nicht mehr")
    save = dialog.get_by_role("button", name="Konto anlegen")
    save.click()
    expect(laptop.get_by_text("Deine Eingabe steht noch hier").first).to_be_visible()
    expect(dialog.get_by_label("Name", exact=True)).to_have_value("Passt nicht mehr")
    expect(light(laptop)).to_contain_text("Nicht gespeichert: Speicher voll")
    expect(account(laptop, "Passt noch")).to_be_visible()
    laptop.evaluate("window.emptyDisk()")
    save.click()
    expect(account(laptop, "Passt nicht mehr")).to_be_visible()
    find_network(laptop)
    wait_until_up_to_date(laptop)
    for name in ("Passt noch", "Passt nicht mehr"):
        expect(account(phone, name)).to_have_count(1)


def test_a_database_that_is_taken_away_under_a_running_tab_is_told_and_comes_back(
    laptop: Page, phone: Page
) -> None:
    add_known_account(laptop, phone, "Beim Server")
    eraser = laptop.context.new_page()
    eraser.goto("/health/live")
    assert eraser.evaluate(DELETE_HOUSEHOLDS) == 1
    expect(light(laptop)).to_contain_text("Nicht gespeichert: Seite neu laden")
    expect(laptop.get_by_text(DELETED)).to_be_visible()
    laptop.get_by_role("button", name="Konto anlegen").first.click()
    dialog = laptop.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("Ins Leere")
    dialog.get_by_role("button", name="Konto anlegen").click()
    expect(laptop.get_by_text("Kopiere, was du brauchst").first).to_be_visible()
    expect(dialog.get_by_label("Name", exact=True)).to_have_value("Ins Leere")
    laptop.reload()
    expect(laptop.get_by_text(DELETED)).to_be_visible()
    wait_until_up_to_date(laptop)
    expect(account(laptop, "Beim Server")).to_be_visible()
    dialog.get_by_label("Name", exact=True).fill("Geht wieder")
    dialog.get_by_role("button", name="Konto anlegen").click()
    expect(account(phone, "Geht wieder")).to_be_visible()


def test_what_the_browser_deletes_between_two_visits_is_no_new_device_and_no_empty_household(
    laptop: Page, phone: Page
) -> None:
    laptop.wait_for_function(IS_REMEMBERED)
    add_known_account(laptop, phone, "Noch beim Server")
    page = evict(laptop)
    banner = page.get_by_role("alert").filter(has_text=DELETED)
    expect(banner).to_contain_text("Demo household")
    expect(banner).to_contain_text("war alles gesendet")
    wait_until_up_to_date(page)
    expect(account(page, "Noch beim Server")).to_be_visible()
    banner.get_by_role("button", name="Verstanden").click()
    page.reload()
    wait_until_up_to_date(page)
    expect(page.get_by_text(DELETED)).to_have_count(0)


def test_how_many_changes_the_browser_has_deleted_is_said_as_far_as_the_server_knows(
    laptop: Page,
) -> None:
    def pass_all_but_pushes(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        socket.on_message(lambda text: None if '"push"' in str(text) else server.send(text))

    install(laptop)
    laptop.wait_for_function(IS_REMEMBERED)
    lose_network(laptop)
    add_account(laptop, "Nie gesendet")
    laptop.context.route_web_socket("**/ws/**", pass_all_but_pushes)
    laptop.reload()
    with laptop.expect_websocket():
        find_network(laptop)
    # Its hello has told how many are waiting; a pull is sent when that was taken.
    laptop.locator(".sync-button[data-kind=syncing]").wait_for()
    page = evict(laptop)
    expect(page.get_by_text(DELETED)).to_be_visible()
    expect(page.get_by_text("war 1 Änderung noch nicht gesendet")).to_be_visible()


def evict(page: Page) -> Page:
    """Close the app; the browser deletes what it may delete without asking; open the app again."""
    context = page.context
    again = context.new_page()
    again.goto("/health/live")
    origin = again.evaluate("location.origin")
    for each in context.pages:
        if each is not again:
            each.close()
    session = context.new_cdp_session(again)
    types = "indexeddb,local_storage,cache_storage,service_workers"
    session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": types})
    again.goto("/")
    return again


def test_a_part_of_the_page_that_fails_takes_nothing_else_with_it(
    laptop: Page, phone: Page
) -> None:
    install(laptop)
    lose_network(laptop)
    add_account(laptop, "Vor dem Fehler")
    laptop.context.add_init_script(BREAK_AMOUNTS)
    laptop.evaluate("localStorage.setItem('breaks', '1')")
    laptop.reload()
    expect(laptop.get_by_role("alert")).to_contain_text("Hier ist etwas schiefgegangen")
    expect(laptop.get_by_role("alert")).to_contain_text("weiter auf diesem Gerät")
    expect(light(laptop)).to_contain_text("Offline – 1 Änderung")
    find_network(laptop)
    wait_until_up_to_date(laptop)
    expect(account(phone, "Vor dem Fehler")).to_be_visible()
    laptop.evaluate("localStorage.removeItem('breaks')")
    laptop.get_by_role("button", name="Noch einmal versuchen").click()
    expect(account(laptop, "Vor dem Fehler")).to_be_visible()


def shown_household(page: Page) -> str:
    found = re.search(r"#/h/([0-9a-f-]{36})", page.url)
    assert found is not None, page.url
    return found[1]


# A browser believes for half a minute what it last knew of the room that there is, so its quota
# cannot be made short at a moment of our choice: the database answers as if it were.
FILL_DISK = """() => {
    const { add, put } = IDBObjectStore.prototype
    const refuse = () => { throw new DOMException("The disk is full.", "QuotaExceededError") }
    Object.assign(IDBObjectStore.prototype, { add: refuse, put: refuse })
    window.emptyDisk = () => { Object.assign(IDBObjectStore.prototype, { add, put }) }
}"""

# The server's cookie says which device this is.
IS_REMEMBERED = """() => fetch("/api/session")
    .then(answer => answer.json())
    .then(told => told.devices.length === 1)"""

# As the browser does when the disk is short of space, without asking those who use it.
DELETE_HOUSEHOLDS = """async () => {
    let deleted = 0
    for (const { name } of await indexedDB.databases()) {
        if (!name.startsWith("finwise-")) continue
        await new Promise((done, failed) => {
            const deleting = indexedDB.deleteDatabase(name)
            deleting.onsuccess = done
            deleting.onerror = () => failed(deleting.error)
        })
        deleted++
    }
    return deleted
}"""

# Whatever shows an amount fails while the mark is there.
BREAK_AMOUNTS = """
    const format = Object.getOwnPropertyDescriptor(Intl.NumberFormat.prototype, "format")
    Object.defineProperty(Intl.NumberFormat.prototype, "format", {
        get() {
            if (localStorage.getItem("breaks")) throw new Error("a fault of the program")
            return format.get.call(this)
        },
    })
"""

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
