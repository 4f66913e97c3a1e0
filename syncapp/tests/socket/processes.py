"""Servers in processes of their own, on the test database: to be killed, or to be several."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote

from django.db import DEFAULT_DB_ALIAS, connections

ROOT = Path(__file__).resolve().parents[3]

UVICORN = ("manage.py", "serve", "--port")
_DAPHNE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "finwise.settings"
from daphne.cli import CommandLineInterface
CommandLineInterface().run(["-b", "127.0.0.1", "-p", sys.argv[1], "finwise.asgi:application"])
"""
DAPHNE = ("-c", _DAPHNE)
# "Serving on http://127.0.0.1:8000", "Listening on TCP address 127.0.0.1:8000"
_PORT = re.compile(r"(?:Serving|Listening) on .*127\.0\.0\.1:(\d+)")


def database_url() -> str:
    """The test database as an address that another process can use."""
    target = connections[DEFAULT_DB_ALIAS].settings_dict
    user, word = quote(target["USER"], safe=""), quote(target["PASSWORD"], safe="")
    options = f"?host={quote(target['HOST'], safe='')}" + (
        f"&port={target['PORT']}" if target["PORT"] else ""
    )
    return f"postgresql://{user}:{word}@/{target['NAME']}{options}"


class ServerProcess:
    """Serves until `stop` or `kill`; `said` is what it has printed so far."""

    def __init__(
        self,
        program: tuple[str, ...] = UVICORN,
        *,
        port: int = 0,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *program, str(port)],
            cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "DATABASE_URL": database_url(), **(environment or {})},
        )  # fmt: skip
        self.said = ""
        self.port = 0
        self._is_up = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._is_up.wait(30), self.said

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.said += line
            found = _PORT.search(line)
            if found:
                self.port = int(found[1])
                self._is_up.set()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def stop(self) -> str:
        """End in order; returns everything that it said."""
        self.process.terminate()
        self.process.wait(30)
        self._reader.join(10)
        return self.said

    def kill(self) -> None:
        """As kill -9 does."""
        self.process.kill()
        self.process.wait(30)
        self._reader.join(10)
