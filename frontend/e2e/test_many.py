"""A queue of more than one push: its way to the server is seen, and holds nobody up."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, WebSocketRoute, expect

from syncapp.core.messages import BATCH_MAX_ROWS

from .conftest import wait_until_up_to_date
from .doing import account, add_account, find_network, light, lose_network

MANY = 2 * BATCH_MAX_ROWS + 100  # three pushes

# As the form does it, without somebody who types for an hour.
MAKE = """
async (count) => {
  const { $pinia } = document.getElementById("app").__vue_app__.config.globalProperties
  const ledger = $pinia._s.get("ledger")
  for (let n = 1; n <= count; n++) {
    await ledger.createAccount({ name: `Vorrat ${n}`, balance: "1", isActive: n <= 50 })
  }
}
"""


class Answers:
    """What the server tells a page: all up to its first answer to a push, the rest when told."""

    def __init__(self, page: Page) -> None:
        self._answers = 0
        self._is_holding = True
        self._kept: list[tuple[WebSocketRoute, str | bytes]] = []
        page.route_web_socket(re.compile("/ws/"), self._connect)

    def _connect(self, socket: WebSocketRoute) -> None:
        def told(frame: str | bytes) -> None:
            if json.loads(frame).get("results"):
                self._answers += 1
            if self._is_holding and self._answers > 1:
                self._kept.append((socket, frame))
            else:
                socket.send(frame)

        socket.connect_to_server().on_message(told)

    def come(self) -> None:
        self._is_holding = False
        for socket, frame in self._kept:
            socket.send(frame)


@pytest.fixture
def held(
    new_context: Callable[..., BrowserContext], sign_in: Callable[[BrowserContext], None]
) -> tuple[Page, Answers]:
    """A device that hears one answer to a push, and nothing more until it is told."""
    context = new_context()
    sign_in(context)
    page = context.new_page()
    answers = Answers(page)
    page.goto("/")
    wait_until_up_to_date(page)
    return page, answers


def test_a_long_queue_is_sent_push_by_push_while_its_person_works_on(
    held: tuple[Page, Answers], phone: Page
) -> None:
    """A08: with 10,000, and how long its page is busy with them, in `script/bench browser`."""
    page, answers = held
    before = count_of(phone)
    lose_network(page)
    page.evaluate(MAKE, MANY)
    expect(light(page)).to_contain_text(f"{MANY} Änderungen auf diesem Gerät gespeichert")
    find_network(page)
    expect(light(page)).to_contain_text(f"noch {MANY - BATCH_MAX_ROWS}")
    add_account(page, "Nebenbei")
    expect(light(page)).to_contain_text(f"noch {MANY - BATCH_MAX_ROWS + 1}")
    answers.come()
    wait_until_up_to_date(page)
    expect(account(phone, "Nebenbei")).to_be_visible()
    assert count_of(phone) == before + MANY + 1


def count_of(page: Page) -> int:
    """All accounts that the app shows or could show, as its store counts them."""
    found: int = page.evaluate(
        "document.getElementById('app').__vue_app__"
        ".config.globalProperties.$pinia._s.get('ledger').accounts.length"
    )
    return found
