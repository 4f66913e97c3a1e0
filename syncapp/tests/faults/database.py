"""The database of a real server, seen from outside: queries, dumps, restores."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from finwise.postgres import running
from finwise.postgres.place import installed_binaries

PROGRAMS = installed_binaries() / "bin"


class Database:
    """Holds a lease for as long as it is open: PostgreSQL stays when the server is killed."""

    def __init__(self, state_dir: Path) -> None:
        self._lease = running(state_dir)
        self.url = self._lease.__enter__().url

    def close(self) -> None:
        self._lease.__exit__(None, None, None)

    def query(self, statement: str, *parameters: Any, database: str | None = None) -> list[Any]:
        with psycopg.connect(self._url(database), autocommit=True) as connection:
            cursor = connection.execute(statement, parameters or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def wait_for_a_waiting_backend(self) -> None:
        """Return when somebody waits for a lock."""
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        gives_up_s = time.monotonic() + 30
        while not self.query(waiting)[0][0]:
            assert time.monotonic() < gives_up_s

    def dump(self, path: Path) -> None:
        """As an operator makes a backup, while everything runs."""
        self._run("pg_dump", "--format=custom", f"--file={path}", self.url)

    def restore(self, path: Path) -> None:
        """Put the backup in the place of the database, whoever is connected to it."""
        self.query("DROP DATABASE finwise WITH (FORCE)", database="postgres")
        self.query("CREATE DATABASE finwise", database="postgres")
        self._run("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={self.url}", str(path))

    def _url(self, database: str | None) -> str:
        if database is None:
            return self.url
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [PROGRAMS / program, *arguments],
            env={"PATH": os.environ["PATH"]}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
