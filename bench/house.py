"""The house under test: one server process and one PostgreSQL, both as people run them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from finwise.places import ROOT
from finwise.postgres import running
from finwise.postgres.account import find_home
from finwise.postgres.cluster import end_with
from finwise.postgres.place import Place

START_TIMEOUT_S = 120
_READY = "FinWise runs at "


@dataclass(frozen=True)
class Usage:
    """CPU seconds so far, of all threads and of children that have ended."""

    server_s: float
    postgres_s: float
    load_s: float  # of this process: what the measuring itself costs

    def since(self, before: Usage) -> Usage:
        return Usage(
            self.server_s - before.server_s,
            self.postgres_s - before.postgres_s,
            self.load_s - before.load_s,
        )


class House:
    """A running server on a running, durable PostgreSQL, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = ""  # host:port
        self._ended_s = 0.0  # CPU time of the server processes before this one
        self._process: subprocess.Popen[bytes] | None = None
        data = find_home(Place.in_state_dir(folder)).data
        self._postmaster = psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))

    def start_server(self) -> None:
        """Start a fresh server process; ends the one before."""
        self.stop_server()
        log = self.folder / "server.log"
        log.unlink(missing_ok=True)
        parent = os.getpid()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.serve", "--port", "0", "--no-demo"],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=self._environment(), preexec_fn=lambda: end_with(parent),
            )  # fmt: skip
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while _READY not in (said := log.read_text(errors="replace")):
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"The server did not start. It said:\n{said}")
            time.sleep(0.02)
        self.address = said.split(_READY)[1].split()[0].removeprefix("http://")

    def stop_server(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._ended_s += _cpu_s(self._server)
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
        self._process = None

    def _environment(self) -> dict[str, str]:
        """Ours, without what would lead the server to another database."""
        left_out = {"DATABASE_URL", "REDIS_URL", "FINWISE_ENV"}
        kept = {key: value for key, value in os.environ.items() if key not in left_out}
        return kept | {
            "FINWISE_STATE_DIR": str(self.folder),
            "FINWISE_HOUSEHOLDS_PER_DAY": "1000000",
            "FINWISE_LOG_LEVEL": "WARNING",
            "BENCH_COLLECTED": str(self.folder / "collected"),
        }

    # --- what it costs

    def usage(self) -> Usage:
        own = os.times()
        return Usage(
            server_s=_cpu_s(self._server),
            postgres_s=_cpu_s(self._postmaster)
            + sum(_cpu_s(each) for each in self._postmaster.children(recursive=True)),
            load_s=own.user + own.system,
        )

    def cpu_s(self) -> float:
        """All CPU time that the benchmark has taken so far, in every process of its own."""
        usage = self.usage()
        return usage.server_s + self._ended_s + usage.postgres_s + _cpu_s(psutil.Process())

    def memory_bytes(self) -> int:
        """What the server process holds in memory now (RSS)."""
        return self._server.memory_info().rss

    def open_files(self) -> int:
        """Sockets and files that the server process has open."""
        return self._server.num_fds()

    def collect_garbage(self) -> None:
        told = self.folder / "collected"
        told.unlink(missing_ok=True)
        self._server.send_signal(signal.SIGUSR1)
        deadline_s = time.monotonic() + 30
        while not told.exists():
            if time.monotonic() > deadline_s:
                raise RuntimeError("The server did not collect its garbage.")
            time.sleep(0.01)

    def said(self) -> str:
        """What the server logged: nothing, when all went well."""
        log = (self.folder / "server.log").read_text(errors="replace")
        return "\n".join(line for line in log.splitlines() if line and not _is_usual(line))

    def postgresql_version(self) -> str:
        done = subprocess.run(
            [self._postmaster.exe(), "--version"], check=True, capture_output=True, text=True
        )
        return done.stdout.split()[-1]

    @property
    def _server(self) -> psutil.Process:
        assert self._process is not None
        return psutil.Process(self._process.pid)


@contextlib.contextmanager
def open_house() -> Iterator[House]:
    """Make a fresh house in a temporary folder, and set this process up to work in it."""
    folder = Path(tempfile.mkdtemp(prefix="finwise-bench-"))
    folder.chmod(0o755)  # as root, PostgreSQL runs under another account and has to pass
    os.environ["FINWISE_STATE_DIR"] = str(folder)
    os.environ.pop("REDIS_URL", None)
    elsewhere: Path | None = None
    try:
        with running(folder, durable=True) as lease:
            os.environ["DATABASE_URL"] = lease.url
            home = find_home(Place.in_state_dir(folder)).folder
            elsewhere = None if home.is_relative_to(folder) else home
            house = House(folder)
            try:
                house.start_server()
                yield house
            finally:
                house.stop_server()
                _close_connections()
    finally:
        for each in (folder, elsewhere):
            if each is not None:
                shutil.rmtree(each, ignore_errors=True)


def set_up_django() -> None:
    """After `open_house`: the settings read the environment once."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "finwise.settings"
    import django

    django.setup()


def _close_connections() -> None:
    if "django.db" in sys.modules:
        from django.db import connections

        connections.close_all()


def _is_usual(line: str) -> bool:
    return line.startswith((_READY, "Making or updating the tables"))


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0  # its parent has it among its ended children now
    return times.user + times.system + times.children_user + times.children_system
