"""The benchmark runs from end to end and says what it measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.measures import NAMES
from bench.report import BEGIN, END
from finwise.places import ROOT


@pytest.mark.slow
def test_a_quick_run_measures_everything_and_writes_json(tmp_path: Path):
    written = tmp_path / "numbers.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--json", written],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
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


def test_an_unknown_measure_is_refused_before_anything_starts():
    done = subprocess.run(
        [sys.executable, "-m", "bench", "speed"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "there is no speed; choose from flush" in done.stderr


def test_the_readme_has_a_place_for_the_table():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    assert text.index(BEGIN) < text.index(END)
