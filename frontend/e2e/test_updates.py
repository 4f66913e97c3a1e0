"""A new version of the app: asked for, taken by whoever agrees, and nothing is lost on the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from .conftest import wait_until_up_to_date
from .doing import account, add_account, find_network, install, light, lose_network

UPDATE = "Eine neue Version ist da."


@pytest.fixture
def release(built_app: Path) -> Iterator[Callable[[], None]]:
    """Let the server have a newer version of the app: another service worker, the same files."""
    worker = built_app / "sw.js"
    before = worker.read_bytes()

    def replace(content: bytes) -> None:
        beside = worker.with_suffix(".new")
        beside.write_bytes(content)
        os.replace(beside, worker)

    yield lambda: replace(before + b"\n// the next version\n")
    replace(before)


def find_update(page: Page) -> None:
    """What the app does by itself every hour, and whenever it is looked at again."""
    page.evaluate("navigator.serviceWorker.getRegistration().then(it => it.update())")
    expect(page.get_by_text(UPDATE)).to_be_visible()


def mark(page: Page) -> None:
    """Leave a sign that is gone when the page is loaded anew."""
    page.evaluate("window.isOld = true")


def test_an_update_asks_first_and_loses_nothing_that_is_pending(
    laptop: Page, phone: Page, release: Callable[[], None]
) -> None:
    install(laptop)
    mark(laptop)
    release()
    find_update(laptop)
    lose_network(laptop)
    add_account(laptop, "Vor dem Update")
    assert laptop.evaluate("window.isOld")
    laptop.get_by_role("button", name="Jetzt aktualisieren").click()
    laptop.wait_for_function("() => window.isOld === undefined")
    expect(account(laptop, "Vor dem Update")).to_be_visible()
    expect(light(laptop)).to_contain_text("Offline – 1 Änderung auf diesem Gerät gespeichert")
    expect(laptop.get_by_text(UPDATE)).to_have_count(0)
    find_network(laptop)
    wait_until_up_to_date(laptop)
    expect(account(phone, "Vor dem Update")).to_have_count(1)


def test_an_update_that_is_taken_in_one_tab_takes_no_half_typed_form_from_another(
    laptop: Page, release: Callable[[], None]
) -> None:
    install(laptop)
    other = laptop.context.new_page()
    other.goto("/")
    wait_until_up_to_date(other)
    mark(laptop)
    mark(other)
    release()
    find_update(laptop)
    expect(other.get_by_text(UPDATE)).to_be_visible()
    other.get_by_role("button", name="Konto anlegen").first.click()
    typed = other.get_by_role("dialog").get_by_label("Name", exact=True)
    typed.fill("Halb getippt")
    laptop.get_by_role("button", name="Jetzt aktualisieren").click()
    laptop.wait_for_function("() => window.isOld === undefined")
    wait_until_up_to_date(laptop)
    expect(typed).to_have_value("Halb getippt")
    other.get_by_role("dialog").get_by_role("button", name="Konto anlegen").click()
    expect(account(laptop, "Halb getippt")).to_be_visible()
    other.get_by_role("button", name="Jetzt aktualisieren").click()
    other.wait_for_function("() => window.isOld === undefined")
    expect(account(other, "Halb getippt")).to_be_visible()
    wait_until_up_to_date(other)


def test_every_part_of_the_app_opens_without_a_network(
    new_context: Callable[..., BrowserContext], sign_in: Callable[[BrowserContext], None]
) -> None:
    """Also where the machine was never idle, and nothing was fetched ahead."""
    context = new_context()
    context.add_init_script("window.requestIdleCallback = () => 0")
    sign_in(context)
    page = context.new_page()
    page.goto("/")
    install(page)
    lose_network(page)
    add_account(page, "Gleich im Tunnel")
    expect(account(page, "Gleich im Tunnel")).to_be_visible()
