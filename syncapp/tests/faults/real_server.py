"""script/server's program in a process of its own, with its own database: to be killed."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 90


@functools.cache
def _once_started() -> Path:
    """The state directory of a server that has been up, to begin from.

    An empty one takes four times as long; finwise/tests/test_server.py begins with those.
    """
    folder = Path(tempfile.mkdtemp(prefix="finwise-begun-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    state_dir = folder / "var"
    state_dir.mkdir()
    RealServer(state_dir).stop()
    running = state_dir / "postgres" / "data" / "postmaster.pid"
    assert not running.exists(), "what still changes cannot be copied"
    return state_dir


class RealServer:
    """`said` is everything that it has printed."""

    def __init__(self, state_dir: Path, *, port: int = 0, **environment: str) -> None:
        self.state_dir = state_dir
        self._port, self._environment = port, environment
        self.said = ""
        if not state_dir.exists():
            # By a program: it keeps the owners, of which PostgreSQL's account is one.
            subprocess.run(["cp", "-a", str(_once_started()), str(state_dir)], check=True)
        self.start()

    def start(self) -> None:
        """Start (again, at the same port), and return when it serves."""
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "finwise.server", "--port", str(self._port)],
            cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**inherited, **self._environment, "FINWISE_STATE_DIR": str(self.state_dir)},
        )  # fmt: skip
        is_up = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(is_up,), daemon=True)
        self._reader.start()
        assert is_up.wait(PATIENCE_S) and self.process.poll() is None, self.said
        self.demo: dict[str, Any] = json.loads((self.state_dir / "demo.json").read_text())

    def _read(self, is_up: threading.Event) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.said += line
            if "FinWise runs at http://127.0.0.1:" in line:
                self._port = int(line.split("127.0.0.1:")[1].split()[0])
            if "--token" in line:
                is_up.set()
        is_up.set()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    @property
    def memory(self) -> psutil.Process:
        return psutil.Process(self.process.pid)

    def postgres(self) -> psutil.Process:
        pid = (self.state_dir / "postgres" / "data" / "postmaster.pid").read_text().split()[0]
        return psutil.Process(int(pid))

    def kill(self) -> None:
        """kill -9 of the serving process; its database ends by itself, if nobody else has it."""
        self.process.kill()
        self.process.wait()
        self._reader.join(10)

    def stop(self) -> str:
        """End in order; returns everything that it said."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        self._reader.join(10)
        return self.said
