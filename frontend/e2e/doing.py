"""What people do with the app, in their words, for the stories about it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from playwright.sync_api import Locator, Page, expect

from finwise.places import ROOT
from syncapp.tests.faults.real_server import RealServer

from .conftest import PATIENCE_MS, wait_until_up_to_date

COMMAND_S = 60
expect.set_options(timeout=PATIENCE_MS)


def account(page: Page, name: str) -> Locator:
    return page.get_by_role("link", name=re.compile(f"^{re.escape(name)}"))


def light(page: Page) -> Locator:
    return page.locator(".sync-button")


def add_group(page: Page, name: str) -> None:
    page.get_by_role("button", name="Gruppe anlegen").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill(name)
    dialog.get_by_role("button", name="Gruppe anlegen").click()
    expect_closed(page)
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def add_account(page: Page, name: str, balance: str = "1", group: str = "Ohne Gruppe") -> None:
    page.get_by_role("button", name="Konto anlegen").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill(name)
    dialog.get_by_label("Kontostand", exact=True).fill(balance)
    dialog.get_by_label("Gruppe", exact=True).select_option(label=group)
    dialog.get_by_role("button", name="Konto anlegen").click()
    expect_closed(page)
    expect(account(page, name)).to_be_visible()


def edit_account(page: Page, name: str, **typed: str) -> None:
    """Give fields, by the label of their input, other values."""
    account(page, name).click()
    dialog = page.get_by_role("dialog")
    for label, value in typed.items():
        dialog.get_by_label(label, exact=True).fill(value)
    dialog.get_by_role("button", name="Speichern").click()
    expect_closed(page)


def delete_account(page: Page, name: str) -> None:
    account(page, name).click()
    page.get_by_role("button", name="Konto löschen").click()
    expect_closed(page)
    expect(account(page, name)).to_have_count(0)


def expect_closed(page: Page) -> None:
    """The form is gone and so is its address: a step back in the history, which takes a moment.

    The row is to be seen before that. A reload in between would be cancelled by the step.
    """
    expect(page.locator("dialog.sheet")).to_have_count(0)


def add_known_account(maker: Page, other: Page, name: str) -> None:
    """An account that both devices have, as it stands on the server."""
    add_account(maker, name)
    expect(account(other, name)).to_be_visible()
    wait_until_up_to_date(maker)


def install(page: Page) -> None:
    """Let the app be one that opens without a network: its worker has everything, and serves it."""
    page.wait_for_function("() => navigator.serviceWorker.ready")
    page.reload()
    wait_until_up_to_date(page)


def switch_household(page: Page, name: str) -> None:
    page.get_by_role("button", name="Haushalt wechseln").click()
    page.get_by_role("button", name=re.compile(f"^{re.escape(name)}")).click()
    expect(page).to_have_title(f"{name} · FinWise")


def lose_network(*pages: Page) -> None:
    for page in pages:
        page.context.set_offline(True)
        page.locator(".sync-button[data-kind^=offline]").wait_for()


def find_network(*pages: Page) -> None:
    for page in pages:
        page.context.set_offline(False)


def open_details(page: Page) -> Locator:
    page.get_by_role("button", name="Details zum Abgleich").click()
    return page.get_by_role("dialog")


def take_mine(page: Page, *shown: str) -> None:
    """The one change of this device that was overruled: see both values, and tap once."""
    expect(light(page)).to_contain_text("1 Änderung braucht dich")
    details = open_details(page)
    overruled = details.get_by_role("listitem").filter(has_text="Überschrieben")
    for text in shown:
        expect(overruled).to_contain_text(text)
    overruled.get_by_role("button", name="Meins nehmen").click()
    expect(overruled).to_have_count(0)
    details.get_by_role("button", name="Schließen").first.click()
    expect(details).to_have_count(0)


def command(server: RealServer, *arguments: str, **environment: str) -> str:
    """What an operator's command says, run beside the serving program."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, capture_output=True, text=True,
        timeout=COMMAND_S,
        env={
            "PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment,
            "FINWISE_STATE_DIR": str(server.state_dir),
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
