"""Attempts are counted for all processes together, and Redis may be away."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache.backends.base import BaseCache

from finwise import cache as forgiving
from finwise.cache import ForgivingRedisCache, JsonSerializer
from finwise.configuration import caches


def cache_at(url: str) -> BaseCache:
    values = caches(url)["default"]
    return ForgivingRedisCache(values["LOCATION"], values)


@pytest.fixture(params=[[]])
def redis_port(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[int]:
    """A Redis of the test's own, with further options if it asks for some."""
    if not shutil.which("redis-server"):
        pytest.skip("needs redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", *request.param],
        cwd=tmp_path, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    gives_up_s = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            assert time.monotonic() < gives_up_s
    yield port
    process.terminate()
    process.wait()


@pytest.mark.redis
def test_what_one_process_counts_another_one_sees(redis_port: int) -> None:
    one, other = (cache_at(f"redis://127.0.0.1:{redis_port}/0") for _ in range(2))
    one.set("attempts", [1.5, 2.5], 60)
    assert other.get("attempts") == [1.5, 2.5]
    assert one.add("lock", True, 60)
    assert not other.add("lock", True, 60)
    other.delete("lock")
    assert one.add("lock", True, 60)
    one.set("count", 1, 60)
    assert other.incr("count") == 2
    one.clear()
    assert other.get("attempts", "gone") == "gone"


@pytest.mark.redis
@pytest.mark.parametrize("redis_port", [["--requirepass", "s3cret"]], indirect=True)
def test_a_redis_with_a_password_is_used_with_it(
    redis_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """S53"""
    knows, does_not = (
        cache_at(f"redis://{who}127.0.0.1:{redis_port}/0") for who in (":s3cret@", "")
    )
    knows.set("attempts", [1.5], 60)
    assert cache_at(f"redis://:s3cret@127.0.0.1:{redis_port}/0").get("attempts") == [1.5]
    assert does_not.get("attempts") is None
    assert "Redis is away (AuthenticationError)" in caplog.text
    assert "s3cret" not in caplog.text


def test_while_redis_is_away_each_process_counts_for_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cache = cache_at(f"redis://127.0.0.1:{port}/0")
    cache.set("attempts", [1.5], 60)
    assert cache.get("attempts") == [1.5]
    assert not cache.add("attempts", [], 60)
    assert cache.touch("attempts", 60)
    assert caplog.text.count("Redis is away") == 1  # and it is not asked each time
    monkeypatch.setattr(forgiving, "PAUSE_S", 0)
    cache._asks_again_at_s = 0.0
    cache.get("attempts")
    assert caplog.text.count("Redis is away") == 2


@pytest.mark.parametrize("value", [1, -5, True, None, "text", [1.5, 2.5], {"a": [1]}])
def test_values_travel_as_json_and_are_never_unpickled(value: Any) -> None:
    serializer = JsonSerializer()
    stored = serializer.dumps(value)
    assert serializer.loads(str(stored).encode() if type(stored) is int else stored) == value
    with pytest.raises(ValueError, match=r".*"):
        serializer.loads(b"\x80\x04\x95")


def test_without_redis_the_memory_of_the_one_process_is_enough() -> None:
    assert "locmem" in caches("")["default"]["BACKEND"]
