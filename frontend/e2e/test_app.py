"""The app as its person meets it: real browser, real server."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from syncapp.tests.faults.real_server import RealServer

from .conftest import wait_for_light, wait_until_up_to_date
from .doing import add_account, add_group, expect_closed


def test_a_first_visit_begins_without_network_or_sign_in(
    new_context: Callable[..., BrowserContext],
) -> None:
    page = new_context().new_page()
    page.goto("/")
    page.get_by_role("button", name="Haushalt anlegen").click()
    page.get_by_label("Name des Haushalts").fill("Ferienhaus")
    page.get_by_role("dialog").get_by_role("button", name="Anlegen").click()
    expect_closed(page)
    add_account(page, "Kasse", "1.234,56")
    expect(page.locator(".total-card")).to_contain_text("1.234,56")
    expect(page.locator(".sync-button")).to_contain_text("Anmelden zum Synchronisieren")
    page.reload()
    expect(page.get_by_role("link", name=re.compile("^Kasse"))).to_be_visible()


def test_who_signs_in_is_led_back_to_the_app(
    new_context: Callable[..., BrowserContext], server: RealServer
) -> None:
    page = new_context().new_page()
    page.goto("/")
    page.get_by_role("button", name="Anmelden").click()
    page.get_by_label("E-Mail").fill(server.demo["email"])
    page.get_by_label("Passwort", exact=True).fill(server.demo["password"])
    page.get_by_role("button", name="Anmelden", exact=True).click()
    wait_until_up_to_date(page)
    expect(page).to_have_title("Demo household · FinWise")


def test_what_one_device_makes_the_other_shows(laptop: Page, phone: Page) -> None:
    add_group(laptop, "Bank")
    add_account(laptop, "Girokonto", "2847,31", "Bank")
    expect(phone.get_by_role("link", name=re.compile("^Girokonto"))).to_be_visible()
    expect(phone.get_by_role("heading", name="Bank")).to_be_visible()
    expect(phone.locator(".total-card")).to_contain_text("2.847,31")
    wait_until_up_to_date(laptop)


def test_it_opens_without_a_network_and_sends_later_by_itself(
    laptop: Page, device: Callable[..., Page]
) -> None:
    laptop.wait_for_function("() => navigator.serviceWorker.ready")
    laptop.context.set_offline(True)
    laptop.reload()
    wait_for_light(laptop, "offline")
    add_account(laptop, "Unterwegs", "5")
    expect(laptop.locator(".sync-button")).to_contain_text(
        "Offline – 1 Änderung auf diesem Gerät gespeichert"
    )
    laptop.reload()
    expect(laptop.get_by_role("link", name=re.compile("^Unterwegs"))).to_be_visible()
    laptop.context.set_offline(False)
    wait_until_up_to_date(laptop)
    other = device()
    expect(other.get_by_role("link", name=re.compile("^Unterwegs"))).to_be_visible()


def test_a_deleted_account_comes_back_with_undo(laptop: Page) -> None:
    add_account(laptop, "Sparschwein", "10")
    laptop.get_by_role("link", name=re.compile("^Sparschwein")).click()
    laptop.get_by_role("button", name="Konto löschen").click()
    expect(laptop.get_by_role("link", name=re.compile("^Sparschwein"))).to_have_count(0)
    expect_closed(laptop)
    focused = laptop.locator("main :focus, main:focus")
    expect(focused).to_have_count(1)  # also after the row and its form, which had it, are gone
    laptop.get_by_role("button", name="Rückgängig").press("Enter")
    expect(laptop.get_by_role("link", name=re.compile("^Sparschwein"))).to_be_visible()
    expect(focused).to_have_count(1)


def test_a_form_says_what_is_wrong_and_keeps_what_was_typed(laptop: Page) -> None:
    laptop.get_by_role("button", name="Konto anlegen").first.click()
    dialog = laptop.get_by_role("dialog")
    dialog.get_by_label("Kontostand", exact=True).fill("viel")
    dialog.get_by_label("IBAN").fill("DE00 3704 0044 0532 0130 00")
    dialog.get_by_role("button", name="Konto anlegen").click()
    expect(dialog.get_by_text("Bitte ausfüllen.")).to_be_visible()
    expect(dialog.get_by_text("Das ist kein Betrag.")).to_be_visible()
    expect(dialog.get_by_text("Diese IBAN stimmt nicht.")).to_be_visible()
    expect(dialog.get_by_label("Name", exact=True)).to_be_focused()
    laptop.keyboard.press("Escape")
    expect(dialog.get_by_text("noch nicht gespeichert")).to_be_visible()
    dialog.get_by_role("button", name="Weiter bearbeiten").click()
    expect(dialog.get_by_label("Kontostand", exact=True)).to_have_value("viel")


def test_the_back_key_closes_a_form_and_the_focus_returns(laptop: Page) -> None:
    add_account(laptop, "Depot", "7")
    link = laptop.get_by_role("link", name=re.compile("^Depot"))
    link.click()
    expect(laptop.get_by_role("dialog")).to_be_visible()
    laptop.go_back()
    expect_closed(laptop)
    expect(link).to_be_focused()


def test_the_back_key_throws_nothing_away_that_was_typed(laptop: Page) -> None:
    laptop.get_by_role("button", name="Konto anlegen").first.click()
    form = laptop.get_by_role("dialog")
    form.get_by_label("Name", exact=True).fill("Lange getippt")
    laptop.go_back()
    expect(form).to_contain_text("noch nicht gespeichert")
    expect(form.get_by_label("Name", exact=True)).to_have_value("Lange getippt")
    form.get_by_role("button", name="Verwerfen").click()
    expect(form).to_have_count(0)
    expect(laptop).to_have_url(re.compile(r"/#/h/[0-9a-f-]+$"))


def test_accounts_are_moved_by_keys_and_the_others_follow(laptop: Page, phone: Page) -> None:
    for name in ("Erstes", "Zweites", "Drittes"):
        add_account(laptop, name, "1")
    laptop.get_by_role("button", name="Ordnen").click()
    grip = laptop.get_by_role("button", name="Drittes verschieben")
    grip.press("ArrowUp")
    expect(laptop.locator("[aria-live=polite]", has_text="Drittes: Platz")).to_have_count(1)
    expect(grip).to_be_focused()
    grip.press("ArrowUp")
    wanted = ["Drittes", "Erstes", "Zweites"]
    laptop.wait_for_function(ORDER_IS, arg=wanted)
    phone.wait_for_function(ORDER_IS, arg=wanted)


def test_accounts_are_dragged_into_another_group(laptop: Page, phone: Page) -> None:
    add_group(laptop, "Reise")
    add_account(laptop, "Reisekasse", "50")
    laptop.get_by_role("button", name="Ordnen").click()
    laptop.get_by_role("button", name="Gruppe Reise verschieben").wait_for()
    grip = laptop.get_by_role("button", name="Reisekasse verschieben")
    target = laptop.locator("section", has=laptop.get_by_role("heading", name="Reise")).locator(
        "ul"
    )
    grip.scroll_into_view_if_needed()
    drag(laptop, grip, target)
    section = phone.locator("section", has=phone.get_by_role("heading", name="Reise"))
    expect(section.get_by_role("link", name=re.compile("^Reisekasse"))).to_be_visible()


def test_a_photo_is_made_small_and_travels(laptop: Page, phone: Page) -> None:
    add_account(laptop, "Bildkonto", "1")
    laptop.get_by_role("link", name=re.compile("^Bildkonto")).click()
    laptop.get_by_role("button", name="Weitere Angaben").click()
    png = laptop.evaluate(LARGE_PHOTO)
    photo = {"name": "a.png", "mimeType": "image/png", "buffer": base64.b64decode(png)}
    assert len(photo["buffer"]) > 500_000
    laptop.locator("input[type=file]").set_input_files(photo)
    laptop.locator("dialog img").wait_for()
    laptop.get_by_role("button", name="Speichern").click()
    image = phone.locator("li[data-account]", has_text="Bildkonto").locator("img")
    image.wait_for()
    url = image.get_attribute("src") or ""
    assert url.startswith("data:image/webp;base64,")
    assert len(url) <= 100 * 1024 * 4 / 3 + 64


def test_a_sync_by_hand_ends_in_an_answer(laptop: Page) -> None:
    laptop.get_by_role("button", name="Aktuell").click()
    expect(laptop.locator(".sync-button")).to_contain_text("Aktuell – gerade geprüft")
    laptop.context.set_offline(True)
    wait_for_light(laptop, "offline")
    laptop.locator(".sync-button button").first.click()
    expect(laptop.locator(".sync-button")).to_contain_text("Kein Netz – alles ist hier gespeichert")


AN_HOUR_AHEAD = """
    const rightNow = Date.now.bind(Date)
    Date.now = () => rightNow() + 3600 * 1000
