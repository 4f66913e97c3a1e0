"""One SQLite file: transactions that are all or nothing, and errors in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from ..errors import StoreBusy, StoreDamaged, StoreError, StoreFull
from . import schema

BUSY_TIMEOUT_MS = 10_000


class Database:
    """Opens (and makes, or upgrades) the store at `path`; ":memory:" keeps it in memory.

    Raises StoreError.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._depth = 0
        is_file = self.path != ":memory:"
        with self._told():
            self._db = sqlite3.connect(
                self.path,
                timeout=BUSY_TIMEOUT_MS / 1000,
                isolation_level=None,  # transactions are begun and ended here, by name
                check_same_thread=False,  # used by one thread at a time
                cached_statements=256,
            )
            try:
                if is_file:
                    self._db.execute("PRAGMA journal_mode = WAL")
                    # An edit that was shown as saved survives a power cut.
                    self._db.execute("PRAGMA synchronous = FULL")
                schema.migrate(self._db)
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- transactions ------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, durable at the end. An inner one is part of the outer one."""
        if self._depth:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            finally:
                self._depth = 0

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors in words that say what is safe and what to do."""
        try:
            yield
        except sqlite3.Error as error:
            raise _in_words(error, self.path) from error

    def run(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, parameters)
        except sqlite3.Error as error:
            raise _in_words(error, self.path) from error

    def run_many(self, statement: str, parameters: Iterable[tuple[Any, ...]]) -> None:
        try:
            self._db.executemany(statement, parameters)
        except sqlite3.Error as error:
            raise _in_words(error, self.path) from error

    @property
    def writes_of_others(self) -> int:
        """A number that changes when another program has written to the store."""
        return int(self.run("PRAGMA data_version").fetchone()[0])


def _in_words(error: sqlite3.Error, path: str) -> StoreError:
    text = str(error).lower()
    if "full" in text:
        return StoreFull(
            f"The disk that holds {path} is full: this was not saved. Everything saved before is"
            " safe. Free some space and try again."
        )
    if "locked" in text or "busy" in text:
        return StoreBusy(f"Another program is writing to {path}. Nothing was changed; try again.")
    if "malformed" in text or "not a database" in text:
        return StoreDamaged(
            f"{path} cannot be read as a store ({error}). Keep a copy of it, and start with a new"
            " store: what the server has acknowledged comes back by itself."
        )
    if "unable to open" in text or "readonly" in text:
        return StoreError(
            f"{path} cannot be opened for writing ({error}). Check that its folder exists and may"
            " be written to."
        )
    return StoreError(f"{path}: {error}. Nothing was changed.")
