from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .harness import Phone, Server, Time


@pytest.fixture
def server() -> Server:
    made = Server(Time())
    made.add()
    return made


@pytest.fixture
def phone(server: Server) -> Callable[..., Phone]:
    """Makes phones of the household; in memory unless a path is given."""

    def make(path: Path | str = ":memory:", **options: Any) -> Phone:
        return Phone(server, str(path), **options)

    return make
