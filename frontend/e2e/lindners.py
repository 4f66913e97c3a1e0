"""A household in which something of everything is wrong, and the site that shows it.

Unlike the tests of the app these run beside the server, in one process: so they can plant what
no app would do.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test import Client
from playwright.sync_api import Browser, BrowserContext

from syncapp import greetings, upkeep
from syncapp.core.messages import Ping
from syncapp.tests.conftest import household, households
from syncapp.tests.household import Household, Speaker, now_ms
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.server import ServerThread
from tenants import template
from tenants.invitations import invite
from tenants.memberships import end_membership, set_role
from tenants.models import Tenant, User
from tenants.tokens import create_token

from .conftest import DESK, PATIENCE_MS

__all__ = ["household", "households"]

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


@pytest.fixture(scope="session")
def _database_beside_the_browser() -> Iterator[None]:
    """Playwright keeps an event loop on this thread, where Django would refuse to ask anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield


@pytest.fixture(scope="session")
def _template(
    _database_beside_the_browser: None, django_db_setup: None, django_db_blocker: Any
) -> None:
    """Overrides the sync tests' own: a browser may be open already."""
    with django_db_blocker.unblock():
        template.prepare()
        connection.close()


@pytest.fixture
def site(households: Callable[[], Household]) -> Iterator[ServerThread]:
    cache.clear()
    running = ServerThread()
    yield running
    running.stop()


@dataclass
class Lindners:
    """A household in which something of everything is wrong."""

    home: Household
    operator: User
    anna: User
    invitation: str
    row: str
    gone: str

    @property
    def id(self) -> uuid.UUID:
        return self.home.id


@pytest.fixture
def lindners(household: Household) -> Iterator[Lindners]:
    yield planted(household)
    Tenant.objects.filter(pk=household.id).update(name="Household 0")


def person(name: str, **fields: Any) -> User:
    address = f"{name.lower()}-{uuid.uuid4().hex[:12]}@example.org"
    return User.objects.create_user(address, display_name=name, email_verified=True, **fields)


def planted(home: Household) -> Lindners:
    """The same household for all pages: devices in every state, rows, refusals, conflicts."""
    Tenant.objects.filter(pk=home.id).update(name="Familie Lindner")
    tenant = Tenant.objects.get(pk=home.id)
    operator = person("Olga", is_staff=True, is_superuser=True)
    anna, bert, carla = person("Anna"), person("Bert"), person("Carla")
    set_role(tenant, anna, "owner")
    for each in (bert, carla):
        set_role(tenant, each, "editor")
    tablet = home.device("Küchentablet", anna.pk)
    row, gone, group = (str(uuid.uuid4()) for _ in range(3))
    tablet.push(
        tablet.change("create", "account_group", group, {"name": "Sparkasse"}),
        tablet.change("create", "account", row, {"name": "Girokonto", "accountGroupId": group}),
        tablet.change("create", "account", gone, {"name": "Altes Konto"}),
        tablet.change("delete", "account", gone),
    )
    office = home.device("Büro-PC", anna.pk)
    office.push(
        office.change("edit", "account", row, {"name": "Giro"}),
        office.change("edit", "account", row, {"iban": "keine IBAN"}),
    )
    phone = home.device("Annas Handy", anna.pk)
    berts, carlas = home.device("Berts Handy", bert.pk), home.device("Carlas Laptop", carla.pk)
    newer, old = home.device("Neues iPad", anna.pk), home.device("Altes Tablet", anna.pk)
    lost = home.device("Verlorenes Handy", anna.pk)
    for device in (phone, tablet, office, berts, newer):
        device.pull()
    say(phone, clock_ms=now_ms() + HOUR_MS)
    say(tablet, pending=4, oldest_pending_ms=7 * MINUTE_MS)
    say(office, refused=1)
    say(berts, pending=2, oldest_pending_ms=MINUTE_MS)
    say(carlas, pending=1, oldest_pending_ms=MINUTE_MS)
    say(newer, parked=1)
    say(old, at_ms=now_ms() - 9 * DAY_MS, pending=3, oldest_pending_ms=HOUR_MS)
    set_role(tenant, bert, "viewer")
    end_membership(tenant, carla)
    home.call(upkeep.revoke, lost.id, now_ms())
    _, link = invite(tenant, "dora@example.org", "editor", anna)
    create_token(anna, "Haushaltsbuch-Import")
    return Lindners(home, operator, anna, link, row, gone)


def say(device: Speaker, at_ms: int | None = None, **said: Any) -> None:
    """Let a device tell how it is."""
    ping = Ping(cursor=device.cursor, **said)
    device.household.call(greetings.note_ping, device.id, device.user, ping, at_ms or now_ms())


@pytest.fixture
def opened(browser: Browser, site: ServerThread) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browsers at the site; with a person, signed in with everything asked again just now."""
    made: list[BrowserContext] = []

    def make(who: User | None = None, *, language: str = "de", **options: Any) -> BrowserContext:
        address = f"http://localhost:{site.port}"
        wanted = {"viewport": DESK, "base_url": address, "reduced_motion": "reduce", **options}
        context = browser.new_context(locale={"de": "de-DE", "en": "en-GB"}[language], **wanted)
        context.set_default_timeout(PATIENCE_MS)
        if who is not None:
            cookie = {"name": settings.SESSION_COOKIE_NAME, "value": session_of(who)}
            context.add_cookies([{**cookie, "url": address}])  # type: ignore[list-item]
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()


def session_of(who: User) -> str:
    client = Client(HTTP_HOST="localhost")
    client.force_login(who)
    session = client.session
    session["account_authentication_methods"] = [
        {"method": "password", "at": time.time(), "reauthenticated": True}
    ]
    session["account_authentication_methods_user"] = str(who.pk)
    session.save()
    return client.cookies[settings.SESSION_COOKIE_NAME].value


@pytest.fixture
def phones(site: ServerThread, lindners: Lindners) -> Iterator[Callable[[str], Phone]]:
    """Makes connected devices of Anna's that are in step."""
    token = create_token(lindners.anna, "devices")
    made: list[Phone] = []

    def make(name: str) -> Phone:
        phone = Phone(site.url, lindners.id, token).online(name=name)
        made.append(phone)
        return phone

    yield make
    for phone in made:
        phone.hang_up()
