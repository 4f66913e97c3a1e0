"""The process between those who need the database and PostgreSQL.

    python -m finwise.postgres.supervisor --state FOLDER [--fast] [--port N]

Started by lease.py, never by hand. To every connection on its socket it writes one line of JSON,
either {"url": …, "notes": […]} or {"problem": …}, and holds the lease until that
connection closes. Lines {"step": …} may come before. Sentences go to people as they are.
"""

import argparse
import contextlib
import fcntl
import json
import os
import secrets
import selectors
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

from finwise.postgres.account import Home, find_home
from finwise.postgres.cluster import Cluster, Postmaster
from finwise.postgres.place import SOCKET_NAME, Place, short_dir
from finwise.problem import Problem

# After a lease was cut off (a kill, a crash) its owner is often started anew at once.
LINGER_S = 0.5
RESTART_PAUSE_MAX_S = 5.0


class Supervisor:
    def __init__(self, place: Place, *, durable: bool, port: int | None) -> None:
        self.place = place
        self.durable = durable
        self.port = port
        self.selector = selectors.DefaultSelector()
        self.leases: set[socket.socket] = set()
        self.postmaster: Postmaster | None = None
        self.answer: dict[str, Any] = {}
        self.asked_to_stop = False
        # The last one who said goodbye; closed only after PostgreSQL has stopped, so that the
        # other side can wait for it.
        self.leaving: socket.socket | None = None

    def run(self) -> int:
        self.wake_on_signals()
        path = self.place.lease_socket()
        listener = self.listen(path)
        try:
            cluster = self.prepare(listener)
            self.serve(listener, cluster)
        except Problem as problem:
            self.announce(listener, {"problem": str(problem)})
            return 1
        finally:
            # First nobody new, then PostgreSQL: who comes now starts the next supervisor, which
            # waits for our lock.
            path.unlink(missing_ok=True)
            listener.close()
            if self.postmaster:
                self.postmaster.stop()
            for lease in self.leases | ({self.leaving} if self.leaving else set()):
                lease.close()
        return 0

    def listen(self, path: Path) -> socket.socket:
        """The socket at which leases are taken, for this account alone."""
        path.unlink(missing_ok=True)  # we hold the lock, so it is a leftover
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(128)
        listener.setblocking(False)
        self.selector.register(listener, selectors.EVENT_READ)
        return listener

    def prepare(self, listener: socket.socket) -> Cluster:
        """Everything up to the first connection that PostgreSQL takes."""
        self.tell(listener, "Starting PostgreSQL …")
        home = find_home(self.place)
        owner = home.account.uid
        socket_dir = short_dir(home.folder / "socket", self.place.mark, "socket", owner)
        cluster = Cluster(home, socket_dir, self.place.log, durable=self.durable, port=self.port)
        if not home.data.exists():
            self.tell(listener, "Making the database's folder (first start) …")
        cluster.stop_stray(lambda text: self.tell(listener, text))
        cluster.make()
        words = self.passwords(cluster)
        self.postmaster = cluster.start(lambda text: self.tell(listener, text))
        self.announce(listener, self.describe(home, socket_dir, words))
        return cluster

    def passwords(self, cluster: Cluster) -> dict[str, str]:
        """Read the roles' passwords, or make new ones where there are none yet."""
        try:
            return json.loads(self.place.secrets.read_text())
        except (OSError, ValueError):
            words = {role: secrets.token_urlsafe(32) for role in ("postgres", "finwise")}
        cluster.set_passwords(words)
        unfinished = self.place.secrets.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as f:
            json.dump(words, f)
        unfinished.rename(self.place.secrets)
        return words

    def describe(self, home: Home, socket_dir: Path, words: dict[str, str]) -> dict[str, Any]:
        where = quote(str(socket_dir), safe="")
        # The socket's file carries the port's number.
        port = self.port or int(SOCKET_NAME.rpartition(".")[2])
        return {
            "url": f"postgresql://finwise:{words['finwise']}@/finwise?host={where}&port={port}",
            "notes": list(home.notes),
        }

    def serve(self, listener: socket.socket, cluster: Cluster) -> None:
        """Until the last lease is gone. Brings PostgreSQL back whenever it ends."""
        pause_s = 0.0
        empty_since_s = time.monotonic()
        while not self.asked_to_stop:
            if self.leases:
                empty_since_s = time.monotonic()
            elif time.monotonic() - empty_since_s > LINGER_S:
                return
            # The timeout is a net: signals wake the selector, but a child could end in between.
            for key, _ in self.selector.select(timeout=0.25 if not self.leases else 1.0):
                if key.fileobj is listener:
                    self.accept_all(listener)
                elif key.data == "lease":
                    self.read_lease(key.fileobj)
                    if self.leaving:
                        return
                else:
                    key.fileobj.recv(4096)
            if self.postmaster is None or not self.postmaster.is_alive:
                time.sleep(pause_s)
                pause_s = min(RESTART_PAUSE_MAX_S, pause_s * 2 + 0.1)
                self.bring_back(cluster)
            else:
                pause_s = 0.0

    def bring_back(self, cluster: Cluster) -> None:
        self.log("PostgreSQL has ended; starting it again")
        self.postmaster = None
        try:
            self.postmaster = cluster.start()
        except Problem as problem:
            self.log(str(problem))

    def read_lease(self, lease: Any) -> None:
        """A goodbye or the end of the connection gives a lease back."""
        try:
            heard = lease.recv(64)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        self.selector.unregister(lease)
        self.leases.discard(lease)
        if heard and not self.leases:
            self.leaving = lease
        else:
            lease.close()

    def accept_all(self, listener: socket.socket) -> None:
        """Everybody who waits becomes a lease, and is told how far we are."""
        while True:
            try:
                lease, _ = listener.accept()
            except OSError:
                break
            lease.setblocking(False)
            self.leases.add(lease)
            self.selector.register(lease, selectors.EVENT_READ, "lease")
            self.write(lease, self.answer)

    def tell(self, listener: socket.socket, text: str) -> None:
        """Say to everybody who waits how far we are."""
        self.announce(listener, {"step": text})

    def announce(self, listener: socket.socket, answer: dict[str, Any]) -> None:
        """Tell those who are here, and from now on whoever comes."""
        self.answer = answer
        for lease in self.leases:
            self.write(lease, answer)
        self.accept_all(listener)

    def write(self, lease: socket.socket, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # its end is noticed when we read
            lease.sendall(json.dumps(message).encode() + b"\n")

    def wake_on_signals(self) -> None:
        """Let a signal end the wait of the selector: the end of PostgreSQL, or a wish to stop."""
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self.selector.register(reader, selectors.EVENT_READ, "signal")
        self._wakeup = writer
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(sign, self.stop)

    def stop(self, *_: object) -> None:
        self.asked_to_stop = True

    def log(self, text: str) -> None:
        print(time.strftime("%Y-%m-%d %H:%M:%S"), "supervisor:", text, file=sys.stderr, flush=True)


def only_one(place: Place) -> TextIO | None:
    """The lock that makes us the only supervisor here, or None if another one serves already.

    Waits for one that is just ending.
    """
    lock = place.lock.open("w")
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if answers(place):
                return None
            time.sleep(0.02)
        else:
            return lock


def answers(place: Place) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(place.lease_socket()))
        except OSError:
            return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    place = Place(options.state)
    lock = only_one(place)
    if lock is None:
        return 0
    with lock:
        return Supervisor(place, durable=not options.fast, port=options.port).run()


if __name__ == "__main__":
    sys.exit(main())
