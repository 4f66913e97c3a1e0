"""The pages that are no app: status, admin, accounts; in a real Chromium, looked at by axe."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from syncapp.models import Device
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.server import ServerThread
from syncapp.tests.socket.test_live import wait_until_listening
from tenants.context import in_tenant
from tenants.models import AuditEntry, Membership

from .conftest import DESK, PHONE
from .lindners import Lindners
from .test_states import faults

# unfold's scrolling areas all have the one name that their library gives them.
SCROLLING = 'landmark-unique: <div class="simplebar-content-wrapper"'
looks = pytest.mark.parametrize(
    ("size", "language", "theme"),
    [(DESK, "de", "light"), (DESK, "en", "dark"), (PHONE, "en", "light"), (PHONE, "de", "dark")],
    ids=["desk-de-light", "desk-en-dark", "phone-en-light", "phone-de-dark"],
)
pytestmark = pytest.mark.slow


# --- axe ------------------------------------------------------------------------------------


def status_pages(at: Lindners) -> list[str]:
    return ["/sync/", f"/sync/{at.id}/"]


def admin_pages(at: Lindners) -> list[str]:
    tenant, rows = f"/admin/tenants/tenant/{at.id}", f"/admin/household/{at.id}/accounts"
    device = _some_device(at)
    membership = Membership.objects.get(tenant_id=at.id, user=at.anna)
    AuditEntry.objects.create(action="new_epoch", tenant_id=at.id, tenant_name="x", actor_name="y")
    return [
        "/admin/tenants/tenant/",
        f"{tenant}/change/",
        f"{tenant}/do/sync_now/",
        f"{tenant}/do/new_epoch/",
        f"{tenant}/device/{device}/revoke_device/",
        "/admin/tenants/tenant/provision/",
        "/admin/tenants/user/",
        f"/admin/tenants/user/{at.anna.pk}/change/",
        "/admin/tenants/user/add/",
        "/admin/tenants/membership/",
        f"/admin/tenants/membership/{membership.pk}/change/",
        f"/admin/tenants/membership/{membership.pk}/delete/",
        "/admin/tenants/token/",
        "/admin/tenants/auditentry/",
        f"{rows}/account/",
        f"{rows}/account/{at.row}/change/",
        f"{rows}/account/{at.row}/delete/",
        f"{rows}/account/{at.gone}/change/",
        f"{rows}/account/{at.gone}/restore/",
        f"{rows}/accountgroup/add/",
    ]


def _some_device(at: Lindners) -> str:
    with in_tenant(at.id):
        return str(Device.objects.values_list("pk", flat=True)[0])


def account_pages(at: Lindners) -> list[str]:
    home = f"/accounts/households/{at.id}"
    return [
        "/accounts/", "/accounts/sessions/", "/accounts/tokens/", "/accounts/email/",
        "/accounts/password/set/", "/accounts/2fa/", "/accounts/2fa/totp/activate/",
        "/accounts/2fa/webauthn/", "/accounts/2fa/webauthn/add/", "/accounts/logout/",
        f"{home}/", f"{home}/leave/", f"{home}/hand-over/", f"{home}/remove/",
    ]  # fmt: skip


def entrance_pages(at: Lindners) -> list[str]:
    return [
        "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/",
        "/accounts/password/reset/done/", "/accounts/password/reset/key/a-b/",
        "/accounts/confirm-email/", "/accounts/inactive/", "/nothing-here/",
        f"/accounts/invitations/{at.invitation}/", "/accounts/invitations/nonsense/",
    ]  # fmt: skip


def troubles_of(page: Page, path: str) -> list[str]:
    """What axe finds on a page, and what sticks out of it."""
    answer = page.goto(path)
    assert answer is not None and answer.status < 500, path
    found = faults(page)
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    if wide > 0:
        found.append(f"{wide} px wider than the window")
    if folder := os.environ.get("FINWISE_SHOTS"):  # for people to look at
        width, name = page.evaluate("innerWidth"), path.strip("/").replace("/", "_")[:80]
        language = page.evaluate("document.documentElement.lang")
        page.screenshot(path=f"{folder}/{language}-{width}-{name}.png", full_page=True)
    return [f"{path} {each}" for each in found if not each.startswith(SCROLLING)]


@looks
@pytest.mark.parametrize("pages", [status_pages, admin_pages, account_pages, entrance_pages])
def test_axe_finds_nothing_and_nothing_sticks_out(
    pages: Callable[[Lindners], list[str]],
    size: dict[str, int],
    language: str,
    theme: str,
    lindners: Lindners,
    opened: Callable[..., BrowserContext],
) -> None:
    who = {
        status_pages: lindners.operator,
        admin_pages: lindners.operator,
        account_pages: lindners.anna,
    }
    context = opened(who.get(pages), language=language, viewport=size, color_scheme=theme)
    page = context.new_page()
    found = [each for path in pages(lindners) for each in troubles_of(page, path)]
    assert not found, "\n".join(found)


def test_german_buttons_say_it_in_german_order(
    lindners: Lindners, opened: Callable[..., BrowserContext]
) -> None:
    membership = Membership.objects.get(tenant_id=lindners.id, user=lindners.anna)
    page = opened(lindners.operator, language="de", viewport=DESK).new_page()
    page.goto(f"/admin/tenants/membership/{membership.pk}/change/")
    if folder := os.environ.get("FINWISE_SHOTS"):  # for people to look at
        page.screenshot(path=f"{folder}/de-delete.png")
    page.get_by_role("link", name="Mitgliedschaft löschen").click()
    expect(page).to_have_url(re.compile("/delete/$"))


# --- /sync/ live, and without JavaScript -------------------------------------------------------


def wait_until_asked(phone: Phone) -> str:
    return str(phone.hear_until("sync_request")["id"])


def test_sync_now_shows_each_answer_as_it_comes_on_the_page_that_is_open(
    lindners: Lindners,
    site: ServerThread,
    phones: Callable[[str], Phone],
    opened: Callable[..., BrowserContext],
) -> None:
    page = opened(lindners.anna).new_page()
    loads: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    page.goto(f"/sync/{lindners.id}/")
    expect(page.locator("#line")).to_have_text("Live: Diese Seite hält sich selbst aktuell.")
    phone, tablet = phones("Handy in der Tasche"), phones("Tablet am Sofa")
    wait_until_listening(site)
    devices = page.locator(".devices")
    expect(devices).to_contain_text("Handy in der Tasche")
    expect(devices).to_contain_text("Tablet am Sofa")
    page.get_by_role("button", name="Jetzt synchronisieren").click()
    request = wait_until_asked(phone)
    assert wait_until_asked(tablet) == request
    answers = page.locator("#answers li")
    row = answers.filter(has_text="Tablet am Sofa")
    expect(row).to_contain_text("noch keine Antwort")
    tablet.say({"type": "report", "id": request, "sent": 2, "received": 1, "cursor": tablet.cursor})
    expect(row).to_contain_text("gesendet 2, empfangen 1")
    expect(answers.filter(has_text="Handy in der Tasche")).to_contain_text("noch keine Antwort")
    phone.say({"type": "report", "id": request, "outcome": "pending", "pending": 1})
    expect(answers.filter(has_text="Handy in der Tasche")).to_contain_text("nicht alles ging")
    tablet.hang_up()
    expect(devices.get_by_role("row", name="Tablet am Sofa")).to_contain_text("Still seit")
    assert loads == [page.url]


def test_without_javascript_a_reload_says_the_same(
    lindners: Lindners,
    site: ServerThread,
    phones: Callable[[str], Phone],
    opened: Callable[..., BrowserContext],
) -> None:
    page = opened(lindners.anna, language="en", java_script_enabled=False).new_page()
    phone = phones("Phone in a pocket")
    wait_until_listening(site)
    page.goto(f"/sync/{lindners.id}/")
    expect(page.locator("#line")).to_contain_text("Reload to see more")
    expect(page.locator(".devices")).to_contain_text("Phone in a pocket")
    page.get_by_role("button", name="Sync now").click()
    expect(page.locator(".messages")).to_have_text("All connected devices were asked to sync now.")
    request = wait_until_asked(phone)
    row = page.locator("#answers li").filter(has_text="Phone in a pocket")
    phone.say({"type": "report", "id": request, "sent": 3, "cursor": phone.cursor})
    phone.ping()  # answered after the report was taken
    page.reload()
    expect(row).to_contain_text("sent 3")
