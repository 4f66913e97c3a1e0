"""What script/frontend does: types, style, tests, build, and how much a first visit loads."""

from __future__ import annotations

import contextlib
import gzip
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from finwise.problem import Problem
from finwise.webapp import build, node

FIRST_LOAD_MAX_KIB = 120
STEPS = ("check", "lint", "test")


def main(arguments: list[str]) -> int:
    if arguments == ["build"]:
        return build.main([])
    if arguments:
        print("script/frontend takes nothing, or: build", file=sys.stderr)
        return 2
    try:
        with_node = node.find_or_install()
        build.install(with_node)
    except Problem as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    return check(with_node) or build.main([]) or first_load(build.DIST)


def check(with_node: node.Node) -> int:
    """Run all steps at once, each of which leaves a core idle, and print what each said as a whole.

    Returns the first exit code that is not 0, in the order of the steps.
    """
    with contextlib.ExitStack() as files:
        running = []
        for step in STEPS:
            said = files.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))
            command = [*with_node.npm, "run", "--silent", step]
            started = subprocess.Popen(
                command, cwd=build.FRONTEND, env=with_node.environment(),
                stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
            )  # fmt: skip
            running.append((started, said))
        codes = []
        for started, said in running:
            codes.append(started.wait())
            said.seek(0)
            print(said.read(), end="", flush=True)
    return next((code for code in codes if code != 0), 0)


def first_load(dist: Path) -> int:
    """Tell how much JavaScript a first visit loads; 1 if it is too much."""
    kib = first_load_kib(dist)
    print(
        f"A first visit loads {kib:.1f} KiB of JavaScript, gzipped (at most {FIRST_LOAD_MAX_KIB})."
    )
    return int(kib > FIRST_LOAD_MAX_KIB)


def first_load_kib(dist: Path) -> float:
    """What has to be there before accounts show: what the shell names, and one language.

    Forms, the panel and dragging are loaded while the person looks at the accounts.
    """
    shell = (dist / "index.html").read_text(encoding="utf-8")
    named = [dist / "app" / name for name in re.findall(r'"/static/app/([^"]+\.js)"', shell)]
    languages = [kib(file) for file in (dist / "app").glob("??-*.js")]
    return sum(kib(file) for file in named) + max(languages, default=0)


def kib(file: Path) -> float:
    return len(gzip.compress(file.read_bytes(), 9)) / 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
