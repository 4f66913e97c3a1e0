"""A real Chromium that is signed in, and what its traces tell."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, sync_playwright

from finwise.problem import Problem
from tenants.models import User

from .house import House
from .households import Household

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
PATIENCE_MS = 300_000
_CATEGORIES = (
    "__metadata",
    "disabled-by-default-devtools.timeline",
    "disabled-by-default-devtools.timeline.frame",
    "cc",
    "benchmark",
)
# What the measures ask of the page: its stores, and when its list was first seen.
_PRELUDE = """
window.ledger = () =>
  document.getElementById("app").__vue_app__.config.globalProperties.$pinia._s.get("ledger")
new MutationObserver((_, observer) => {
  if (document.querySelector("li[data-account]") === null) return
  requestAnimationFrame(() => setTimeout(() => { window.shownMs ??= performance.now() }))
  observer.disconnect()
}).observe(document, { childList: true, subtree: true })
"""


def find_chromium() -> str:
    """Its path. `FINWISE_CHROMIUM` names one. Raises Problem where there is none."""
    named = os.environ.get("FINWISE_CHROMIUM", "")
    found = named or next((path for each in PROGRAMS if (path := shutil.which(each))), "")
    if not found:
        raise Problem("There is no Chromium on this machine, to measure the app in.")
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as started:
        path = find_chromium()
        browser = started.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


def chromium_version() -> str:
    said = subprocess.run([find_chromium(), "--version"], capture_output=True, text=True)
    return said.stdout.strip().removeprefix("Chromium ").split()[0]


@dataclass(frozen=True)
class Trace:
    """task_ms: of the page's own thread, each as it was seen, and its processor time."""

    task_ms: tuple[tuple[float, float], ...]
    frames: int  # that scrolling was to show
    dropped: int  # of these

    @property
    def longest_ms(self) -> float:
        return max((wall for wall, _ in self.task_ms), default=0.0)

    @property
    def longest_cpu_ms(self) -> float:
        return max((cpu for _, cpu in self.task_ms), default=0.0)


class Tab:
    """A new device: a browser context with one page, in front of all others.

    session: as `sign_in` gives it.
    """

    def __init__(self, browser: Browser, house: House, session: str) -> None:
        self._browser = browser
        url = f"http://{house.address}"
        self.context = browser.new_context(
            viewport={"width": 1280, "height": 860}, locale="de-DE", base_url=url
        )
        self.context.set_default_timeout(PATIENCE_MS)
        cookie = {"name": settings.SESSION_COOKIE_NAME, "value": session, "url": url}
        self.context.add_cookies([cookie])
        self.context.add_init_script(_PRELUDE)
        self.page = self.context.new_page()

    def open(self) -> None:
        """Load the app (again), until it is up to date and all its rows are there."""
        self.page.goto("about:blank")
        self.page.goto("/")
        self.wait_for("up_to_date")
        self.page.wait_for_function(
            "() => ledger().accounts.filter((each) => each.isActive).length"
            " === document.querySelectorAll('li[data-account]').length"
        )

    def wait_for(self, kind: str) -> None:
        # Not by a locator, which would walk through all of a long page at every frame.
        self.page.wait_for_function(
            "kind => document.querySelector('.sync-button')?.dataset.kind.startsWith(kind)",
            arg=kind,
            polling=50,
        )

    def run(self, function: str, argument: object = None) -> Any:
        return self.page.evaluate(function, argument)

    def heap_mib(self) -> float:
        """What the page's JavaScript holds, after a collection of all garbage."""
        session = self.context.new_cdp_session(self.page)
        session.send("HeapProfiler.collectGarbage")
        used_bytes = session.send("Runtime.getHeapUsage")["usedSize"]
        session.detach()
        return float(used_bytes) / 2**20

    @contextmanager
    def traced(self) -> Iterator[list[Trace]]:
        """The list has the trace when the block has ended."""
        found: list[Trace] = []
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trace.json"
            self._browser.start_tracing(page=self.page, path=path, categories=list(_CATEGORIES))
            yield found
            self._browser.stop_tracing()
            found.append(_read(json.loads(path.read_bytes())["traceEvents"]))

    def close(self) -> None:
        self.context.close()


def sign_in(household: Household) -> str:
    """The session of its owner. Not while a browser is open: asyncio is busy then."""
    client = Client()
    client.force_login(User.objects.get(tokens__id=uuid.UUID(household.tokens[0][3:35])))
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)


def _read(events: list[dict[str, Any]]) -> Trace:
    mains = {
        (each["pid"], each["tid"])
        for each in events
        if each["name"] == "thread_name" and each["args"]["name"] == "CrRendererMain"
    }
    # Where the trace is written out, a thread seems to have worked for longer than it took.
    tasks = [
        (each["dur"] / 1000, min(each.get("tdur", 0), each["dur"]) / 1000)
        for each in events
        if each["name"] == "RunTask" and "dur" in each and (each["pid"], each["tid"]) in mains
    ]
    states: Counter[str] = Counter()
    for each in events:
        told = each.get("args", {}).get("frame_reporter")
        if told is None or told["scroll_state"] == "SCROLL_NONE":
            continue
        if told["state"] != "STATE_DROPPED" or told["affects_smoothness"]:
            states[told["state"]] += 1
    dropped = states["STATE_DROPPED"]
    shown = states["STATE_PRESENTED_ALL"] + states["STATE_PRESENTED_PARTIAL"]
    return Trace(tuple(tasks), shown + dropped, dropped)
