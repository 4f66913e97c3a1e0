"""How a process gets the database: it takes a lease, and the supervisor does the rest."""

import atexit
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from finwise.places import ROOT
from finwise.postgres.cluster import rotate
from finwise.postgres.place import Place
from finwise.problem import Problem

START_TIMEOUT_S = 600  # recovery after a crash can take minutes, and says so
STOP_TIMEOUT_S = 30


def silent(text: str) -> None:
    """Says nothing."""


class Lease:
    """The right to use a state directory's PostgreSQL, until released or until we die."""

    def __init__(self, state_dir: Path, *, durable: bool, tell: Callable[[str], None]) -> None:
        self.place = Place.in_state_dir(state_dir)
        self.durable = durable
        self.tell = tell
        self.released = False
        self.keeper: threading.Thread | None = None
        self.connection, self.answer = self._acquire()

    @property
    def url(self) -> str:
        """For DATABASE_URL; stays the same for the life of the state directory."""
        return self.answer["url"]

    @property
    def notes(self) -> list[str]:
        """Sentences a person should read, about things that are not where they'd look."""
        return self.answer["notes"]

    def release(self) -> None:
        """Give the lease back; returns when PostgreSQL has stopped, if it was the last one."""
        self.released = True
        say_goodbye(self.connection)
        if self.keeper:
            self.keeper.join(STOP_TIMEOUT_S)

    def keep(self) -> None:
        """Renew the lease in the background if the supervisor dies, which stops PostgreSQL."""
        self.keeper = threading.Thread(target=self._renew, name="database lease", daemon=True)
        self.keeper.start()

    def _renew(self) -> None:
        while not self.released:
            with contextlib.suppress(OSError):
                if self.connection.recv(4096):
                    continue
            if self.released:
                return
            try:
                self.connection, self.answer = self._acquire()
            except Problem as problem:
                print(problem, file=sys.stderr, flush=True)
                time.sleep(1)
                continue
            if self.released:  # meanwhile, and it could not know of this connection
                say_goodbye(self.connection)

    def _acquire(self) -> tuple[socket.socket, dict[str, Any]]:
        self.place.make()
        path = self.place.lease_socket()
        supervisor: subprocess.Popen[bytes] | None = None
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(START_TIMEOUT_S)
            try:
                connection.connect(str(path))
                answer = self._read_answer(connection)
            except PermissionError as error:
                raise Problem(
                    f"The database in {self.place.state} was started by another user. Run this "
                    "as that user."
                ) from error
            except OSError:
                answer = None
            if answer is not None:
                connection.settimeout(None)
                return connection, answer
            connection.close()
            # Nobody there, or one that is just ending: ours waits until that one is gone.
            if supervisor is None or supervisor.poll() is not None:
                supervisor = self._spawn_supervisor()
            time.sleep(0.02)
        raise Problem(f"PostgreSQL did not start within {START_TIMEOUT_S} s; see {self.place.log}.")

    def _read_answer(self, connection: socket.socket) -> dict[str, Any] | None:
        """Return what the supervisor says at the end, or None if it went away.

        Raises Problem if PostgreSQL cannot start.
        """
        with connection.makefile("rb") as lines:
            for line in lines:
                answer = json.loads(line)
                if "problem" in answer:
                    raise Problem(answer["problem"])
                if "url" in answer:
                    return answer
                if "step" in answer:
                    self.tell(answer["step"])
        return None

    def _spawn_supervisor(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "finwise.postgres.supervisor", "--state", self.place.state]
        if not self.durable:
            command.append("--fast")
        if os.environ.get("FINWISE_POSTGRES_PORT"):
            command += ["--port", os.environ["FINWISE_POSTGRES_PORT"]]
        rotate(self.place.log)
        with self.place.log.open("ab") as log:
            # A session of its own: Ctrl-C is for us; it ends when its last lease does.
            return subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip


def say_goodbye(connection: socket.socket) -> None:
    """Returns when the other side has closed, which the last one's does after PostgreSQL."""
    with contextlib.suppress(OSError):
        connection.settimeout(STOP_TIMEOUT_S)
        connection.sendall(b"bye\n")
        while connection.recv(4096):
            pass
    connection.close()


_held: dict[Path, Lease] = {}


def hold(state_dir: Path, *, durable: bool = True, tell: Callable[[str], None] = silent) -> Lease:
    """Take this process's lease on the PostgreSQL of `state_dir`, until its end."""
    held = _held.get(state_dir)
    if held is None:
        held = _held[state_dir] = Lease(state_dir, durable=durable, tell=tell)
    return held


@atexit.register
def release_all() -> None:
    """Give back what `hold` took, and wait for the end of what nobody else uses."""
    while _held:
        _held.popitem()[1].release()


def ensure_running(
    state_dir: Path, *, durable: bool = True, tell: Callable[[str], None] = silent
) -> str:
    """Make sure that the PostgreSQL of `state_dir` runs for as long as this process does.

    Returns its URL. Finds one that runs already, for instance for `script/server` in another
    terminal. `durable=False` is several times faster and loses everything in a power cut: tests.
    `tell` is called with sentences about slow steps.

    Raises Problem with what a person can do about it.
    """
    return hold(state_dir, durable=durable, tell=tell).url


@contextlib.contextmanager
def running(
    state_dir: Path, *, durable: bool = True, tell: Callable[[str], None] = silent
) -> Iterator[Lease]:
    """Hold a lease for the length of a block."""
    lease = Lease(state_dir, durable=durable, tell=tell)
    try:
        yield lease
    finally:
        lease.release()
