"""The benchmark runs from end to end and says what it measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import is_full, parse, set_of
from bench.measures import LOAD, NAMES
from bench.report import BEGIN, BROWSER_BEGIN, END
from finwise.places import ROOT


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, timeout=240,
    )  # fmt: skip


@pytest.mark.slow
def test_a_quick_run_measures_everything_and_writes_json(tmp_path: Path):
    written = tmp_path / "numbers.json"
    done = bench("--quick", "--json", written)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # nor did the server complain
    document = json.loads(written.read_text())
    assert list(document["results"]) == list(NAMES)
    figures = [each for found in document["results"].values() for each in found.values()]
    assert all(each["value"] >= 0 for each in figures)
    assert all(each["label"] in done.stdout for each in figures)
    assert document["machine"]["cores"] >= 1
    assert {"commit", "python", "django", "uvicorn", "postgresql"} <= set(document["versions"])
    assert "--quick" in document["command"]


@pytest.mark.slow
def test_a_quick_run_measures_the_app_in_a_browser(tmp_path: Path):
    written = tmp_path / "numbers.json"
    done = bench("browser", "--quick", "--json", written)
    if "There is no Chromium" in done.stderr:
        pytest.skip("There is no Chromium on this machine.")
    assert done.returncode == 0, done.stderr
    document = json.loads(written.read_text())
    found = document["results"]["browser"]
    assert found["size"]["value"] > 0 and found["size"]["is_reached"]
    assert all(found[name]["value"] > 0 for name in ("start", "edit_p50", "put_p50", "flush"))
    # Each trace was read: a task that took no time was not one.
    assert all(found[name]["value"] > 0 for name in ("start_task", "flush_task"))
    assert {"chromium"} <= set(document["versions"])


def test_an_unknown_measure_is_refused_before_anything_starts():
    done = bench("speed")
    assert done.returncode == 2
    assert "there is no speed; choose from flush" in done.stderr


def test_the_load_is_asked_for_by_one_name_and_kept_by_itself():
    options = parse(["load", "--for", "86400"])
    assert (options.names, options.lasts_s) == (list(LOAD), 86400)
    assert is_full(options) and set_of(LOAD) == "load" and set_of(NAMES) == ""
    assert not is_full(parse(["soak"])) and not is_full(parse(["load", "--quick"]))


def test_the_readme_has_a_place_for_each_table():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first, second = text.split(BROWSER_BEGIN)
    assert first.count(BEGIN) == first.count(END) == second.count(END) == 1
    assert first.index(BEGIN) < first.index(END)
