"""kill -9: nothing acknowledged is missing, nothing is applied twice, nobody restarts by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from syncapp.tests.faults.database import Database
from syncapp.tests.faults.devices import Devices, assert_same, bring_home, rows_of, until
from syncapp.tests.faults.proxy import Proxy
from syncapp.tests.faults.real_server import RealServer

pytestmark = pytest.mark.slow


def devices_of(server: RealServer, folder: Path) -> Devices:
    return Devices(folder, server.demo["tenant_id"], server.demo["token"])


def names(client: object) -> list[str]:
    return sorted(row.fields["name"] for row in rows_of(client).values() if row.is_here)  # type: ignore[arg-type]


async def test_the_server_dies_between_commit_and_acknowledgement(
    real_server: RealServer, tmp_path: Path
) -> None:
    """B03"""
    async with Proxy(real_server.port) as proxy, devices_of(real_server, tmp_path) as devices:
        phone = await devices.add(proxy.url, "phone")
        tablet = await devices.add(real_server.url, "tablet")
        await bring_home([phone, tablet])
        proxy.swallows_answers = True
        # Queued together, so that one push holds them all.
        create = phone.replica.create
        created = {create("account_group", {"name": "between"}) for _ in range(20)}
        phone.poke()
        # Committed: another device has it. Acknowledged: the phone has heard nothing.
        keys = {("account_group", each) for each in created}
        await until(tablet, lambda: keys <= rows_of(tablet).keys())
        head = tablet._talk.session.head
        assert phone.replica.pending == 20
        real_server.kill()
        proxy.cut()
        proxy.swallows_answers = False
        real_server.start()
        await bring_home([phone, tablet])
        assert_same([phone, tablet])
        assert tablet._talk.session.head == head  # the repeat had no effect


async def test_the_server_dies_before_it_commits(
    real_server: RealServer, database: Database, tmp_path: Path
) -> None:
    """B04: the push waits for a lock that somebody holds, and never gets it."""
    schema = "t_" + real_server.demo["tenant_id"].replace("-", "")
    async with devices_of(real_server, tmp_path) as devices:
        phone = await devices.add(real_server.url, "phone")
        await bring_home([phone])
        head = phone._talk.session.head
        with psycopg.connect(database.url) as holder:
            holder.execute(f"SELECT FROM {schema}.sync_head FOR UPDATE")
            row_id = phone.create("account_group", {"name": "before"})
            await asyncio.to_thread(database.wait_for_a_waiting_backend)
            real_server.kill()
        real_server.start()
        await bring_home([phone])
        assert ("account_group", row_id) in rows_of(phone)
        assert phone._talk.session.head == head + 1


async def test_postgres_dies_in_the_middle_of_pushes_and_the_server_goes_on(
    real_server: RealServer, tmp_path: Path
) -> None:
    """Q02: told as retryable; the same server process serves on without a restart."""
    pid = real_server.process.pid
    async with devices_of(real_server, tmp_path) as devices:
        phone = await devices.add(real_server.url, "phone")
        tablet = await devices.add(real_server.url, "tablet")
        await bring_home([phone, tablet])
        created = []
        for round_ in range(3):
            for number in range(30):
                created.append(phone.create("account_group", {"name": f"{round_} {number}"}))
                phone.edit("account_group", created[-1], {"sortOrder": number})
            await until(phone, lambda: phone.replica.pending < 60)
            real_server.postgres().kill()
            await bring_home([phone, tablet])
        rows = assert_same([phone, tablet])
        for each in created:
            assert rows["account_group", each].fields["sortOrder"] is not None
    assert real_server.process.pid == pid and real_server.process.poll() is None
    assert "Traceback" not in real_server.said, real_server.said


async def test_a_device_that_is_cut_off_at_every_turn_arrives_all_the_same(
    real_server: RealServer, tmp_path: Path
) -> None:
    """B01, B12"""
    async with Proxy(real_server.port) as proxy, devices_of(real_server, tmp_path) as devices:
        phone = await devices.add(proxy.url, "phone")
        tablet = await devices.add(real_server.url, "tablet")
        await bring_home([phone, tablet])
        for number in range(15):
            phone.create("account_group", {"name": str(number)})
            sent = phone.replica.sent
            if number % 3 == 0:
                proxy.swallows_answers = True
            elif number % 3 == 1:
                await until(phone, lambda sent=sent: phone.replica.sent > sent)
            proxy.cut()
            proxy.swallows_answers = False
            await phone.sync(reach_s=10)
        await bring_home([phone, tablet])
        assert_same([phone, tablet])
