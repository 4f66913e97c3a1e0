"""Every state of the app, looked at by axe in a real Chromium: light, dark, German, English."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from finwise.webapp.build import FRONTEND

from .conftest import DESK, PHONE

AXE = FRONTEND / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOKS = [(language, theme) for language in ("de", "en") for theme in ("light", "dark")]

look = pytest.mark.parametrize(("language", "theme"), LOOKS)


def open_page(browser: Browser, address: str, size: dict[str, int] = DESK, **query: str) -> Page:
    page = browser.new_page(viewport=size, reduced_motion="reduce", bypass_csp=False)
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    page.goto(f"{address}?{'&'.join(f'{name}={value}' for name, value in query.items())}")
    page.locator("h1, h2").first.wait_for()
    assert troubles == []
    return page


def faults(page: Page) -> list[str]:
    """What axe finds, in short."""
    page.evaluate(AXE.read_text(encoding="utf-8"))  # not as a script tag: the policy forbids it
    options = json.dumps({"runOnly": RULES, "resultTypes": ["violations"]})
    found: dict[str, Any] = page.evaluate(f"() => axe.run(document, {options})")
    return [
        f"{each['id']}: {node['html'][:160]} – {node['failureSummary'][:300]}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


def test_axe_would_find_what_is_wrong(browser: Browser, fixture_page: str) -> None:
    page = open_page(browser, fixture_page, page="states", lang="de", theme="light")
    page.evaluate("document.querySelector('[data-state] p').style.color = '#c8d0cc'")
    assert [each.split(":")[0] for each in faults(page)] == ["color-contrast"]
    page.close()


def test_no_style_asks_what_the_whole_page_holds(browser: Browser, fixture_page: str) -> None:
    """`:root:has(…)` is asked again whenever anything is added: 10 ms with 10,000 accounts."""
    page = open_page(browser, fixture_page, page="states", lang="de", theme="light")
    selectors: list[str] = page.evaluate(
        """() => {
          const within = (rules) => [...rules].flatMap((rule) =>
            [rule.selectorText ?? "", ...within(rule.cssRules ?? [])])
          return [...document.styleSheets].flatMap((sheet) => within(sheet.cssRules))
        }"""
    )
    assert any(":has(" in each for each in selectors)
    asking = re.compile(r"(:root|html|body|#app|\*)[^\s,>+~]*:has\(|(^|[\s,>+~(]):has\(")
    assert [each for each in selectors if asking.search(each)] == []
    page.close()


@look
def test_axe_finds_nothing_in_any_state_of_the_light(
    browser: Browser, fixture_page: str, language: str, theme: str
) -> None:
    page = open_page(browser, fixture_page, page="states", lang=language, theme=theme)
    assert page.locator("[data-state]").count() >= 30
    assert faults(page) == []
    page.close()


@pytest.mark.parametrize(
    ("size", "language", "theme"),
    [(DESK, "de", "light"), (DESK, "en", "dark"), (PHONE, "en", "light"), (PHONE, "de", "dark")],
    ids=["desk-de-light", "desk-en-dark", "phone-en-light", "phone-de-dark"],
)
@pytest.mark.parametrize("scene", ["risk", "empty", "welcome", "loading"])
def test_axe_finds_nothing_on_any_screen(
    browser: Browser,
    fixture_page: str,
    scene: str,
    size: dict[str, int],
    language: str,
    theme: str,
) -> None:
    page = open_page(
        browser, fixture_page, size, page="app", scene=scene, lang=language, theme=theme
    )
    expect(page.get_by_role("alert")).to_have_count(1 if scene == "risk" else 0)
    assert faults(page) == []
    page.close()


OPENED = {
    # What is pressed, one after the other; the state of the light; the scene.
    "panel": (".sync-button button:last-child", "needs_you_2", "busy"),
    "account": ("li[data-account] a", "up_to_date", "ledger"),
    "households": ("header button[popovertarget]", "up_to_date", "ledger"),
    "menu": ("header .btn-icon[popovertarget]", "up_to_date", "ledger"),
    "never sent": (".sync-button button:last-child", "viewer_2", "busy"),
    "remove": (
        "header button[popovertarget] | .menu:popover-open div button:nth-last-child(2)",
        "offline",
        "ledger",
    ),
    "trouble": (".sync-button button:last-child", "cannot_save_full", "busy"),
}


@look
@pytest.mark.parametrize("what", list(OPENED))
def test_axe_finds_nothing_in_what_opens(
    browser: Browser, fixture_page: str, what: str, language: str, theme: str
) -> None:
    opener, state, scene = OPENED[what]
    page = open_page(
        browser, fixture_page, PHONE,
        page="app", scene=scene, state=state, lang=language, theme=theme,
    )  # fmt: skip
    for each in opener.split(" | "):
        page.locator(each).first.click()
    page.locator("dialog[open], [popover]:popover-open").wait_for()
    assert faults(page) == []
    page.close()


def test_nothing_is_wider_than_a_phone_and_no_name_is_cut(
    browser: Browser, fixture_page: str
) -> None:
    narrow = {"width": 320, "height": 700}  # as a desk of 1280 that is enlarged to 400 %
    page = open_page(browser, fixture_page, narrow, page="app", lang="de", state="signed_out_3")
    assert page.evaluate("document.documentElement.scrollWidth") == narrow["width"]
    cut = "each => each.filter(one => one.scrollHeight > one.clientHeight + 2).length"
    assert page.locator("li[data-account] .line-clamp-2").evaluate_all(cut) <= 1  # the long one
    page.evaluate(
        """(balance) => {
          const { $pinia } = document.getElementById("app").__vue_app__.config.globalProperties
          const ledger = $pinia._s.get("ledger")
          ledger.accounts = ledger.accounts.map((each) => ({ ...each, balance }))
        }""",
        "-999999999999999.9999",  # the longest that there is
    )
    expect(page.locator(".total-card")).to_contain_text(".999")
    assert page.evaluate("document.documentElement.scrollWidth") == narrow["width"]
    page.close()


def test_a_household_is_printed_whole_and_dark_on_white_without_what_can_only_be_pressed(
    browser: Browser, fixture_page: str
) -> None:
    page = open_page(browser, fixture_page, page="app", scene="ledger", lang="de", theme="dark")
    page.emulate_media(media="print")
    for what in (".btn", ".btn-icon", ".sync-button"):
        assert page.locator(what).count() > 0
        expect(page.locator(what).filter(visible=True)).to_have_count(0)
    shown = "each => each.every(one => one.checkVisibility({contentVisibilityAuto: true}))"
    assert page.locator("li[data-account]").evaluate_all(shown)
    color = "each => getComputedStyle(each).color"
    assert page.locator(".total-card").evaluate(color) == "rgb(0, 0, 0)"
    assert page.locator("li[data-account] a").first.evaluate(color) == "rgb(0, 0, 0)"
    assert faults(page) == []
    page.close()


def test_a_thousand_accounts_come_in_pieces_and_are_all_there_to_scroll_to(
    browser: Browser, fixture_page: str
) -> None:
    """How long a frame takes is measured by `script/bench browser`."""
    page = open_page(browser, fixture_page, page="app", lang="de", scene="many")
    accounts = page.locator("li[data-account]")
    expect(accounts).to_have_count(1000)
    accounts.last.scroll_into_view_if_needed()
    expect(accounts.last).to_be_in_viewport()
    assert page.evaluate("scrollY") > 10_000
    page.close()
