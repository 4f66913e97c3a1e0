"""Q01, a few rounds of it; `python -m syncapp.tests.faults.chaos` does as many as you like."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncapp.tests.faults.chaos import run
from syncapp.tests.faults.real_server import RealServer


@pytest.mark.slow
async def test_devices_work_while_processes_die_and_nothing_is_lost(
    real_server: RealServer, tmp_path: Path
) -> None:
    """Q01, B03, B04"""
    await run(real_server, tmp_path, rounds=6, seed=4)
    assert "Traceback" not in real_server.said, real_server.said
