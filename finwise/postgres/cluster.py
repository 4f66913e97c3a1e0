"""One PostgreSQL data directory: made, started, stopped."""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from finwise.postgres import sentences
from finwise.postgres.account import Home
from finwise.problem import Problem

# initdb writes 24 MiB and a first WAL file of 16; below this even starting is a gamble.
FREE_BYTES_TO_MAKE = 200 * 1024 * 1024
FREE_BYTES_TO_START = 32 * 1024 * 1024

ACCESS = """\
# Written by FinWise. Passwords only; the socket's folder lets nobody else in.
local all all scram-sha-256
host  all all 127.0.0.1/32 scram-sha-256
host  all all ::1/128      scram-sha-256
"""

SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "128MB",
    "jit": "off",  # all our statements are short; compiling them costs more than it saves
    "log_timezone": "UTC",
    "timezone": "UTC",
    # Money and names stay out of the log: no statements, no "Key (name)=(…)" details.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
    # Our passwords are 256 random bits; stretching them only makes each connection slower.
    "scram_iterations": "1",
}
# Several times faster and worthless after a power cut: for tests. Commits are still written
# before they are answered, so a kill loses nothing here either.
FAST_SETTINGS = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Cluster:
    home: Home
    socket_dir: Path
    log: Path
    durable: bool = True
    port: int | None = None  # None: reachable through its Unix socket only

    @property
    def data(self) -> Path:
        return self.home.data

    def make(self) -> None:
        """Make the data directory if there is none. A kill in between leaves nothing half made.

        Raises Problem if it was written by another major version, or the disk is full.
        """
        if (self.data / "PG_VERSION").exists():
            self._refuse_other_version()
            self._refuse_full_disk(FREE_BYTES_TO_START)
            return
        self._refuse_full_disk(FREE_BYTES_TO_MAKE)
        unfinished = self.home.folder / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        account = self.home.account
        unfinished.mkdir(mode=0o700)
        if account.changes:
            os.chown(unfinished, account.uid, account.gid)
        arguments = [
            "--pgdata", str(unfinished), "--username", "postgres", "--auth", "trust",
            "--encoding", "UTF8", "--locale", "C",
            # Byte order everywhere, on every system: stamps are compared as text.
            "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8",
            "--no-instructions", *([] if self.durable else ["--no-sync"]),
        ]  # fmt: skip
        done = self._run("initdb", *arguments)
        if done.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise Problem(sentences.for_output(done.stdout, self.home.folder))
        (unfinished / "pg_hba.conf").write_text(ACCESS)
        unfinished.rename(self.data)

    def set_passwords(self, passwords: dict[str, str]) -> None:
        """Give the roles these passwords, and make role and database if they are missing.

        Done with nobody else connected, in PostgreSQL's single-user mode: it needs no password,
        so it also repairs a state directory whose secrets were lost.
        """
        statements = [
            *(f"ALTER ROLE {role} PASSWORD '{word}'" for role, word in passwords.items()),
            "CREATE DATABASE finwise OWNER finwise",
        ]
        # Not a superuser: it owns its database and can do nothing to the machine.
        statements.insert(0, "CREATE ROLE finwise LOGIN CREATEDB")
        done = self._run(
            "postgres", "--single", "-D", str(self.data), *self._as_flags(), "postgres",
            text="".join(f"{line};\n" for line in statements),
        )  # fmt: skip
        # "already exists" is not an error here; whatever else goes wrong shows at the end.
        if done.returncode != 0:
            raise Problem(sentences.for_output(done.stdout, self.data))

    def start(self, tell: Callable[[str], None] = lambda text: None) -> "Postmaster":
        """Start PostgreSQL and return when it takes connections.

        Raises Problem with what the person can do if it does not start.
        """
        self.stop_stray(tell)
        self._refuse_taken_port()
        deadline_s = time.monotonic() + 10
        while True:
            process = self._spawn()
            problem = self._wait_until_ready(process, tell)
            if problem is None:
                return Postmaster(process)
            # After a kill -9 of the postmaster its children need a moment to notice and let go
            # of the shared memory.
            if "shared memory block" not in problem or time.monotonic() > deadline_s:
                raise Problem(sentences.for_output(problem, self.data))
            time.sleep(0.1)

    def stop_stray(self, tell: Callable[[str], None] = lambda text: None) -> None:
        """End a PostgreSQL on this data directory that no supervisor looks after.

        Also removes a pid file that now names some other program, which PostgreSQL itself would
        take for a running server.
        """
        pid = self._pid_on_file()
        if pid is None:
            return
        try:
            stray = psutil.Process(pid)
            is_ours = str(self.data) in stray.cmdline()
        except psutil.Error:
            stray, is_ours = None, False
        if stray is None or not is_ours:
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            return
        tell("Stopping a PostgreSQL that was left running …")
        stop_process(stray)

    def _pid_on_file(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return None

    def _as_flags(self) -> list[str]:
        settings = dict(SETTINGS) if self.durable else SETTINGS | FAST_SETTINGS
        settings["unix_socket_directories"] = f'"{self.socket_dir}"'
        settings["unix_socket_permissions"] = "0700"
        # The file of the Unix socket is always named after 5432; only the folder differs.
        settings["listen_addresses"] = "127.0.0.1" if self.port else ""
        settings["port"] = str(self.port or 5432)
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _spawn(self) -> "subprocess.Popen[bytes]":
        parent = os.getpid()
        rotate(self.log)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [self.home.binaries / "bin" / "postgres", "-D", self.data, *self._as_flags()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.data,
                env=environment(), preexec_fn=lambda: end_with(parent),
                **self.home.account.for_subprocess(),
            )  # fmt: skip

    def _wait_until_ready(
        self, process: "subprocess.Popen[bytes]", tell: Callable[[str], None]
    ) -> str | None:
        """Return None when connections are taken, else what PostgreSQL said while failing."""
        said = self.log.stat().st_size
        started_s = time.monotonic()
        has_told = False
        while process.poll() is None:
            try:
                lines = (self.data / "postmaster.pid").read_text().splitlines()
            except OSError:
                lines = []
            # Line 8 alone could be a leftover of the server before; line 1 alone comes early.
            if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
                return None
            if not has_told and time.monotonic() - started_s > 3:
                tell("PostgreSQL is recovering from an abrupt end; this can take a while …")
                has_told = True
            time.sleep(0.01)
        with self.log.open("rb") as log:
            log.seek(max(0, min(said, self.log.stat().st_size) - 2000))
            return log.read().decode(errors="replace")

    def _run(self, program: str, *arguments: str, text: str = "") -> "subprocess.CompletedProcess":
        return subprocess.run(
            [self.home.binaries / "bin" / program, *arguments],
            input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=self.home.folder, env=environment(), **self.home.account.for_subprocess(),
        )  # fmt: skip

    def _refuse_other_version(self) -> None:
        written_by = (self.data / "PG_VERSION").read_text().strip()
        ours = self._run("postgres", "--version").stdout.split()[-1].split(".")[0]
        if written_by == ours:
            return
        age = "newer" if int(written_by) > int(ours) else "older"
        raise Problem(
            f"The database in {self.data} was written by PostgreSQL {written_by}, and this "
            f"FinWise brings the {'older' if age == 'newer' else 'newer'} PostgreSQL {ours}. "
            "Nothing was changed. Either start the FinWise version that wrote it, or begin with "
            "a new folder (FINWISE_STATE_DIR=/some/folder) and restore a backup there."
        )

    def _refuse_full_disk(self, bytes_needed: int) -> None:
        free = shutil.disk_usage(self.home.folder).free
        if free < bytes_needed:
            raise Problem(sentences.disk_full(self.home.folder, free, bytes_needed))

    def _refuse_taken_port(self) -> None:
        if self.port is None:
            return
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except OSError as error:
                raise Problem(
                    f"PostgreSQL should listen on port {self.port} (FINWISE_POSTGRES_PORT), and "
                    "another program has it. Choose another port, or leave the setting out: "
                    "FinWise itself does not need one."
                ) from error


@dataclass(frozen=True)
class Postmaster:
    """A running PostgreSQL that is our child."""

    process: "subprocess.Popen[bytes]"

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        if self.is_alive:
            stop_process(psutil.Process(self.process.pid))
            self.process.wait()


def stop_process(postmaster: psutil.Process) -> None:
    """Stop a server: politely, then abruptly. All three lose nothing that was committed."""
    for sign, patience_s in ((signal.SIGINT, 15), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
        with contextlib.suppress(psutil.NoSuchProcess):
            postmaster.send_signal(sign)
        deadline_s = time.monotonic() + patience_s
        while time.monotonic() < deadline_s:
            if has_ended(postmaster):
                return
            time.sleep(0.01)


def has_ended(process: psutil.Process) -> bool:
    """Also true for a dead process that nobody has collected, as in a container without an init."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def end_with(parent: int) -> None:
    """Between fork and exec: ask the kernel to stop this process when its parent dies.

    Has to come after the change of account, which clears the request. Linux only; elsewhere the
    next supervisor stops what it finds.
    """
    os.setsid()  # Ctrl-C in a terminal is for the server, which then stops us in order
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)  # 1: PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)


def environment() -> dict[str, str]:
    """Nothing of ours: PG* variables would bend the programs, LANG the messages we read."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}


def rotate(log: Path, max_bytes: int = 5 * 1024 * 1024) -> None:
    if log.exists() and log.stat().st_size > max_bytes:
        log.replace(log.with_suffix(".log.1"))
