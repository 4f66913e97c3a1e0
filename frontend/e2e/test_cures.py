"""A stuck device is found, and cured from the admin without touching it, by what the pages say."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from syncapp.device.client import DeviceClient
from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.server import ServerThread
from syncapp.tests.socket.test_live import wait_until_listening
from tenants.memberships import set_role
from tenants.models import AuditEntry, Tenant, Token
from tenants.tokens import create_token, revoke_token

from .conftest import PATIENCE_MS
from .lindners import MINUTE_MS, person, say

pytestmark = pytest.mark.slow
expect.set_options(timeout=PATIENCE_MS)
PATIENCE_S = 60


class FarDevice:
    """The reference device with its durable outbox, somewhere else: nobody here may touch it."""

    def __init__(self, url: str, token: str, household: Household, name: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="finwise-device-")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        store = Path(self._folder.name) / "store.sqlite"
        self._make = lambda: DeviceClient(url, token, store, household=str(household.id), name=name)
        self._client: DeviceClient = self._run(self._begin())

    async def _begin(self) -> DeviceClient:
        return await self._make().__aenter__()

    def open_again(self) -> None:
        """As its person does, some time or other."""
        self._run(self._client.__aexit__(None, None, None))
        self._client = self._run(self._begin())

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def do(self, function: Callable[[DeviceClient], Any]) -> Any:
        async def call() -> Any:
            return function(self._client)

        return self._run(call())

    def until(self, condition: Callable[[DeviceClient], bool]) -> None:
        self._run(self._client.until(lambda: condition(self._client)))

    @property
    def pending(self) -> int:
        return int(self.do(lambda client: client.replica.pending))

    def leave(self) -> None:
        self._run(self._client.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._folder.cleanup()


@pytest.fixture
def far_device(site: ServerThread, household: Household) -> Iterator[Callable[..., FarDevice]]:
    made: list[FarDevice] = []

    def make(token: str, name: str) -> FarDevice:
        made.append(FarDevice(site.url, token, household, name))
        return made[-1]

    yield make
    for each in made:
        each.leave()


@pytest.fixture
def operator(household: Household, opened: Callable[..., BrowserContext]) -> Iterator[Page]:
    """An operator's browser; who knows nothing but that "something does not sync"."""
    Tenant.objects.filter(pk=household.id).update(name="Familie Lindner")
    page = opened(person("Olga", is_staff=True, is_superuser=True), language="en").new_page()
    yield page
    Tenant.objects.filter(pk=household.id).update(name="Household 0")


def find(page: Page, name: str) -> Locator:
    """From the status page to the device's line in the admin."""
    page.goto("/sync/")
    page.get_by_role("searchbox").fill("Lindner")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="Familie Lindner").click()
    page.get_by_role("link", name="Open in the admin").click()
    return page.get_by_role("row", name=re.compile(f"^{name}"))


def line_on_the_status_page(page: Page, household: Household, name: str) -> Locator:
    page.goto(f"/sync/{household.id}/")
    return page.locator(".devices").get_by_role("row", name=re.compile(f"^{name}"))


def shoot(page: Page, name: str) -> None:
    if folder := os.environ.get("FINWISE_SHOTS"):  # for people to look at
        page.screenshot(path=f"{folder}/cure-{name}.png", full_page=True)


def test_an_outbox_that_may_not_be_sent_is_cured_by_giving_the_right_back(
    operator: Page,
    household: Household,
    site: ServerThread,
    far_device: Callable[..., FarDevice],
) -> None:
    bert, tenant = person("Bert"), Tenant.objects.get(pk=household.id)
    set_role(tenant, bert, "editor")
    phone = far_device(create_token(bert, "phone"), "Berts phone")
    phone.until(lambda client: client.is_up_to_date)
    wait_until_listening(site)
    set_role(tenant, bert, "viewer")
    for name in ("Bank", "Depot"):
        phone.do(lambda client, name=name: client.create("account_group", {"name": name}))

    line = line_on_the_status_page(operator, household, "Berts phone")
    expect(line).to_contain_text("Its person may only look, so what waits on it cannot be sent: 2.")
    expect(line).to_contain_text("Let its person edit again, and what waits is sent.")
    assert phone.pending == 2

    line = find(operator, "Berts phone")
    shoot(operator, "viewer")
    line.get_by_role("link", name="Change what its person may do").click()
    operator.get_by_label("Role").select_option("editor")
    operator.get_by_role("button", name="Save", exact=True).click()

    phone.until(lambda client: client.replica.pending == 0)
    line = line_on_the_status_page(operator, household, "Berts phone")
    expect(line).to_contain_text("All sent and all read.")
    assert {row.fields["name"] for row in household.rows().values()} == {"Bank", "Depot"}
    assert AuditEntry.objects.filter(action="set_role", detail=f"{bert.email}: editor").exists()


