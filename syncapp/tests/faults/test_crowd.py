"""I01: a server with 500 devices ends, and comes back; so do they, all of them, by themselves."""

from __future__ import annotations

import asyncio
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.db import connection

from finwise.configuration import POOL_SIZE
from syncapp.tests.faults.crowd import PACE, LightDevice, now_ms
from syncapp.tests.household import Household
from syncapp.tests.socket.processes import ServerProcess
from tenants.models import User
from tenants.tokens import create_token

pytestmark = pytest.mark.slow

DEVICES, HOUSEHOLDS = 500, 10
PATIENCE_S = 90  # for one thing to happen
DEADLINE_S = 240  # for all of it: whatever hangs, the test fails


class Connections:
    """How many sessions of the database the server has had at most, sampled all the time."""

    def __init__(self) -> None:
        parameters = connection.get_connection_params()
        keep = ("host", "port", "dbname", "user", "password")
        self._parameters = {key: parameters[key] for key in keep if parameters.get(key)}
        self.peak = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Connections:
        with psycopg.connect(**self._parameters) as raw:
            self._own = {pid for (pid,) in raw.execute("SELECT pid FROM pg_stat_activity")}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _sample(self) -> None:
        statement = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        with psycopg.connect(**self._parameters, autocommit=True) as raw:
            while not self._ends.wait(0.02):
                pids = {pid for (pid,) in raw.execute(statement)}
                self.peak = max(self.peak, len(pids - self._own))


@pytest.fixture
def places(households: Callable[[], Household]) -> Iterator[list[tuple[Household, str]]]:
    made = [households() for _ in range(HOUSEHOLDS)]
    yield [(each, create_token(User.objects.get(pk=each.owner), "crowd")) for each in made]


def test_500_devices_come_back_after_a_restart(
    places: list[tuple[Household, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    servers = [ServerProcess()]
    connection.close()
    try:
        with Connections() as connections:
            said = _within_the_deadline(lambda: asyncio.run(_crowd(places, servers)))
        # 8 workers and 4 for pages, and the one that listens. Before and after the restart the
        # sessions of two processes may be seen at once.
        assert connections.peak <= 2 * (POOL_SIZE + 1)
        with capsys.disabled():
            print(f"{said}, at most {connections.peak} sessions of the database")
    finally:
        log = "".join(each.stop() for each in servers)
    assert "Traceback" not in log, log[-2000:]


def _within_the_deadline(work: Callable[[], str]) -> str:
    """In a thread that nobody has to wait for: not even an event loop that does not end."""
    ends: queue.Queue[str | BaseException] = queue.Queue()

    def run() -> None:
        try:
            ends.put(work())
        except BaseException as error:
            ends.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        end = ends.get(timeout=DEADLINE_S)
    except queue.Empty:
        pytest.fail(f"It did not end within {DEADLINE_S} s.")
    if isinstance(end, BaseException):
        raise end
    return end


async def _crowd(places: list[tuple[Household, str]], servers: list[ServerProcess]) -> str:
    """Returns how it went, in words. servers: the one that runs is the last."""
    chance = random.Random(7)
    devices = [
        LightDevice(servers[-1].url, household.id, token, random.Random(chance.random()))
        for n in range(DEVICES)
        for household, token in [places[n % len(places)]]
    ]
    # Not all in the same moment: that is what the restart is for.
    lives = []
    for n, device in enumerate(devices):
        lives.append(asyncio.ensure_future(device.run()))
        if n % 20 == 19:
            await _until(lambda n=n: all(each.is_home for each in devices[: n + 1]), devices)
    await _until(lambda: all(each.is_home for each in devices), devices)
    for device in devices:
        for noted in (device.tried_ms, device.welcomed_ms, device.delays_ms, device.codes):
            noted.clear()

    # The next server is ready before: how long nobody answers is not up to this machine.
    servers.append(await asyncio.to_thread(ServerProcess))
    await asyncio.to_thread(servers[0].kill)
    await _until(lambda: all(len(each.delays_ms) > 1 for each in devices), devices)
    for device in devices:  # each has tried in vain
        device.url = servers[1].url
    back_ms = now_ms()
    await _until(lambda: all(each.welcomed_ms and each.is_home for each in devices), devices)
    home_ms = now_ms()

    # Nobody gave up, and nobody was told anything but to come again.
    assert {each.session.phase for each in devices} == {"idle"}
    codes = Counter(code for each in devices for code in each.codes)
    assert set(codes) <= {"restarting", "busy", "db_unavailable"}, codes
    # They meant to come spread over a second, not all at once. (When they did come is up to
    # whatever else this machine does.)
    first = Counter(each.delays_ms[0] // 100 for each in devices)
    assert len(first) >= 10 and max(first.values()) <= DEVICES * 0.2, first
    for each in lives:
        each.cancel()
    _, alive = await asyncio.wait(lives, timeout=PATIENCE_S)
    assert not alive, f"{len(alive)} devices went on after they had been let go"
    tries = max(len(each.tried_ms) for each in devices)
    return (
        f"\n{DEVICES} devices: all home {(home_ms - back_ms) // PACE} ms after the server was "
        f"back, at most {tries} attempts"
    )


async def _until(condition: Callable[[], bool], devices: list[LightDevice]) -> None:
    gives_up_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < gives_up_s, Counter(
            (each.session.phase, each.session.reason) for each in devices
        )
        await asyncio.sleep(0.02)
