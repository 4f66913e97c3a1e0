"""What a person may do in a household, seen from the browser."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from syncapp.tests.faults.real_server import RealServer

from .conftest import sign_in_as, wait_until_up_to_date
from .doing import account, add_account, command, find_network, light, lose_network

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def colleague(_server: RealServer) -> str:
    """The address of a second person, who may sign in."""
    email = "kim@finwise.example"
    arguments = ("create_user", "--email", email, "--name", "Kim")
    command(_server, *arguments, FINWISE_PASSWORD=PASSWORD)
    return email


def make_member(server: RealServer, email: str, role: str) -> None:
    tenant = server.demo["tenant_id"]
    command(server, "set_role", "--tenant", tenant, "--user", email, "--role", role)


@pytest.fixture
def editor(server: RealServer, colleague: str, new_context: Callable[..., BrowserContext]) -> Page:
    """Kim's device, which shows the demo household."""
    make_member(server, colleague, "editor")
    context = new_context()
    sign_in_as(context, email=colleague, password=PASSWORD)
    page = context.new_page()
    page.goto("/")
    wait_until_up_to_date(page)
    return page


def test_a_viewer_cannot_push_is_told_and_gives_up_what_is_never_sent(
    server: RealServer, colleague: str, editor: Page, laptop: Page
) -> None:
    make_member(server, colleague, "viewer")
    add_account(editor, "Nicht erlaubt")
    expect(light(editor)).to_contain_text("Nur Lesezugriff – 1 Änderung wird nicht gesendet")
    expect(editor.get_by_role("button", name="Konto anlegen")).to_have_count(0)
    expect(account(editor, "Nicht erlaubt")).to_be_visible()
    add_account(laptop, "Erlaubt")
    expect(account(editor, "Erlaubt")).to_be_visible()
    expect(account(laptop, "Nicht erlaubt")).to_have_count(0)

    light(editor).get_by_role("button").first.click()
    details = editor.get_by_role("dialog")
    expect(details).to_contain_text("Was hier wartet, ist gesichert, wird aber nicht gesendet.")
    with editor.expect_download() as export:
        details.get_by_role("button", name="Meine Daten exportieren").first.click()
    assert "Nicht erlaubt" in export.value.path().read_text()
    details.get_by_role("button", name="Alle verwerfen").click()
    expect(details.get_by_role("alert")).to_contain_text("1 Änderung endgültig verwerfen?")
    shoot(editor, "viewer")
    details.get_by_role("button", name="Ja, verwerfen").click()
    wait_until_up_to_date(editor)
    expect(account(editor, "Nicht erlaubt")).to_have_count(0)
    expect(account(editor, "Erlaubt")).to_have_count(1)


def test_who_is_taken_out_is_told_at_once_and_takes_the_household_off_the_device(
    server: RealServer, colleague: str, editor: Page
) -> None:
    """And what is half typed in another tab is not lost without a word."""
    tab = editor.context.new_page()
    tab.goto("/")
    wait_until_up_to_date(tab)
    tab.get_by_role("button", name="Konto anlegen").first.click()
    tab.get_by_role("dialog").get_by_label("Name", exact=True).fill("Halb getippt")
    command(server, "remove_member", server.demo["tenant_id"], colleague)
    expect(light(editor)).to_contain_text("Kein Zugang mehr zu diesem Haushalt")
    light(editor).get_by_role("button").first.click()
    shoot(editor, "out")
    editor.get_by_role("button", name="Von diesem Gerät entfernen").click()
    dialog = editor.get_by_role("dialog", name="„Demo household“ von diesem Gerät entfernen?")
    expect(dialog).to_contain_text("Was du hier entfernst, kommt nicht zurück.")
    remove = dialog.get_by_role("button", name="Entfernen")
    expect(remove).to_be_disabled()
    dialog.get_by_role("switch", name="Ja, ich brauche diese Daten").check()
    shoot(editor, "remove")
    remove.click()
    expect(editor.get_by_text("ist nicht mehr auf diesem Gerät")).to_be_visible()
    expect(editor.get_by_role("heading", name="Willkommen bei FinWise")).to_be_visible()
    assert editor.evaluate(HOUSEHOLDS_KEPT) == 0
    editor.reload()
    expect(editor.get_by_role("heading", name="Willkommen bei FinWise")).to_be_visible()
    expect(editor.get_by_text("Der Browser hat Daten gelöscht")).to_have_count(0)

    kept = tab.get_by_role("dialog", name="Dieses Formular musste schließen")
    typed = kept.get_by_label("Hier kannst du sie kopieren")
    expect(typed).to_have_value(re.compile("Halb getippt"))
    shoot(tab, "rescued")
    kept.get_by_role("button", name="Schließen").click()
    kept.get_by_role("button", name="Verwerfen").click()
    expect(kept).to_have_count(0)
    expect(tab.get_by_role("heading", name="Willkommen bei FinWise")).to_be_visible()
    expect(tab.get_by_role("alert")).to_have_count(0)


def test_two_members_who_share_a_browser_share_no_queue(
    server: RealServer, colleague: str, laptop: Page
) -> None:
    """A07"""
    make_member(server, colleague, "editor")
    lose_network(laptop)
    add_account(laptop, "Noch nicht gesendet")
    find_network_signed_out(laptop)

    sign_in_as(laptop.context, email=colleague, password=PASSWORD)
    laptop.evaluate(LOOK_AGAIN)
    expect(laptop.get_by_text("Angemeldet ist jetzt Kim.")).to_be_visible()
    laptop.reload()
    wait_until_up_to_date(laptop)
    expect(laptop.get_by_text("wartet auf diesem Gerät noch 1 Änderung.")).to_be_visible()
    shoot(laptop, "left-behind")
    expect(account(laptop, "Noch nicht gesendet")).to_have_count(0)
    add_account(laptop, "Von Kim")
    wait_until_up_to_date(laptop)

    sign_out(laptop)
    sign_in_as(laptop.context, email=server.demo["email"], password=server.demo["password"])
    laptop.goto("/")
    laptop.reload()
    wait_until_up_to_date(laptop)
    expect(account(laptop, "Noch nicht gesendet")).to_be_visible()
    expect(account(laptop, "Von Kim")).to_be_visible()


def find_network_signed_out(page: Page) -> None:
    """The network comes back, and the server knows this browser no more."""
    page.context.clear_cookies(name="sessionid")
    find_network(page)
    expect(light(page)).to_contain_text("1 Änderung ist hier gesichert")


def sign_out(page: Page) -> None:
    page.goto("/accounts/logout/")
    page.get_by_role("button", name="Abmelden").last.click()
    page.wait_for_url("**/accounts/login/**")


def shoot(page: Page, name: str) -> None:
    if folder := os.environ.get("FINWISE_SHOTS"):  # for people to look at
        page.screenshot(path=f"{folder}/members-{name}.png")


HOUSEHOLDS_KEPT = """() => indexedDB.databases()
    .then(all => all.filter(({ name }) => name.startsWith("finwise-")).length)"""

# As when somebody comes back to this tab: without a screen all of them are visible all the time.
LOOK_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"
