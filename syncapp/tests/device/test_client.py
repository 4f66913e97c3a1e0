"""The client over real sockets: what a script, an importer and a benchmark rely on."""

from __future__ import annotations

import asyncio
import socket

import pytest

from syncapp.core.messages import Hello
from syncapp.device.address import BadAddress, parse_address
from syncapp.device.client import DeviceClient
from syncapp.device.pacer import BURST, PER_SECOND, Pacer
from syncapp.device.store import Store
from syncapp.tests.faults.proxy import Proxy
from syncapp.tests.simulation.household import HOUSEHOLD

from .harness import HOME, Server, rows_of
from .live import TOKEN, RealTime, live


@pytest.fixture
def server() -> Server:
    made = Server(RealTime())
    made.add()
    return made


def client(serving, store: str | Store = ":memory:", **options) -> DeviceClient:
    options.setdefault("household", HOME)
    return DeviceClient(serving.url, TOKEN, store, entities=HOUSEHOLD, **options)


async def test_two_clients_meet(server):
    async with live(server) as serving, client(serving) as a, client(serving) as b:
        group = a.create("account_group", {"name": "Girokonten"})
        report = await a.sync()
        assert (report.is_up_to_date, report.sent, report.pending) == (True, 1, 0)
        report = await b.sync()
        assert report.is_up_to_date
        assert b.replica.row("account_group", group).fields["name"] == "Girokonten"


async def test_it_says_who_it_is_in_the_handshake_and_names_no_origin(server):
    async with live(server) as serving, client(serving) as a:
        assert (await a.sync()).is_up_to_date
        (headers,) = serving.headers
        assert headers["Authorization"] == f"Bearer {TOKEN}"
        assert headers["Sec-WebSocket-Protocol"] == "finwise.sync.v1"
        assert "Origin" not in headers


async def test_what_is_typed_elsewhere_is_seen_by_whoever_watches(server):
    async with live(server) as serving, client(serving) as a, client(serving) as b:
        await b.sync()
        seen = asyncio.Queue()

        async def watch() -> None:
            async for look in b.watch():
                for key in look.changed:
                    seen.put_nowait(key)

        watching = asyncio.create_task(watch())
        group = a.create("account_group", {"name": "Girokonten"})
        assert await seen.get() == ("account_group", group)
        server.home.write_by_hand("account_group", group, server.time.ms, {"name": "psql"})
        await serving.deliver()
        assert await seen.get() == ("account_group", group)
        assert b.replica.row("account_group", group).fields["name"] == "psql"
        watching.cancel()


async def test_what_is_typed_while_the_server_is_down_arrives_when_it_is_up_again(server):
    async with live(server) as serving, client(serving) as a:
        await a.sync()
        await serving.down()
        a.create("account_group", {"name": "offline"})
        report = await a.sync(reach_s=0.2)
        assert (report.is_up_to_date, report.pending) == (False, 1)
        assert report.reason in ("unreachable", "restarting")
        await serving.up()
        report = await a.sync()
        assert report.is_up_to_date and len(server.home.all_rows()) == 1


async def test_it_comes_back_by_itself(server):
    """B09: no new edit, nobody asks."""
    async with live(server) as serving, client(serving) as a:
        await a.sync()
        a._talk.chance = lambda: 0.01
        server.restart()
        await serving.flush()
        await a.until(lambda: sum(isinstance(each, Hello) for each in server.heard) == 2)
        await a.until(lambda: a.is_up_to_date)
        assert a.phase == "idle"


async def test_a_network_that_cuts_every_large_push_is_got_through(server):
    async with live(server) as serving, Proxy(serving.port) as proxy:
        proxy.device_bytes_max = 24_000  # in one connection
        store = Store(":memory:")
        async with DeviceClient(proxy.url, TOKEN, store, household=HOME, entities=HOUSEHOLD) as a:
            a._talk.chance = lambda: 0.0
            await a.sync()
            for n in range(200):
                a.replica.create("account", {"name": f"Konto {n}"})
            async with asyncio.timeout(60):
                report = await a.sync()
        assert report.is_up_to_date and proxy.cuts > 0
        assert len(server.home.all_rows()) == 200


async def test_a_server_that_is_not_there_is_told_in_words():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = Store(":memory:")
    async with DeviceClient(f"ws://127.0.0.1:{port}", TOKEN, store, household=HOME) as a:
        a.create("account_group", {"name": "offline"})
        report = await a.sync(reach_s=0.1)
    assert (report.is_up_to_date, report.pending, report.reason) == (False, 1, "unreachable")
    assert "cannot be reached" in report.message


