from datetime import UTC, datetime

import pytest

from bench.figures import Figure
from bench.report import BEGIN, END, RESULTS, Report, write_readme


def a_report() -> Report:
    return Report(
        at=datetime(2026, 1, 2, tzinfo=UTC),
        command="python -m bench",
        seconds=90.0,
        machine={"cpu": "Test", "cores": 2, "others_share": 0.125},
        versions={"postgresql": "18.1", "python": "3.11.9"},
        figures={
            "live": [Figure("p50", "Live, p50", 8.25, "ms", at_most=10)],
            "idle": [
                Figure("many", "Idle", 26.2, "KiB"),
                Figure("ack", "Ack", 4.2, "ms", is_detail=True),
            ],
        },
    )


def test_the_table_tells_what_was_reached_and_aimed_at():
    first, _, live, idle, detail = a_report().to_table().splitlines()
    assert "Ack" in detail
    assert [each.strip() for each in first.strip("|").split("|")] == ["", "reached", "aim"]
    assert [each.strip() for each in live.strip("|").split("|")] == [
        "Live, p50",
        "8.25 ms",
        "≤ 10 ✓",
    ]
    assert [each.strip() for each in idle.strip("|").split("|")] == ["Idle", "26.2 KiB", ""]


def test_what_others_did_meanwhile_is_told():
    assert "other programs took 12% of the processor time." in a_report().about()


def test_only_the_place_between_the_marks_is_renewed(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_readme(a_report(), RESULTS / "2026-01-02-test.json", readme)
    text = readme.read_text()
    assert text.startswith(f"before\n{BEGIN}\nMeasured on 2026-01-02 on 2 cores (Test)")
    assert text.endswith(f"|\n{END}\nafter\n")
    assert "old" not in text
    assert "Idle" in text and "Ack" not in text
    assert "[bench/results/2026-01-02-test.json](bench/results/2026-01-02-test.json)" in text


def test_a_readme_without_the_marks_is_left_alone(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("before\n")
    with pytest.raises(ValueError, match="no place for the table"):
        write_readme(a_report(), RESULTS / "2026-01-02-test.json", readme)
    assert readme.read_text() == "before\n"
