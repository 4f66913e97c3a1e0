"""Build the browser's app, if what it is made of has changed: `python -m finwise.webapp.build`.

What was built lies in `frontend/dist/` with a digest of its sources; while that is right, nothing
is done, in a few milliseconds. An app that is being served is replaced at once, whole or not.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

from finwise.places import ROOT
from finwise.problem import Problem
from finwise.webapp import node

FRONTEND = ROOT / "frontend"
DIST = FRONTEND / "dist"
LOCK_FILE = FRONTEND / "package-lock.json"
DIGEST = "sources.sha256"
# What the app is made of, in frontend/. Tests are not.
SOURCES = ("index.html", "package.json", "package-lock.json", "vite.config.ts", "public", "src")
NOT_SOURCES = (".test.ts",)


def main(arguments: list[str]) -> int:
    try:
        ensure()
    except Problem as problem:
        print(f"\n{problem}", file=sys.stderr)
        if (DIST / "index.html").exists():
            print("The app of the last build is served instead.\n", file=sys.stderr)
        else:
            print("Everything but the browser's app will work.\n", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def ensure() -> None:
    """Bring `frontend/dist` up to date. Raises Problem with a sentence for a person."""
    if is_current():
        return
    with only_one():
        if not is_current():
            build()


def is_current() -> bool:
    try:
        return (DIST / DIGEST).read_text() == digest()
    except OSError:
        return False


def digest() -> str:
    """Of the names and contents of everything that the app is made of."""
    all_of_it = hashlib.sha256()
    for name in SOURCES:
        place = FRONTEND / name
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        for file in files:
            if file.is_file() and not file.name.endswith(NOT_SOURCES):
                all_of_it.update(f"{file.relative_to(FRONTEND)}\0".encode())
                all_of_it.update(hashlib.sha256(file.read_bytes()).digest())
    return all_of_it.hexdigest()


def build() -> None:
    """Build the app into a folder beside, and put it in the place of the one that is served."""
    began_s = time.monotonic()
    with_node = node.find_or_install()
    install(with_node)
    say("Building the browser's app …")
    before = digest()
    fresh = FRONTEND / "dist.new"
    run(with_node, "run", "build", "--loglevel=error", "--", "--outDir", fresh.name)
    (fresh / DIGEST).write_text(before)
    # Whoever serves it now sees the old one or the new one, never half of one.
    old = FRONTEND / "dist.old"
    shutil.rmtree(old, ignore_errors=True)
    if DIST.exists():
        DIST.rename(old)
    fresh.rename(DIST)
    shutil.rmtree(old, ignore_errors=True)
    say(f"The browser's app is built ({time.monotonic() - began_s:.0f} s).")


def install(with_node: node.Node) -> None:
    """Install what package-lock.json lists. npm begins by removing all: only if it changed."""
    mark = FRONTEND / "node_modules" / ".installed"
    wanted = LOCK_FILE.read_bytes()
    try:
        if mark.read_bytes() == wanted:
            return
    except OSError:
        pass
    say("Installing what frontend/package-lock.json lists …")
    # Development packages are what builds it; scripts of strangers need not run for that.
    run(with_node, "ci", "--loglevel=error", "--include=dev", "--ignore-scripts")
    mark.unlink(missing_ok=True)
    mark.write_bytes(wanted)


def run(with_node: node.Node, *command: str) -> None:
    """Raises Problem with what npm has said."""
    done = subprocess.run(
        [*with_node.npm, *command], cwd=FRONTEND, env=with_node.environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode != 0:
        raise Problem(sentence_for(done.stdout))


def sentence_for(said: str) -> str:
    """A sentence for a person from what npm or Vite printed while failing."""
    what = "The browser's app could not be built"
    if "ENOSPC" in said:
        return f"{what}: the disk is full. Free some space and start again."
    if "EACCES" in said or "EROFS" in said:
        return f"{what}: this user may not write to {FRONTEND}."
    if any(sign in said for sign in ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT")):
        return f"{what}: the package registry cannot be reached. Check the network; start again."
    if "EINTEGRITY" in said:
        return (
            f"{what}: a downloaded package is not the one that was pinned. Do not go on; tell the "
            "people who maintain FinWise."
        )
    lines = "\n".join(said.strip().splitlines()[-20:])
    return f"{what}.\n{lines or 'npm said nothing about the reason.'}"


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Two builds at the same moment: the second waits, and then finds it done."""
    try:
        lock = (FRONTEND / ".build.lock").open("w")
    except OSError as error:
        raise Problem(sentence_for("EACCES")) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
