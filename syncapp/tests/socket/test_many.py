"""Many at once, and peers that are gone without a word."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from finwise import serving
from syncapp.core.messages import HEARTBEAT_S
from syncapp.tests.faults.proxy import Proxy
from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.server import ServerThread

PING_S = 0.3


def test_sixty_devices_that_come_back_at_once_are_all_served(
    server: ServerThread, new_phone: Callable[[], Phone]
) -> None:
    """I01: as after a restart; the database sees only as many connections as there are workers."""
    phones = [new_phone() for _ in range(60)]
    start = threading.Barrier(20)

    def come(phone: Phone) -> int:
        start.wait()
        phone.online()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            )
            (count,) = cursor.fetchone()
        connection.close()
        return int(count)

    with ThreadPoolExecutor(20) as pool:
        peaks = list(pool.map(come, phones))
    # 8 workers, LISTEN, and each of the 20 threads of this test.
    assert max(peaks) <= 8 + 1 + 20 + 4
    phones[0].push_and_settle(phones[0].new_group("Bank"))
    for phone in phones:
        assert len(phone.take_live()) == 1


@pytest.fixture
def proxy() -> Iterator[Callable[[int], Proxy]]:
    """Proxies in a loop of their own, on a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    made: list[Proxy] = []

    def make(port: int) -> Proxy:
        made.append(Proxy(port))
        asyncio.run_coroutine_threadsafe(made[-1].__aenter__(), loop).result(20)
        return made[-1]

    yield make
    for each in made:
        asyncio.run_coroutine_threadsafe(each.__aexit__(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_every_socket_is_pinged_each_beat_and_has_a_beat_to_answer() -> None:
    configured = serving.config()
    assert configured.ws_ping_interval == configured.ws_ping_timeout == HEARTBEAT_S == 20


def test_a_peer_that_is_gone_without_a_word_is_let_go(
    households: Callable[[], Household],
    household: Household,
    new_phone: Callable[..., Phone],
    proxy: Callable[[int], Proxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """I05: packets vanish in both directions; the server finds out by its own pings."""
    monkeypatch.setattr(serving, "LINGER_S", PING_S)
    running = ServerThread(ping_s=PING_S)
    try:
        between = proxy(running.port)
        gone = new_phone(url=between.url).online()
        here = new_phone(url=running.url).online()
        between.is_silent = True
        running.wait_for(lambda hub: len(hub.rooms[household.id].sockets) == 1)
        here.ping()
        gone.hang_up()
        here.hang_up()
        running.wait_until_idle()
    finally:
        running.stop()


GET = b"GET /ws/sync/00000000-0000-4000-8000-000000000000/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"
UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"G",
        GET,
        GET + UPGRADE,
        GET + UPGRADE + b"".join(b"X-%d: x\r\n" % n for n in range(500)) + b"\r\n",
        GET + UPGRADE + b"X-Long: " + b"x" * 60_000 + b"\r\n\r\n",
    ],
    ids=["nothing", "a letter", "a line", "no end", "500 headers", "60 KB header"],
)
def test_a_handshake_that_leads_nowhere_does_not_keep_its_connection(
    households: Callable[[], Household], said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S10, S26, S31, Q05"""
    monkeypatch.setattr(serving, "LINGER_S", PING_S)
    running = ServerThread()
    try:
        with socket.create_connection(("127.0.0.1", running.port), timeout=5) as raw:
            raw.sendall(said)
            with contextlib.suppress(ConnectionResetError):
                while raw.recv(4096):
                    pass
    finally:
        running.stop()
