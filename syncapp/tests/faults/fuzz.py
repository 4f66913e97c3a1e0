"""Send hostile frames to a server of its own, and say what it made of them (O01).

    python -m syncapp.tests.faults.fuzz --frames 100000 --seed 1

A code for each, no traceback, nobody else disturbed, memory flat, nothing of it in the log.
A frame that is answered wrongly is printed with the seed that brings it again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from syncapp.tests.faults.fuzzing import Fuzz
from syncapp.tests.faults.nonsense import MARKER
from syncapp.tests.faults.real_server import RealServer
from syncapp.tests.socket.phone import Phone

MIB = 1024 * 1024
# After a first part everything that is kept has been kept once: code, caches, connections.
WARM = 0.1
GROWS_AT_MOST = 32 * MIB


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="finwise-fuzz-") as folder:
        print("Starting a server …", flush=True)
        # So that the account that runs PostgreSQL may enter it, too.
        Path(folder).chmod(0o711)
        server = RealServer(Path(folder) / "state")
        try:
            report = run(server, options)
        finally:
            said = server.stop()
    problems = [
        name
        for name, word in (("a traceback", "Traceback"), ("the marker", MARKER))
        if word in said
    ]
    print(report)
    if problems:
        print(said[-5_000:])
        print(f"The server's log holds {' and '.join(problems)}.")
    return 1 if problems or "FAILED" in report else 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--devices", type=int, default=4, help="hostile ones, each its own seed")
    return parser.parse_args(arguments)


def run(server: RealServer, options: argparse.Namespace) -> str:
    tenant, token = server.demo["tenant_id"], server.demo["token"]
    fuzzes = []
    for number in range(options.devices):
        bystander = Phone(server.url, tenant, token).online()
        seed = options.seed * 1000 + number
        fuzzes.append(Fuzz(Phone(server.url, tenant, token), bystander, seed))
    progress = Progress(server, options.frames)
    share = options.frames // options.devices
    threads = [
        threading.Thread(target=progress.drive, args=(number, fuzz, share))
        for number, fuzz in enumerate(fuzzes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tally = sum((fuzz.tally for fuzz in fuzzes), Counter())
    lines = [f"{count:8,}  {end}" for end, count in sorted(tally.items())]
    slowest_s = max(fuzz.slowest_bystander_s for fuzz in fuzzes)
    lines += [
        f"{tally.total():8,}  frames in {progress.took_s:.0f} s",
        f"the slowest push and news of a bystander: {slowest_s * 1000:.0f} ms",
        progress.memory_line(),
        *progress.failures,
    ]
    return "\n".join(lines)


class Progress:
    """A bar for people, and the server's memory while it goes on."""

    def __init__(self, server: RealServer, frames: int) -> None:
        self._server, self._frames = server, frames
        self._sent: Counter[int] = Counter()
        self._began_s = time.monotonic()
        self._rss_when_warm = 0
        self._lock = threading.Lock()
        self.failures: list[str] = []

    @property
    def took_s(self) -> float:
        return time.monotonic() - self._began_s

    def drive(self, number: int, fuzz: Fuzz, frames: int) -> None:
        try:
            for sent in fuzz.run(frames):
                self._show(number, sent)
        except Exception as error:
            self.failures.append(f"FAILED in device {number}: {error!r}")

    def _show(self, number: int, sent: int) -> None:
        with self._lock:
            self._sent[number] = sent
            total = self._sent.total()
            if not self._rss_when_warm and total >= WARM * self._frames:
                self._rss_when_warm = self._rss()
            width = 40
            bar = "#" * (width * total // self._frames)
            text = f"\r[{bar:{width}}] {total:,} of {self._frames:,}, {self._rss() // MIB} MiB "
            if sys.stdout.isatty() or total % 10_000 < 200:
                print(text, end="", flush=True)

    def _rss(self) -> int:
        return self._server.memory.memory_info().rss

    def memory_line(self) -> str:
        warm, end = self._rss_when_warm, self._rss()
        verdict = "" if end - warm < GROWS_AT_MOST else "  FAILED: it grows"
        sizes = f"{warm / MIB:.1f} MiB warm, {end / MIB:.1f} MiB at the end"
        return f"memory of the server: {sizes}{verdict}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
