"""A passkey in a real browser, under the site's own policy of what may run in a page."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache

from syncapp.tests.socket.server import ServerThread
from tenants.models import User

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PASSWORD = "correct horse battery"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium"),
]


@pytest.fixture
def server(database: None, settings: Any) -> Iterator[ServerThread]:
    cache.clear()
    settings.SERVESTATIC_USE_FINDERS = True  # scripts and styles belong to these pages
    running = ServerThread()
    yield running
    running.stop()


@pytest.fixture
def carla(new_person: Callable[..., User]) -> User:
    return new_person("carla", password=PASSWORD)


@pytest.fixture
def page(server: ServerThread, carla: User) -> Iterator[Any]:
    """A page with a virtual authenticator that says yes to everything."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        context = browser.new_context(locale="en-GB")
        opened = context.new_page()
        devtools = context.new_cdp_session(opened)
        devtools.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        yield opened
        browser.close()


def test_a_passkey_is_added_and_then_signs_in_alone(
    server: ServerThread, page: Any, carla: User
) -> None:
    """Browsers offer passkeys at localhost, and not at 127.0.0.1."""
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    site = f"http://localhost:{server.port}"
    page.goto(f"{site}/accounts/login/?next=/accounts/2fa/webauthn/add/")
    page.fill("#id_login", carla.email)
    page.fill("#id_password", PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.fill("#id_password", PASSWORD)  # once more, for what is important
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Add").click()
    page.wait_for_url(f"{site}/accounts/2fa/recovery-codes/")
    # Playwright's loop runs on this thread, where Django refuses to ask a database.
    with ThreadPoolExecutor() as pool:
        assert pool.submit(Authenticator.objects.filter(user=carla).count).result() == 2
    page.context.clear_cookies()
    page.goto(f"{site}/accounts/login/?next=/accounts/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{site}/accounts/")
    assert carla.email in page.content()
    assert complaints == []


def test_a_passkey_that_nobody_knows_is_told_in_words(server: ServerThread, page: Any) -> None:
    page.context.clear_cookies()
    page.goto(f"http://127.0.0.1:{server.port}/accounts/login/")
    trouble = page.locator("#passkey_trouble")
    assert trouble.is_hidden()
    page.get_by_role("button", name="Sign in with a passkey").click()
    trouble.wait_for(state="visible")
    assert "did not work" in trouble.inner_text()
