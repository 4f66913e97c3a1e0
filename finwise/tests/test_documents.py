"""Documents that would otherwise go stale in silence."""

import re

import pytest

from finwise.places import ROOT

DECISION = (ROOT / "docs/decisions/0001-dependencies.md").read_text(encoding="utf-8")
NAME = re.compile(r"^([A-Za-z][A-Za-z0-9_-]*)", re.MULTILINE)
ROW = re.compile(r"^\| ([a-z0-9-]+) \| [^|]+ \| [^|]+ \|$", re.MULTILINE)


def test_every_dependency_has_its_reason_and_nothing_else_has() -> None:
    named = {
        name
        for file in (
            "requirements.in",
            "requirements-dev.in",
            "requirements-node.in",
            "requirements-audit.in",
        )
        for name in NAME.findall((ROOT / file).read_text())
    }
    assert set(ROW.findall(DECISION)) - {"package"} == named


@pytest.mark.parametrize(
    "name", ["requirements", "requirements-dev", "requirements-node", "requirements-audit"]
)
def test_every_pin_has_hashes_and_no_index_is_named(name: str) -> None:
    text = (ROOT / f"{name}.txt").read_text()
    pins = [line for line in text.splitlines() if "==" in line]
    assert pins and all(line.endswith("\\") for line in pins)
    assert "://" not in text


def test_every_script_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files = [each for each in (ROOT / "script").iterdir() if each.is_file()]
    scripts = [each for each in files if each.stat().st_mode & 0o100]
    assert {each.name for each in scripts if f"script/{each.name}" not in readme} == set()