"""


def test_the_panel_shows_devices_and_a_wrong_clock_and_exports_everything(
    laptop: Page, phone: Page
) -> None:
    """D07: what is made by a clock that is an hour ahead is sent like anything else."""
    laptop.add_init_script(AN_HOUR_AHEAD)
    laptop.reload()
    wait_until_up_to_date(laptop)
    add_account(laptop, "Exportkonto", "12,5")
    wait_until_up_to_date(laptop)
    expect(phone.get_by_role("link", name=re.compile("^Exportkonto"))).to_be_visible()
    laptop.get_by_role("button", name="Details zum Abgleich").click()
    expect(
        laptop.get_by_role("dialog").get_by_text("dieses Gerät", exact=False).first
    ).to_be_visible()
    expect(laptop.get_by_role("dialog")).to_contain_text("geht 1 Stunde vor")
    with laptop.expect_download() as download:
        laptop.get_by_role("button", name="Meine Daten exportieren").click()
    assert "Exportkonto" in json.dumps(json.loads(download.value.path().read_text()))


def test_the_language_changes_at_once_and_stays(laptop: Page) -> None:
    laptop.get_by_role("button", name="Menü").click()
    laptop.get_by_label("English").check()
    expect(laptop.locator(".sync-button")).to_contain_text("Up to date")
    laptop.reload()
    expect(laptop.locator("html")).to_have_attribute("lang", "en")
    expect(laptop.locator(".sync-button")).to_contain_text("Up to date")


def drag(page: Page, grip: object, target: object) -> None:
    """As a hand does: press, move in steps, let go."""
    start, end = grip.bounding_box(), target.bounding_box()  # type: ignore[attr-defined]
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(start["x"] + 30, start["y"] + 5, steps=4)
    page.mouse.move(end["x"] + 40, end["y"] + end["height"] / 2, steps=12)
    page.mouse.move(end["x"] + 42, end["y"] + end["height"] / 2 + 1, steps=2)
    page.mouse.up()


ORDER_IS = """wanted => {
    const found = document.querySelectorAll("li[data-account] a .font-medium > span:first-child")
    const names = [...found]
        .map(each => each.textContent.trim()).filter(each => wanted.includes(each))
    return JSON.stringify(names) === JSON.stringify(wanted)
}"""

# Noise does not compress: larger than what the server would take.
LARGE_PHOTO = """() => {
    const canvas = document.createElement("canvas")
    canvas.width = canvas.height = 700
    const context = canvas.getContext("2d")
    const pixels = context.createImageData(700, 700)
    for (let n = 0; n < pixels.data.length; n++)
        pixels.data[n] = n % 4 === 3 ? 255 : (n * 7919) % 251 ^ (n >> 5) & 255
    context.putImageData(pixels, 0, 0)
    return canvas.toDataURL("image/png").split(",")[1]
}"""


def test_a_page_that_answers_for_the_server_is_told_and_nothing_is_lost(laptop: Page) -> None:
    """I06"""
    context = laptop.context
    wifi = {"status": 200, "content_type": "text/html", "body": "<h1>Welcome to our Wi-Fi</h1>"}
    context.route("**/health/live", lambda route: route.fulfill(**wifi))
    context.route("**/api/**", lambda route: route.fulfill(**wifi))
    context.route_web_socket("**/ws/**", lambda socket: socket.close())
    laptop.reload()
    expect(laptop.get_by_text("Statt des Servers antwortet eine andere Seite")).to_be_visible()
    add_account(laptop, "Im Hotel", "3")
    expect(laptop.locator(".sync-button")).not_to_contain_text("Aktuell")
