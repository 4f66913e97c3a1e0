"""News between two server processes, over a real Redis that comes and goes."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncapp import relay
from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.processes import ServerProcess

pytestmark = [
    pytest.mark.redis,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("redis-server"), reason="needs redis-server"),
]

BEAT_S = 2  # between the commit and the other server's devices, at the latest
ROUNDS, SLOW_ONES = 12, 2  # by the beat alone, half of them would be slow
SHORT_BEAT = """
import sys
from syncapp import relay
from syncapp.core import messages
messages.HEARTBEAT_S, relay.PATIENCE_S = {beat_s}, {patience_s}
from finwise.commandline import main
sys.exit(main(["manage.py", "serve", "--port", sys.argv[1]]))
"""


class Redis:
    """A redis-server on a port of its own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
            cwd=self._folder, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        gives_up_s = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                assert time.monotonic() < gives_up_s

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    running = Redis(tmp_path)
    yield running
    running.kill()


@pytest.fixture
def start(
    redis: Redis, households: Callable[[], Household]
) -> Iterator[Callable[..., ServerProcess]]:
    """Starts server processes that share the Redis. patience_s: theirs with one that hangs."""
    running: list[ServerProcess] = []

    def begin(patience_s: float = relay.PATIENCE_S) -> ServerProcess:
        program = ("-c", SHORT_BEAT.format(beat_s=BEAT_S, patience_s=patience_s))
        running.append(ServerProcess(program, environment={"REDIS_URL": redis.url}))
        return running[-1]

    yield begin
    for each in running:
        said = each.stop()
        assert "Traceback" not in said, said


def is_live(pusher: Phone, watcher: Phone) -> bool:
    """Whether a change arrives within half a beat."""
    pusher.push_and_settle(pusher.new_group("x"))
    pusher.take_live()
    began_s = time.monotonic()
    assert len(watcher.take_live()) == 1
    return time.monotonic() - began_s < BEAT_S / 2


def wait_until_live(pusher: Phone, watcher: Phone) -> None:
    """Until changes do so one after the other, but for a few that a busy machine delays."""
    gives_up_s = time.monotonic() + 60
    while sum(not is_live(pusher, watcher) for _ in range(ROUNDS)) > SLOW_ONES:
        assert time.monotonic() < gives_up_s


def test_processes_tell_each_other_and_do_without_redis_when_it_is_gone(
    redis: Redis, start: Callable[..., ServerProcess], new_phone: Callable[..., Phone]
) -> None:
    """Q04, H04: killed, pushes go on and a beat brings the news; back, it is as before."""
    redis.start()
    first, second = start(), start()
    pusher, watcher = new_phone(url=first.url).online(), new_phone(url=second.url).online()
    wait_until_live(pusher, watcher)
    redis.kill()
    for number in range(3):
        assert pusher.push_and_settle(pusher.new_group(str(number)))[0]["fate"] == "applied"
        pusher.take_live()
    names = []
    while len(names) < 3:
        names += [row["fields"]["name"] for row in watcher.take_live()]
    assert names == ["0", "1", "2"]
    assert pusher.ping()["head"] == watcher.ping()["head"]
    redis.start()
    wait_until_live(pusher, watcher)
    said = first.said + second.said
    assert "the channel layer is away" in said and "the channel layer is back" in said


def test_redis_may_be_down_at_the_start(
    redis: Redis, start: Callable[..., ServerProcess], new_phone: Callable[..., Phone]
) -> None:
    """Q04"""
    first, second = start(), start()
    pusher, watcher = new_phone(url=first.url).online(), new_phone(url=second.url).online()
    assert pusher.push_and_settle(pusher.new_group("x"))[0]["fate"] == "applied"
    pusher.take_live()
    assert len(watcher.take_live()) == 1  # by heartbeat
    redis.start()
    wait_until_live(pusher, watcher)


def test_a_redis_that_hangs_delays_nobody(
    redis: Redis, start: Callable[..., ServerProcess], new_phone: Callable[..., Phone]
) -> None:
    """Q04: it takes connections and never answers. What waited for it would wait for ever."""
    with socket.socket() as tarpit:
        tarpit.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tarpit.bind(("127.0.0.1", redis.port))
        tarpit.listen(64)
        first, second = start(patience_s=3600), start(patience_s=3600)
        pusher, watcher = new_phone(url=first.url).online(), new_phone(url=second.url).online()
        for number in range(3):
            pusher.push_and_settle(pusher.new_group(str(number)))
            pusher.take_live()
        rows = 0
        while rows < 3:
            rows += len(watcher.take_live())


def test_nonsense_on_the_layer_is_passed_over(
    redis: Redis, start: Callable[..., ServerProcess], new_phone: Callable[..., Phone]
) -> None:
    from redis import Redis as Client

    redis.start()
    first, second = start(), start()
    pusher, watcher = new_phone(url=first.url).online(), new_phone(url=second.url).online()
    wait_until_live(pusher, watcher)
    client = Client.from_url(redis.url)
    heard = [
        client.publish(channel, b"\xff nonsense") for channel in client.pubsub_channels("*group*")
    ]
    client.close()
    assert sum(heard) == 2  # both processes listen to the one household, and to no other
    wait_until_live(pusher, watcher)
