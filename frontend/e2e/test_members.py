"""What a person may do in a household, seen from the browser."""

from __future__ import annotations

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


def test_a_viewer_cannot_push_and_is_told(
    server: RealServer, colleague: str, editor: Page, laptop: Page
) -> None:
    lose_network(editor)
    add_account(editor, "Nicht erlaubt")
    make_member(server, colleague, "viewer")
    find_network(editor)
    expect(light(editor)).to_contain_text("Nur Lesezugriff – 1 Änderung wird nicht gesendet")
    expect(account(editor, "Nicht erlaubt")).to_be_visible()
    add_account(laptop, "Erlaubt")
    expect(account(editor, "Erlaubt")).to_be_visible()
    expect(account(laptop, "Nicht erlaubt")).to_have_count(0)


def test_who_is_taken_out_is_told_at_once(server: RealServer, colleague: str, editor: Page) -> None:
    command(server, "remove_member", server.demo["tenant_id"], colleague)
    expect(light(editor)).to_contain_text("Kein Zugang mehr zu diesem Haushalt")


def test_two_members_who_share_a_browser_share_no_queue(
    server: RealServer, colleague: str, laptop: Page
) -> None:
    """A07"""
    make_member(server, colleague, "editor")
    lose_network(laptop)
    add_account(laptop, "Noch nicht gesendet")
    find_network_signed_out(laptop)

    sign_in_as(laptop.context, email=colleague, password=PASSWORD)
    laptop.goto("/")
    laptop.reload()
    wait_until_up_to_date(laptop)
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
    page.context.clear_cookies()
    find_network(page)
    expect(light(page)).to_contain_text("1 Änderung ist hier gesichert")


def sign_out(page: Page) -> None:
    page.goto("/accounts/logout/")
    page.get_by_role("button", name="Abmelden").last.click()
    page.wait_for_url("**/accounts/login/**")
