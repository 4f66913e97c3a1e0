"""What was measured, for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from finwise.places import ROOT

from .figures import Figure, readable

README = ROOT / "README.md"
RESULTS = ROOT / "bench" / "results"
BEGIN, END = "<!-- measured: written by script/bench --readme -->", "<!-- /measured -->"
BROWSER_BEGIN = "<!-- measured: written by script/bench browser --readme -->"


@dataclass(frozen=True)
class Report:
    at: datetime
    command: str
    seconds: float
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    figures: Mapping[str, Sequence[Figure]]  # by measure

    def to_json(self) -> str:
        results = {
            measure: {each.name: _as_json(each) for each in figures}
            for measure, figures in self.figures.items()
        }
        document = {
            "at": self.at.isoformat(timespec="seconds"),
            "command": self.command,
            "seconds": round(self.seconds, 1),
            "machine": self.machine,
            "versions": self.versions,
            "results": results,
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    def to_table(self, *, with_details: bool = True) -> str:
        """A table in Markdown, which people can read as it is."""
        header = ("", "reached", "aim")
        cells = [
            (each.label, f"{readable(each.value)} {each.unit}".strip(), _aim(each))
            for figures in self.figures.values()
            for each in figures
            if with_details or not each.is_detail
        ]
        widths = [max(len(row[n]) for row in [header, *cells]) for n in range(3)]
        return "\n".join(
            f"| {label:<{widths[0]}} | {reached:>{widths[1]}} | {aim:>{widths[2]}} |"
            for label, reached, aim in [
                header,
                ("-" * widths[0], "-" * (widths[1] - 1) + ":", "-" * (widths[2] - 1) + ":"),
                *cells,
            ]
        )

    def about(self) -> str:
        """One sentence on where the numbers come from."""
        return (
            f"Measured on {self.at:%Y-%m-%d} on {self.machine['cores']} cores "
            f"({self.machine['cpu']}), which server, PostgreSQL {self.versions['postgresql']} "
            f"with durable commits and the load shared; other programs took "
            f"{self.machine['others_share']:.0%} of the processor time. "
            f"Python {self.versions['python']}."
        )


def _as_json(figure: Figure) -> dict[str, Any]:
    found: dict[str, Any] = {
        "label": figure.label,
        "value": round(figure.value, 4),
        "unit": figure.unit,
    }
    if figure.aim:
        found |= {"aim": figure.aim, "is_reached": figure.is_reached}
    if figure.runs:
        found["runs"] = [round(each, 4) for each in figure.runs]
    return found


def _aim(figure: Figure) -> str:
    if figure.is_reached is None:
        return ""
    return f"{figure.aim} {'✓' if figure.is_reached else '✗'}"


def write_readme(
    report: Report, result_file: Path, readme: Path = README, begin: str = BEGIN
) -> None:
    """Put the table into the README's section "Measured". Raises ValueError without its marks."""
    text = readme.read_text(encoding="utf-8")
    if begin not in text or END not in text:
        raise ValueError(f"{readme.name} has no place for the table: {begin} … {END}")
    before, rest = text.split(begin, 1)
    after = rest.split(END, 1)[1]
    where = result_file.relative_to(ROOT)
    table = report.to_table(with_details=False)
    body = f"{report.about()} All numbers: [{where}]({where}).\n\n{table}"
    readme.write_text(f"{before}{begin}\n{body}\n{END}{after}", encoding="utf-8")
