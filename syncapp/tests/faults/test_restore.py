"""R01: a backup is put back after further pushes. Devices notice, and heal the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncapp.tests.faults.database import Database
from syncapp.tests.faults.devices import Devices, assert_same, bring_home, rows_of
from syncapp.tests.faults.real_server import RealServer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("way", ["while the server is stopped", "under the running server"])
async def test_devices_heal_a_restored_server(
    real_server: RealServer, database: Database, tmp_path: Path, way: str
) -> None:
    """R01: no acknowledged change that a device still has is missing, deletes included."""
    async with Devices(
        tmp_path, real_server.demo["tenant_id"], real_server.demo["token"]
    ) as devices:
        phone = await devices.add(real_server.url, "phone")
        tablet = await devices.add(real_server.url, "tablet")
        kept = [phone.create("account_group", {"name": f"kept {n}"}) for n in range(30)]
        await bring_home([phone, tablet])
        # The backup.
        database.dump(tmp_path / "backup")
        # Further pushes, all acknowledged: new rows, edits, deletes, by both.
        new = [phone.create("account_group", {"name": f"new {n}"}) for n in range(30)]
        for each in kept[:10]:
            phone.edit("account_group", each, {"name": "edited"})
        for each in kept[10:15]:
            phone.delete("account_group", each)
        await bring_home([phone, tablet])
        tablet.edit("account_group", new[0], {"name": "by the tablet"})
        tablet.delete("account_group", new[1])
        await bring_home([tablet, phone])
        before = assert_same([phone, tablet])
        # One device is offline with an edit of its own while the backup is put back.
        if way == "while the server is stopped":
            real_server.stop()
            offline = phone.create("account_group", {"name": "offline"})
            database.restore(tmp_path / "backup")
            real_server.start()
        else:
            database.restore(tmp_path / "backup")
            offline = phone.create("account_group", {"name": "offline"})
        await bring_home([phone, tablet])
        after = assert_same([phone, tablet])
        assert {key: after.get(key) for key in before} == before
        assert ("account_group", offline) in after
        # A device that comes afterwards finds everything on the server.
        fresh = await devices.add(real_server.url, "fresh")
        await bring_home([fresh])
        assert rows_of(fresh) == after
    assert "Traceback" not in real_server.said, real_server.said


async def test_one_device_that_still_has_it_is_enough(
    real_server: RealServer, database: Database, tmp_path: Path
) -> None:
    """R01: the author of the changes is gone; whoever has read them brings them back."""
    demo = real_server.demo
    async with Devices(tmp_path, demo["tenant_id"], demo["token"]) as devices:
        reader = await devices.add(real_server.url, "reader")
        async with Devices(tmp_path, demo["tenant_id"], demo["token"]) as gone:
            author = await gone.add(real_server.url, "author")
            await bring_home([author, reader])
            database.dump(tmp_path / "backup")
            row_id = author.create("account_group", {"name": "only the reader has it now"})
            await bring_home([author, reader])
        database.restore(tmp_path / "backup")
        await bring_home([reader])
        fresh = await devices.add(real_server.url, "fresh")
        await bring_home([fresh])
        assert rows_of(fresh)["account_group", row_id].fields["name"].startswith("only")
