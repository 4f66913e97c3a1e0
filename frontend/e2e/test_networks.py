"""Networks that cut and fall silent, and a server put back to yesterday: the light never lies."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from syncapp.tests.faults.database import Database
from syncapp.tests.faults.proxy import Proxy
from syncapp.tests.faults.real_server import RealServer

from .conftest import wait_for_light, wait_until_up_to_date
from .doing import (
    account,
    add_account,
    add_known_account,
    delete_account,
    find_network,
    light,
    lose_network,
)
from .test_many import MAKE, count_of

PENDING = 120
CONNECTION_CARRIES = 24_000  # bytes from the device: some of the pending changes, by far not all
ANSWER_S = 30
PENDING_COUNT = """
    document.getElementById("app").__vue_app__.config.globalProperties
        .$pinia._s.get("webSocket").pendingCount
"""


class Way:
    """A proxy between a browser and the server, which runs beside the test."""

    def __init__(self, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._running = threading.Thread(target=self._loop.run_forever)
        self._running.start()
        self.proxy = Proxy(port)
        self._do(self.proxy.__aenter__())

    def _do(self, work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER_S)

    def cut(self) -> None:
        self._loop.call_soon_threadsafe(self.proxy.cut)

    def end(self) -> None:
        self._do(self.proxy.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._running.join()
        self._loop.close()


@pytest.fixture
def way(server: RealServer) -> Iterator[Way]:
    made = Way(server.port)
    yield made
    made.end()


@pytest.fixture
def far(
    way: Way,
    new_context: Callable[..., BrowserContext],
    sign_in: Callable[[BrowserContext], None],
) -> Page:
    """A device behind the proxy, whose time moves on when it is told to."""
    context = new_context(base_url=f"http://127.0.0.1:{way.proxy.port}")
    sign_in(context)
    context.clock.install()
    page = context.new_page()
    page.goto("/")
    wait_until_up_to_date(page)
    return page


def test_what_no_single_connection_can_carry_arrives_in_portions(
    way: Way, far: Page, laptop: Page
) -> None:
    """A push that is cut off each time is not tried in the same size for ever."""
    before = count_of(laptop)
    lose_network(far)
    far.evaluate(MAKE, PENDING)
    far.wait_for_function(f"count => ({PENDING_COUNT}) === count", arg=PENDING)  # shown in bursts
    way.proxy.device_bytes_max = CONNECTION_CARRIES
    find_network(far)
    far.wait_for_function(f"count => ({PENDING_COUNT}) < count", arg=PENDING)
    assert way.proxy.cuts > 0
    way.proxy.device_bytes_max = 0
    wait_until_up_to_date(far)
    wait_until_up_to_date(laptop)
    assert count_of(laptop) == before + PENDING


def test_a_socket_that_falls_silent_is_not_green_when_the_beat_is_over(
    way: Way, far: Page, laptop: Page
) -> None:
    """I05: nobody has closed it, so only the clock tells."""
    way.proxy.is_silent = True
    far.clock.fast_forward(26_000)
    wait_for_light(far, "connecting")
    shoot(far, "silent")
    add_account(far, "Im Funkloch")
    expect(light(far)).to_contain_text("noch 1")
    for _ in range(3):
        far.clock.fast_forward(21_000)
    wait_for_light(far, "unreachable")
    shoot(far, "unreachable")
    way.proxy.is_silent = False
    way.cut()
    wait_until_up_to_date(far)
    expect(account(laptop, "Im Funkloch")).to_be_visible()


def test_a_server_put_back_to_an_earlier_day_is_healed_by_the_browser_that_is_open(
    server: RealServer, laptop: Page, phone: Page, device: Callable[..., Page], tmp_path: Path
) -> None:
    """R01"""
    database = Database(server.state_dir)
    try:
        add_known_account(laptop, phone, "Vorher")
        add_known_account(laptop, phone, "Vorher gelöscht")
        database.dump(tmp_path / "backup")
        add_known_account(laptop, phone, "Danach")
        delete_account(laptop, "Vorher gelöscht")
        expect(account(phone, "Vorher gelöscht")).to_have_count(0)
        wait_until_up_to_date(laptop)
        lose_network(phone)
        add_account(phone, "Unterwegs")
        database.restore(tmp_path / "backup")
        laptop.evaluate(LOOK)
        expect(laptop.get_by_text("Was dem Server fehlte")).to_be_visible()
        wait_until_up_to_date(laptop)
        find_network(phone)
        wait_until_up_to_date(phone)
        fresh = device()
        for page in (laptop, phone, fresh):
            for name in ("Vorher", "Danach", "Unterwegs"):
                expect(account(page, name)).to_have_count(1)
            expect(account(page, "Vorher gelöscht")).to_have_count(0)
        shoot(laptop, "healed")
    finally:
        database.close()


def shoot(page: Page, name: str) -> None:
    if folder := os.environ.get("FINWISE_SHOTS"):  # for people to look at
        page.screenshot(path=f"{folder}/network-{name}.png")


LOOK = "document.dispatchEvent(new Event('visibilitychange'))"