def test_an_outbox_that_makes_no_progress_is_cured_by_starting_over(
    operator: Page, household: Household, site: ServerThread
) -> None:
    """Its app waits for an answer that it missed; only a new conversation lets it send."""
    anna = person("Anna")
    set_role(Tenant.objects.get(pk=household.id), anna, "editor")
    phone = Phone(site.url, household.id, create_token(anna, "phone")).online(name="Annas phone")
    wait_until_listening(site)
    change = phone.new_group("Bank")
    stuck = {"type": "ping", "pending": 1, "oldestPendingMs": 7 * MINUTE_MS}
    phone.say({**stuck, "cursor": phone.cursor})
    phone.expect("pong")

    line = find(operator, "Annas phone")
    expect(line).to_contain_text("Waiting on it for 7 min without progress: 1.")
    expect(line).to_contain_text("Try Sync now. If nothing moves, let it start over.")
    shoot(operator, "stuck")
    line.get_by_role("link", name="Start over").click()
    expect(operator.get_by_role("main")).to_contain_text("Annas phone")
    operator.get_by_role("button", name="Let it start over").click()

    assert phone.hear_close()[1] == 1012
    phone.connect()
    assert phone.hello(name="Annas phone", pending=1)["reset"] == "operator"
    phone.cursor = None
    phone.catch_up()
    phone.push_and_settle(change)
    phone.take_live()
    phone.say({"type": "ping", "cursor": phone.cursor})
    phone.expect("pong")
    line = line_on_the_status_page(operator, household, "Annas phone")
    expect(line).to_contain_text("All sent and all read.")
    assert AuditEntry.objects.filter(action="force_reset", detail=phone.id).exists()
    phone.hang_up()


def test_who_cannot_sign_in_is_said_and_a_person_who_was_shut_out_is_let_in_again(
    operator: Page,
    household: Household,
    site: ServerThread,
    far_device: Callable[..., FarDevice],
) -> None:
    anna, tenant = person("Anna"), Tenant.objects.get(pk=household.id)
    set_role(tenant, anna, "editor")
    token = create_token(anna, "phone")
    phone, laptop = far_device(token, "Annas phone"), far_device(token, "Annas laptop")
    for each in (phone, laptop):
        each.until(lambda client: client.is_up_to_date)
    wait_until_listening(site)
    anna.is_active = False
    anna.save()
    for each in (phone, laptop):
        each.until(lambda client: client.phase == "stopped")
    phone.do(lambda client: client.create("account_group", {"name": "Bank"}))

    line = find(operator, "Annas phone")
    expect(line).to_contain_text("Its person may not sign in any more.")
    shoot(operator, "shut-out")
    line.get_by_role("link", name="Let its person sign in").click()
    operator.get_by_label("Active").check()
    operator.get_by_role("button", name="Save", exact=True).click()
    phone.open_again()
    phone.until(lambda client: client.replica.pending == 0 and client.is_up_to_date)
    line = line_on_the_status_page(operator, household, "Annas phone")
    expect(line).to_contain_text("All sent and all read.")

    revoke_token(Token.objects.get(pk=uuid.UUID(token[3:35])))
    phone.until(lambda client: client.phase == "stopped")
    line = line_on_the_status_page(operator, household, "Annas phone")
    expect(line).to_contain_text("A token of its person was revoked")


def test_a_refused_change_leads_to_its_row(
    operator: Page, household: Household, site: ServerThread
) -> None:
    device = household.device("Office computer")
    row = str(uuid.uuid4())
    device.push(device.change("create", "account", row, {"name": "Giro"}))
    device.push(device.change("edit", "account", row, {"iban": "no IBAN"}))
    say(device, refused=1)
    line = find(operator, "Office computer")
    expect(line).to_contain_text("Refused, and waiting for its person to decide: 1.")
    line.get_by_role("link", name="What was refused").click()
    refusals = operator.get_by_role("region", name="Recent refusals")
    expect(refusals).to_contain_text("not a valid IBAN")
    refusals.get_by_role("link", name="Open the row").click()
    operator.get_by_label("IBAN").fill("DE02120300000000202051")
    operator.get_by_role("button", name="Save", exact=True).click()
    expect(operator.get_by_role("main")).to_contain_text("changed successfully")
    (found,) = household.rows().values()
    assert found.fields["iban"] == "DE02120300000000202051"
