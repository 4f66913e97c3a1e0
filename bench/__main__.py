"""The command line: `script/bench [name …] [--quick] [--for S] [--json FILE] [--readme]`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from finwise.problem import Problem

from . import machine
from .figures import Figure
from .house import open_house, set_up_django
from .measures import BROWSER, LOAD, NAMES, SETS, measure
from .report import BEGIN, BROWSER_BEGIN, RESULTS, Report, write_readme
from .scale import FULL, QUICK, Scale

ALL = (*NAMES, BROWSER, *LOAD)


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    try:
        scale = QUICK if options.quick else FULL
        if options.lasts_s is not None:
            scale = replace(scale, lasts_s=options.lasts_s)
        report = run(options.names or NAMES, scale)
    except Problem as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    print(f"\n{report.to_table()}\n\n{report.about()}")
    for path in places_for(report, options):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(report.to_json(), encoding="utf-8")
        print(f"Written to {path}")
    if options.readme:
        begin = BROWSER_BEGIN if set_of(report.figures) == BROWSER else BEGIN
        write_readme(report, result_file(report), begin=begin)
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="script/bench",
        description="Measure a real server on a real, durable PostgreSQL of its own. A full run "
        f"takes about two minutes and is written to {RESULTS.parent.name}/{RESULTS.name}.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"only: {', '.join(ALL)}; load: the last four"
    )
    parser.add_argument("--quick", action="store_true", help="small amounts: does it work at all")
    parser.add_argument(
        "--for", dest="lasts_s", type=float, metavar="SECONDS",
        help=f"how long town and soak last, each (default: {FULL.lasts_s:g})",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    parser.add_argument("--readme", action="store_true", help="renew the table in the README")
    options = parser.parse_args(arguments)
    if options.names == ["load"]:
        options.names = list(LOAD)
    if unknown := set(options.names) - set(ALL):
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose from {', '.join(ALL)}")
    if options.readme and (not is_full(options) or options.names == list(LOAD)):
        parser.error("--readme needs a full run")
    return options


def run(names: Sequence[str], scale: Scale) -> Report:
    began_s = time.monotonic()
    about = machine.machine()  # how busy it is before we make it busy
    figures: dict[str, list[Figure]] = {}
    with open_house() as house:
        set_up_django()
        neighbours, own_s = machine.Neighbours(), house.cpu_s()
        for name in names:
            print(f"{name} …", flush=True)
            figures[name] = measure(name)(house, scale)
            if said := house.said():
                print(f"The server said:\n{said}", file=sys.stderr)
        about["others_share"] = round(neighbours.share(house.cpu_s() - own_s), 2)
        versions = machine.versions(house.postgresql_version())
        if BROWSER in names:
            from .browser import chromium_version  # needs Django, and that the database

            versions["chromium"] = chromium_version()
    command = " ".join(["python -m bench", *sys.argv[1:]])
    now = datetime.now(UTC)
    return Report(now, command, time.monotonic() - began_s, about, versions, figures)


def is_full(options: argparse.Namespace) -> bool:
    """Everything of the server, of the browser or of the load, in the published amounts."""
    return not options.quick and set_of(options.names or NAMES) is not None


def set_of(names: Iterable[str]) -> str | None:
    """The name of the set of measures that these are; None: they are only some of one."""
    found = tuple(names)
    return next((name for name, measures in SETS.items() if measures == found), None)


def places_for(report: Report, options: argparse.Namespace) -> list[Path]:
    """A full run is kept among the results; any run goes where it was asked to."""
    kept = [result_file(report)] if is_full(options) else []
    return [*kept, *([options.json] if options.json else [])]


def result_file(report: Report) -> Path:
    of = set_of(report.figures)
    suffix = f"-{of}" if of else ""
    return RESULTS / f"{report.at:%Y-%m-%d}-{machine.short_name()}{suffix}.json"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
