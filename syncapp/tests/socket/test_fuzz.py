"""O01: whatever a device sends has a code, and nobody else notices.

`python -m syncapp.tests.faults.fuzz` sends a hundred thousand to a server of its own.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

import psutil
import pytest

from syncapp.tests.faults.fuzzing import Fuzz
from syncapp.tests.faults.nonsense import MARKER
from syncapp.tests.socket.phone import Phone


@pytest.mark.slow
def test_thousands_of_hostile_frames_each_get_a_code_and_disturb_nobody(
    new_phone: Callable[[], Phone],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """O01, S52"""
    bystander = new_phone().online()
    fuzz = Fuzz(new_phone(), bystander, seed=1)
    with caplog.at_level(logging.INFO):
        for _ in fuzz.run(800):
            pass
        rss = psutil.Process(os.getpid()).memory_info().rss
        for _ in fuzz.run(1_200):
            pass
    grown = psutil.Process(os.getpid()).memory_info().rss - rss
    assert grown < 32 * 1024 * 1024, grown
    assert [record for record in caplog.get_records("call") if record.exc_info] == []
    assert MARKER not in caplog.text
    assert MARKER not in "".join(capfd.readouterr())
    assert len(fuzz.tally) > 10
