"""A known vulnerability fails; what could not be asked is said, and is no safety."""

import datetime
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from finwise.places import ROOT

TODAY = datetime.date(2026, 11, 22)


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """script/audit.py, which is no module of a package."""
    monkeypatch.syspath_prepend(str(ROOT / "script"))
    spec = importlib.util.spec_from_file_location("audit", ROOT / "script/audit.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "audit", module)
    spec.loader.exec_module(module)
    yield module


def pip_audit(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(packages), "fixes": []})


SOUND = {"name": "django", "version": "5.2.9", "vulns": []}
BAD = {
    "name": "jinja",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1", "GHSA-aaaa-bbbb-cccc"]}],
}
UNKNOWN = {"name": "ours", "skip_reason": "Dependency not found on PyPI"}


def test_a_vulnerability_is_found_by_any_of_its_names(audit: ModuleType) -> None:
    (found,) = audit.python_findings(pip_audit(SOUND, BAD), "", "requirements.txt", "pypi")
    assert str(found) == "requirements.txt: jinja 1.0 has PYSEC-2026-1"
    assert found.names == {"PYSEC-2026-1", "CVE-2026-1", "GHSA-aaaa-bbbb-cccc"}


def test_a_source_that_knows_nothing_has_checked_nothing(
    audit: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """pip-audit itself calls that a success."""
    with pytest.raises(audit.Unreachable, match="knows none of the 2 packages"):
        audit.python_findings(pip_audit(UNKNOWN, UNKNOWN), "", "requirements.txt", "pypi")
    assert audit.python_findings(pip_audit(SOUND, UNKNOWN), "", "requirements.txt", "pypi") == []
    assert "pypi does not know ours" in capsys.readouterr().out


def test_a_tool_that_fails_has_checked_nothing(audit: ModuleType) -> None:
    with pytest.raises(audit.Unreachable, match="ConnectionError"):
        audit.python_findings("", "Traceback\nConnectionError: no way", "requirements.txt", "osv")
    with pytest.raises(audit.Unreachable, match="405 Method Not Allowed"):
        audit.browser_findings(
            json.dumps({"message": "405 Method Not Allowed - POST https://registry.invalid/x"})
        )
    with pytest.raises(audit.Unreachable):
        audit.browser_findings("")


def test_npms_advisories_are_named_by_their_last_part(audit: ModuleType) -> None:
    told = {
        "vulnerabilities": {
            "vite": {"via": [{"url": "https://example.org/advisories/GHSA-x", "source": 1}]},
            "plugin": {"via": ["vite"]},
        }
    }
    assert [str(each) for each in audit.browser_findings(json.dumps(told))] == [
        "frontend: vite has GHSA-x"
    ]
    assert audit.browser_findings(json.dumps({"vulnerabilities": {}})) == []


def test_what_is_ignored_is_ignored_until_its_day(audit: ModuleType) -> None:
    line = "GHSA-aaaa-bbbb-cccc  until 2026-12-01  only for Windows\n"
    assert audit.read_ignored("# a comment\n\n" + line, TODAY) == {"GHSA-aaaa-bbbb-cccc"}
    with pytest.raises(ValueError, match="look at it again"):
        audit.read_ignored(line, datetime.date(2026, 12, 2))
    for bad in ("GHSA-x", "GHSA-x until tomorrow because", "GHSA-x until 2026-12-01"):
        with pytest.raises(ValueError, match="line 1"):
            audit.read_ignored(bad, TODAY)


@pytest.mark.parametrize(("ignored", "code"), [("", 1), ("CVE-2026-1 until 2999-01-01 why", 0)])
def test_a_finding_fails_unless_it_is_ignored(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ignored: str, code: int
) -> None:
    def unreachable() -> Any:
        raise audit.Unreachable("nobody answers")

    found = audit.python_findings(pip_audit(BAD), "", "requirements.txt", "pypi")
    monkeypatch.setattr(audit, "python_packages", lambda: found)
    monkeypatch.setattr(audit, "browser_packages", unreachable)
    (tmp_path / "ignored").write_text(ignored)
    monkeypatch.setattr(audit, "IGNORED", tmp_path / "ignored")
    assert audit.main() == code


def test_a_source_out_of_reach_does_not_fail_and_says_so(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreachable() -> Any:
        raise audit.Unreachable("nobody\nanswers")

    monkeypatch.setattr(audit, "python_packages", unreachable)
    monkeypatch.setattr(audit, "browser_packages", list)
    assert audit.main() == 0
    assert capsys.readouterr().out == "audit: not checked: nobody answers\n"


def test_the_list_in_the_repository_is_in_order(audit: ModuleType) -> None:
    text = audit.IGNORED.read_text()
    entries = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(audit.read_ignored(text, audit.today())) == len(entries)
