"""On what it was measured: without this, a number means nothing."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from finwise.places import ROOT

PACKAGES = ("django", "django-tenants", "psycopg", "uvicorn", "websockets", "msgspec")


def machine() -> dict[str, Any]:
    """The processor, memory and how busy it is just now."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_average": [round(each, 2) for each in os.getloadavg()],
    }


class Neighbours:
    """How much of the machine other programs take while we measure."""

    def __init__(self) -> None:
        self._began_s, self._busy_s = time.monotonic(), _busy_s()

    def share(self, own_cpu_s: float) -> float:
        """Their part of all processor time since then, 0 to 1. own_cpu_s: what was ours."""
        all_s = (time.monotonic() - self._began_s) * (os.cpu_count() or 1)
        return min(max((_busy_s() - self._busy_s - own_cpu_s) / all_s, 0.0), 1.0)


def _busy_s() -> float:
    """Processor seconds of the whole machine that were not idle, stolen ones included."""
    times = psutil.cpu_times()._asdict()
    # Guests are counted as their users, too.
    not_busy = ("idle", "iowait", "guest", "guest_nice")
    return sum(seconds for kind, seconds in times.items() if kind not in not_busy)


def versions(postgresql: str) -> dict[str, str]:
    return {
        "commit": _commit(),
        "python": platform.python_version(),
        "postgresql": postgresql,
        **{name: version(name) for name in PACKAGES},
    }


def short_name() -> str:
    """For file names: "2-cores-amd-epyc"."""
    words = re.findall(r"[a-z0-9]+", _cpu().lower())
    return "-".join([str(os.cpu_count()), "cores", *words[:4]])


def _cpu() -> str:
    """The name that the system gives; processors without one are named by their kind."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1].strip() if named else platform.processor() or platform.machine()


def _commit() -> str:
    """The commit that was measured, with "+" if there was more than it."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        # Results and the README are written by us; they change nothing that is measured.
        changed = _git("status", "--porcelain", "--", ".", ":!bench/results", ":!README.md")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+" if changed else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()
