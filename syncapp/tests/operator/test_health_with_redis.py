"""What a balancer is told while a real Redis comes and goes."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from syncapp.tests.household import Household
from syncapp.tests.socket.processes import ServerProcess
from syncapp.tests.socket.test_redis import Redis

pytestmark = [
    pytest.mark.redis,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("redis-server"), reason="needs redis-server"),
]
PATIENCE_S = 20


def ready(server: ServerProcess) -> dict[str, Any]:
    with urlopen(f"http://127.0.0.1:{server.port}/health/ready", timeout=10) as answer:
        assert answer.status == 200  # without Redis devices are served, too
        return json.load(answer)


def wait_for(server: ServerProcess, status: str) -> dict[str, Any]:
    gives_up_s = time.monotonic() + PATIENCE_S
    while (facts := ready(server))["status"] != status:
        assert time.monotonic() < gives_up_s, facts
    return facts


def test_a_process_is_degraded_while_redis_is_away_and_ready_again_when_it_is_back(
    households: Callable[[], Household], tmp_path: Path
) -> None:
    redis = Redis(tmp_path)
    redis.start()
    server = ServerProcess(environment={"REDIS_URL": redis.url})
    try:
        assert wait_for(server, "ready")["layer"]["ok"]
        redis.kill()
        assert wait_for(server, "degraded")["layer"] == {"ok": False}
        redis.start()
        assert wait_for(server, "ready")["layer"]["ok"]
    finally:
        said = server.stop()
        redis.kill()
    assert "Traceback" not in said