async def test_a_server_without_tls_is_told_in_words():
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")  # as to any nonsense
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as plain:
        url = f"https://127.0.0.1:{plain.sockets[0].getsockname()[1]}"
        async with DeviceClient(url, TOKEN, Store(":memory:"), household=HOME) as a:
            report = await a.sync(reach_s=0.1)
    assert report.reason == "unreachable" and "does not speak TLS" in report.message


async def test_a_wrong_token_stops_it_and_keeps_the_queue(server):
    """B10."""
    async with live(server) as serving:
        serving.tokens.clear()
        async with client(serving) as a:
            a.create("account_group", {"name": "offline"})
            report = await a.sync()
            assert (report.reason, report.pending) == ("sign_in", 1)
            assert a.phase == "stopped"


async def test_an_answer_that_is_no_websocket_counts_as_offline(server):
    """I06: a captive portal answers 200 with HTML."""

    async def portal(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(portal, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with (
        listening,
        DeviceClient(f"ws://127.0.0.1:{port}", TOKEN, ":memory:", household=HOME) as a,
    ):
        report = await a.sync(reach_s=2)
        assert not report.is_up_to_date and report.reason == "unreachable"
        assert "200" in report.message


async def test_a_server_that_talks_nonsense_is_left_and_nothing_is_stored(server):
    """G05: the page comes again, and is not in the way of anything for ever."""
    async with live(server) as serving, client(serving) as a:
        await a.sync()
        (link,) = server.links
        link.down.append('{"type":"changes","rows":7}')
        before = a.replica.meta
        await serving.flush()
        await a.until(lambda: a.phase in ("offline", "connecting"))
        assert a.replica.meta == before and a._talk.last_error
        assert (await a.sync()).is_up_to_date


async def test_an_edit_by_another_program_on_the_same_store_is_sent(server, tmp_path, monkeypatch):
    monkeypatch.setattr("syncapp.device.client.OTHERS_POLL_S", 0.01)
    path = tmp_path / "a.sqlite"
    async with live(server) as serving, client(serving, str(path)) as a:
        await a.sync()
        other = DeviceClient(serving.url, TOKEN, str(path), entities=HOUSEHOLD)
        other.replica.create("account_group", {"name": "importiert"})
        await a.until(lambda: bool(server.home.all_rows()))
        assert [row.fields["name"] for row in server.home.all_rows().values()] == ["importiert"]
        other.store.close()


async def test_five_thousand_changes_travel_without_being_too_fast(server):
    async with live(server) as serving, client(serving) as a, client(serving) as b:
        with a.store.transaction():
            for n in range(5000):
                a.replica.create("account_group", {"name": f"Gruppe {n}"})
        report = await a.sync()
        assert (report.sent, report.is_up_to_date) == (5000, True)
        assert (await b.sync()).is_up_to_date
        assert len(b.replica.rows("account_group")) == 5000
        assert len(rows_of(server.home)) == 5000


async def test_leaving_says_goodbye_and_leaves_no_task_behind(server):
    """B12."""
    async with live(server) as serving:
        before = len(asyncio.all_tasks())
        for _ in range(5):
            async with client(serving) as a:
                await a.sync()
        await serving.is_alone()
        assert len(asyncio.all_tasks()) <= before + 1


# --- addresses and pace ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "base", "household"),
    [
        ("ws://127.0.0.1:8000", "ws://127.0.0.1:8000", None),
        ("http://localhost:8000/", "ws://localhost:8000", None),
        ("https://finwise.example", "wss://finwise.example", None),
        ("finwise.example:8000", "ws://finwise.example:8000", None),
        ("wss://example/fw/", "wss://example/fw", None),
        (f"ws://h:1/ws/sync/{HOME.upper()}/", "ws://h:1", HOME),
        (f"http://h:1/fw/ws/sync/{HOME}", "ws://h:1/fw", HOME),
        ("ws://[::1]:8000", "ws://[::1]:8000", None),
    ],
)
def test_an_address_may_be_written_in_many_ways(typed, base, household):
    address = parse_address(typed)
    assert (address.base, address.household) == (base, household)
    assert address.socket_url(HOME) == f"{base}/ws/sync/{HOME}/"


@pytest.mark.parametrize(
    "typed",
    ["", "ftp://h", "ws://", "ws://h:99999", "ws://[::1", "ws://u:p@h", "ws://h/?token=x", "ws://h/#x",
     "ws://h/ws/sync/not-a-household-but-as-long-as-one-is/"],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_a_sentence(typed):
    with pytest.raises(BadAddress):
        parse_address(typed)


def test_frames_are_paced_below_what_a_server_takes():
    pacer, now = Pacer(0.0), 0.0
    sent = 0
    while now < 10:
        now += pacer.wait_s(now)
        sent += 1
    assert sent <= BURST + 10 * PER_SECOND + 1
    assert pacer.wait_s(1000.0) == 0
