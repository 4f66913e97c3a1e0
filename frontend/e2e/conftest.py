"""A real Chromium, a real server, and the app as it is built.

    def test_a_phone_and_a_laptop(phone: Page, laptop: Page, server: RealServer) -> None: …

Pages are signed in as the demo person and show the demo household; each has a browser context of
its own, which is a device of its own. Without Chromium or a way to build the app these tests are
skipped, and say so. `FINWISE_CHROMIUM` names a browser that is not found by itself.
"""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from finwise.places import ROOT
from finwise.problem import Problem
from finwise.security import RULES
from finwise.webapp import build, node
from syncapp.tests.faults.real_server import RealServer

playwright = pytest.importorskip("playwright.sync_api")
from playwright.sync_api import (  # noqa: E402
    Browser,
    BrowserContext,
    Page,
    Playwright,
    sync_playwright,
)
from playwright.sync_api import Error as PlaywrightError  # noqa: E402

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
PATIENCE_MS = 60_000  # of a busy machine: how long something that must come may take
HAS_FAILED = pytest.StashKey[bool]()
DESK = {"width": 1280, "height": 860}
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="session")
def chromium_path() -> str:
    named = os.environ.get("FINWISE_CHROMIUM", "")
    found = named or next((path for each in PROGRAMS if (path := shutil.which(each))), "")
    if not found:
        pytest.skip("There is no Chromium on this machine: the app is not looked at in a browser.")
    return found


@pytest.fixture(scope="session")
def built_app(chromium_path: str) -> Path:
    """The folder of the built app."""
    try:
        build.ensure()
    except Problem as problem:
        pytest.skip(f"The app cannot be looked at: {problem}")
    return build.DIST


# Not for the whole session: while it lives, asyncio is busy in this thread.
@pytest.fixture(scope="package")
def _playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="package")
def browser(_playwright: Playwright, chromium_path: str) -> Iterator[Browser]:
    started = _playwright.chromium.launch(executable_path=chromium_path, args=list(ARGUMENTS))
    yield started
    started.close()


@pytest.fixture(scope="module")
def state_dir() -> Iterator[Path]:
    """A folder that the account which runs PostgreSQL may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="finwise-browser-"))
    folder.chmod(0o755)
    yield folder / "var"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def _server(state_dir: Path, built_app: Path) -> Iterator[RealServer]:
    running = RealServer(state_dir)
    yield running
    running.stop()


@pytest.fixture
def server(_server: RealServer) -> RealServer:
    """Shared by the tests of a module; a test that killed it has started it again."""
    if _server.process.poll() is not None:
        _server.start()
    return _server


@pytest.fixture
def address(server: RealServer) -> str:
    """Where the app is: `http://127.0.0.1:…`, which counts as a secure place."""
    return f"http://127.0.0.1:{server.port}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, object, object]:
    report = yield
    if getattr(report, "failed", False):
        item.stash[HAS_FAILED] = True
    return report


@pytest.fixture
def new_context(
    browser: Browser, address: str, request: pytest.FixtureRequest
) -> Iterator[Callable[..., BrowserContext]]:
    """Make another device: a browser that knows nothing yet. Arguments as `browser.new_context`."""
    opened: list[BrowserContext] = []
    said: list[str] = []

    def make(**options: object) -> BrowserContext:
        wanted = {"viewport": DESK, "locale": "de-DE", "base_url": address, **options}
        context = browser.new_context(**wanted)
        context.set_default_timeout(PATIENCE_MS)
        context.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        opened.append(context)
        return context

    yield make
    if request.node.stash.get(HAS_FAILED, False):
        for page in (page for context in opened for page in context.pages):
            print(f"{page.url} shows:\n{seen_on(page)}\n")
        print("The pages have said:", *said[-50:], sep="\n")
    for context in opened:
        context.close()


def seen_on(page: Page) -> str:
    """What a person would read there, for the report of a test that failed."""
    try:
        return page.locator("body").inner_text(timeout=2_000)[:4_000]
    except PlaywrightError as error:
        return f"nothing: {error.message}"


@pytest.fixture
def sign_in(server: RealServer) -> Callable[[BrowserContext], None]:
    return functools.partial(
        sign_in_as, email=server.demo["email"], password=server.demo["password"]
    )


def sign_in_as(context: BrowserContext, *, email: str, password: str) -> None:
    """Sign a browser in by the form of the server's own page, without looking at the page."""
    page = context.request.get("/accounts/login/")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text())
    assert token, page.text()
    typed = {"login": email, "password": password, "csrfmiddlewaretoken": token[1]}
    answer = context.request.post(page.url, form=typed, headers={"Referer": page.url})
    assert answer.ok and "/accounts/login/" not in answer.url, answer.url


@pytest.fixture
def device(
    new_context: Callable[..., BrowserContext], sign_in: Callable[[BrowserContext], None]
) -> Callable[..., Page]:
    """Make a signed-in device that shows the demo household and is up to date."""

    def make(**options: object) -> Page:
        context = new_context(**options)
        sign_in(context)
        page = context.new_page()
        page.goto("/")
        wait_until_up_to_date(page)
        return page

    return make


@pytest.fixture
def laptop(device: Callable[..., Page]) -> Page:
    return device()


@pytest.fixture
def phone(device: Callable[..., Page]) -> Page:
    return device(viewport=PHONE, has_touch=True)


def wait_until_up_to_date(page: Page) -> None:
    wait_for_light(page, "up_to_date")


def wait_for_light(page: Page, kind: str) -> None:
    """Wait until the light over everything shows a state, by its kind (`src/types/index.ts`)."""
    page.locator(f".sync-button[data-kind={kind}]").wait_for()


class FixtureSite(http.server.SimpleHTTPRequestHandler):
    """The fixture page, under the same policy as the app."""

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", "; ".join(RULES))
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def fixture_page(built_app: Path) -> Iterator[str]:
    """The address of the page that shows the app in every state (src/fixtures/main.ts)."""
    with_node = node.find_or_install()
    folder = Path(tempfile.mkdtemp(prefix="finwise-fixtures-"))
    built = subprocess.run(
        [*with_node.npm, "run", "--silent", "build:fixtures", "--", "--outDir", str(folder)],
        cwd=build.FRONTEND, env=with_node.environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    shutil.copytree(ROOT / "finwise" / "static", folder / "static")
    handler = functools.partial(FixtureSite, directory=str(folder))
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    serving = threading.Thread(target=site.serve_forever, daemon=True)
    serving.start()
    yield f"http://127.0.0.1:{site.server_port}/fixtures.html"
    site.shutdown()
    site.server_close()
    serving.join()
    shutil.rmtree(folder, ignore_errors=True)


# After the names above, which they use.
from .lindners import (  # noqa: E402
    _database_beside_the_browser,
    _template,
    household,
    households,
    lindners,
    opened,
    phones,
    site,
)

__all__ = [
    "_database_beside_the_browser", "_template", "household", "households", "lindners", "opened",
    "phones", "site",
]  # fmt: skip
