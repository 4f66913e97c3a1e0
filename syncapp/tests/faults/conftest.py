"""Real servers, killed on purpose."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncapp.tests.faults.database import Database
from syncapp.tests.faults.real_server import RealServer


@pytest.fixture(scope="module")
def state_dir() -> Iterator[Path]:
    """A folder that the account which runs PostgreSQL may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="finwise-faults-"))
    folder.chmod(0o755)
    yield folder / "var"
    # PostgreSQL may still be ending, after the kill of whoever used it.
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def _real_server(state_dir: Path) -> Iterator[RealServer]:
    running = RealServer(state_dir)
    yield running
    running.stop()


@pytest.fixture
def real_server(_real_server: RealServer) -> RealServer:
    """Shared by the tests of a module; a test that killed it has started it again."""
    if _real_server.process.poll() is not None:
        _real_server.start()
    return _real_server


@pytest.fixture
def database(real_server: RealServer) -> Iterator[Database]:
    opened = Database(real_server.state_dir)
    yield opened
    opened.close()
