import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from finwise.postgres.place import Place
from syncapp.tests.conftest import _template, household, households

__all__ = ["_template", "household", "households"]


@pytest.fixture(scope="module")
def state_dir() -> Iterator[Path]:
    yield from enterable_folder()


@pytest.fixture
def fresh_state_dir() -> Iterator[Path]:
    yield from enterable_folder()


def enterable_folder() -> Iterator[Path]:
    """A state directory that PostgreSQL's account may enter, unlike pytest's own folders."""
    folder = Path(tempfile.mkdtemp(prefix="finwise-"))
    folder.chmod(0o755)
    yield folder / "var"
    place = Place.in_state_dir(folder / "var")
    with contextlib.suppress(FileNotFoundError), place.lock.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a supervisor that is just ending holds it
    shutil.rmtree(folder)
