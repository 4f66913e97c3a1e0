"""docs/architecture.md says what is so: files that exist, arrows that are tested, round trips."""

from __future__ import annotations

import re
from typing import Any

import pytest

from syncapp import engine
from syncapp.tests.architecture.test_imports import ARROWS
from syncapp.tests.core.test_engine import Home, change

from .page import ROOT

PAGES = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))]
TEXT = (ROOT / "docs" / "architecture.md").read_text()
_PATH = re.compile(r"`((?:finwise|tenants|accounts|syncapp|frontend|docs|script)/[\w./-]*)`")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#([\w-]+))?\)")


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page):
    text = (ROOT / page).read_text()
    missing = [path for path in _PATH.findall(text) if not (ROOT / path).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page):
    for path, anchor in _LINK.findall((ROOT / page).read_text()):
        target = (ROOT / page).parent / path
        assert target.exists(), f"{page}: {path}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert anchor in {_slug(each) for each in headings}, f"{page}: {path}#{anchor}"


def _slug(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_the_house_is_the_one_whose_arrows_are_tested():
    for package in ("syncapp.core", "syncapp.engine", "syncapp.repository", "syncapp.device"):
        assert package in ARROWS
        assert f"`{package.replace('.', '/')}" in TEXT
    assert ARROWS["tenants"] == ["syncapp.core", "syncapp.repository"]


class Recorder:
    """A repository that notes what is asked of it, in order."""

    def __init__(self, repository: Any) -> None:
        self._repository = repository
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._repository, name)
        if not callable(found):
            return found

        def noted(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            return found(*args, **kwargs)

        return noted


def calls_of_a_push(home: Home, *changes: Any) -> list[str]:
    from syncapp.core.messages import Push
    from syncapp.tests.core.test_engine import ANNA, NOW, PHONE

    recorder = Recorder(home.repository)
    with home.repository.transaction():
        engine.apply_push(recorder, PHONE, ANNA, Push(changes=list(changes)), NOW)
    return recorder.calls


def test_a_push_asks_the_database_as_often_as_the_page_says():
    home = Home()
    home.hello()
    told = re.findall(r"^\| \d \| `(\w+)` \|", TEXT, re.MULTILINE)
    assert calls_of_a_push(home, change(1)) == told


def test_a_conflict_costs_two_round_trips_more():
    from syncapp.tests.core.test_engine import TABLET

    home = Home()
    home.hello()
    home.hello(TABLET)
    home.push(change(1, device=TABLET), device=TABLET)
    calls = calls_of_a_push(home, change(2, "edit", {"name": "Urlaub"}))
    told = re.findall(r"`(\w+)` \((?:whose|which)", " ".join(TEXT.split()))
    assert [each for each in calls if each in told] == told == ["owners_of", "new_conflicts"]


def test_every_decision_says_what_was_obvious_why_not_and_at_what_price():
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [int(page.name[:4]) for page in pages]
    assert numbers == list(range(numbers[0], numbers[0] + len(pages)))
    for page in pages:
        text = page.read_text()
        if page.name != "0001-dependencies.md":
            assert text.startswith(f"# {int(page.name[:4])}. ")
            assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == [
                "Obvious", "We", "Why", "Price",
            ]  # fmt: skip
