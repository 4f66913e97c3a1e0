"""Offline and back: what two devices of one person go through, in real browsers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, expect

from .conftest import ARGUMENTS, DESK, PATIENCE_MS, wait_until_up_to_date
from .doing import (
    account,
    add_account,
    add_known_account,
    delete_account,
    edit_account,
    find_network,
    light,
    lose_network,
    take_mine,
)


def test_offline_work_survives_a_reload_and_a_closed_tab_and_is_sent_without_a_click(
    laptop: Page, phone: Page
) -> None:
    """A01, A09"""
    laptop.wait_for_function("() => navigator.serviceWorker.ready")
    lose_network(laptop)
    add_account(laptop, "Im Zug")
    assert laptop.evaluate(FOUR_DAYS_PASS) == 1
    laptop.add_init_script(NOTHING_IS_PROMISED)
    laptop.reload()
    expect(account(laptop, "Im Zug")).to_be_visible()
    warning = laptop.get_by_role("alert").filter(has_text="Seit 4 Tagen")
    expect(warning).to_contain_text("sieben Tage")
    warning.get_by_role("button", name="Später").press("Enter")
    expect(warning).to_have_count(0)
    expect(laptop.get_by_role("main")).to_be_focused()
    laptop.close()
    again = laptop.context.new_page()
    again.goto("/")
    expect(account(again, "Im Zug")).to_be_visible()
    expect(light(again)).to_contain_text("Offline – 1 Änderung auf diesem Gerät gespeichert")
    expect(account(phone, "Im Zug")).to_have_count(0)
    find_network(again)
    expect(account(phone, "Im Zug")).to_be_visible()
    wait_until_up_to_date(again)


# As browsers answer that do not know the site well.
NOTHING_IS_PROMISED = """
    StorageManager.prototype.persist = StorageManager.prototype.persisted = async () => false
"""

# What waits in the queue was made four days earlier than it was.
FOUR_DAYS_PASS = """async () => {
    let aged = 0
    for (const { name } of await indexedDB.databases()) {
        const db = await new Promise((done, failed) => {
            const opening = indexedDB.open(name)
            opening.onsuccess = () => done(opening.result)
            opening.onerror = () => failed(opening.error)
        })
        if (db.objectStoreNames.contains("outbox")) {
            const writing = db.transaction("outbox", "readwrite")
            const reading = writing.objectStore("outbox").openCursor()
            reading.onsuccess = () => {
                const cursor = reading.result
                if (!cursor) return
                const { value } = cursor
                cursor.update({ ...value, madeMs: value.madeMs - 4 * 24 * 3600 * 1000 })
                aged++
                cursor.continue()
            }
            await new Promise(done => { writing.oncomplete = done })
        }
        db.close()
    }
    return aged
}"""


@pytest.fixture
def profile() -> Iterator[Path]:
    """The folder of a browser that keeps what it knows when it ends."""
    folder = Path(tempfile.mkdtemp(prefix="finwise-profile-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_offline_work_survives_the_kill_of_the_browser(
    _playwright: Playwright,
    chromium_path: str,
    profile: Path,
    address: str,
    sign_in: Callable[[BrowserContext], None],
    phone: Page,
) -> None:
    """A01"""

    def launch() -> BrowserContext:
        context = _playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium_path, args=list(ARGUMENTS), base_url=address,
            viewport=DESK, locale="de-DE",
        )  # fmt: skip
        context.set_default_timeout(PATIENCE_MS)
        return context

    first = launch()
    sign_in(first)
    page = first.new_page()
    page.goto("/")
    wait_until_up_to_date(page)
    lose_network(page)
    add_account(page, "Vor dem Absturz")
    kill_browser(profile)
    second = launch()
    second.clear_cookies(name="sessionid")  # the browser itself may have kept it, or not
    page = second.new_page()
    page.goto("/")
    expect(account(page, "Vor dem Absturz")).to_be_visible()
    expect(light(page)).to_contain_text("1 Änderung ist hier gesichert")
    sign_in(second)
    page.reload()
    wait_until_up_to_date(page)
    expect(account(phone, "Vor dem Absturz")).to_be_visible()
    second.close()


def test_a_deletion_arrives(laptop: Page, phone: Page) -> None:
    add_known_account(laptop, phone, "Aufgelöst")
    lose_network(laptop)
    delete_account(laptop, "Aufgelöst")
    expect(account(phone, "Aufgelöst")).to_be_visible()
    find_network(laptop)
    expect(account(phone, "Aufgelöst")).to_have_count(0)
    wait_until_up_to_date(laptop)


def test_a_newer_edit_beats_an_older_deletion(laptop: Page, phone: Page) -> None:
    add_known_account(laptop, phone, "Totgesagt")
    lose_network(laptop, phone)
    delete_account(laptop, "Totgesagt")
    edit_account(phone, "Totgesagt", Kontostand="77")
    find_network(laptop)
    wait_until_up_to_date(laptop)
    find_network(phone)
    for page in (laptop, phone):
        expect(account(page, "Totgesagt")).to_contain_text("77,00")
    take_mine(laptop, "gelöscht", "vorhanden")
    for page in (laptop, phone):
        expect(account(page, "Totgesagt")).to_have_count(0)


def test_a_newer_deletion_beats_an_older_edit(laptop: Page, phone: Page) -> None:
    add_known_account(laptop, phone, "Abgeschlossen")
    lose_network(laptop, phone)
    edit_account(laptop, "Abgeschlossen", Kontostand="78")
    delete_account(phone, "Abgeschlossen")
    find_network(laptop)
    wait_until_up_to_date(laptop)
    find_network(phone)
    for page in (laptop, phone):
        expect(account(page, "Abgeschlossen")).to_have_count(0)
    take_mine(laptop, "vorhanden", "gelöscht")
    for page in (laptop, phone):
        expect(account(page, "Abgeschlossen")).to_contain_text("78,00")


def test_edits_of_different_fields_are_both_kept(laptop: Page, phone: Page) -> None:
    add_known_account(laptop, phone, "Haushaltskasse")
    lose_network(laptop, phone)
    edit_account(laptop, "Haushaltskasse", Name="Gemeinsame Kasse")
    edit_account(phone, "Haushaltskasse", Kontostand="42")
    find_network(laptop, phone)
    for page in (laptop, phone):
        expect(account(page, "Gemeinsame Kasse")).to_contain_text("42,00")
        wait_until_up_to_date(page)


def test_of_two_edits_of_a_field_the_newest_wins_and_the_other_is_taken_back_with_one_tap(
    laptop: Page, phone: Page
) -> None:
    add_known_account(laptop, phone, "Strittig")
    lose_network(laptop, phone)
    edit_account(laptop, "Strittig", Kontostand="111")
    edit_account(phone, "Strittig", Kontostand="222")
    find_network(laptop, phone)
    for page in (laptop, phone):
        expect(account(page, "Strittig")).to_contain_text("222,00")
    take_mine(laptop, "111,00", "222,00")
    for page in (laptop, phone):
        expect(account(page, "Strittig")).to_contain_text("111,00")
        wait_until_up_to_date(page)


def kill_browser(profile: Path) -> None:
    """Kill -9, as a crash does: nothing is written any more."""
    named = f"--user-data-dir={profile}"
    for process in psutil.Process().children(recursive=True):
        with_arguments = process.cmdline() if process.is_running() else []
        if named in with_arguments and not any("--type=" in each for each in with_arguments):
            process.kill()
            psutil.wait_procs([process], timeout=10)
            return
    raise AssertionError("The browser was not found.")
