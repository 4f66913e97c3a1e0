"""What a device finds after its household was imported: the file's rows, and all of its outbox."""

from __future__ import annotations

from pathlib import Path

from syncapp.portable import export_household, import_household, read_lines
from syncapp.registry import entities
from syncapp.tests.faults.devices import Devices, assert_same, bring_home, rows_of, until
from syncapp.tests.household import Household, now_ms
from syncapp.tests.operator.off_the_loop import off_the_loop
from syncapp.tests.socket.server import ServerThread
from tenants.models import User
from tenants.tokens import create_token


async def test_an_import_resets_every_device_and_no_outbox_loses_anything(
    server: ServerThread, household: Household, tmp_path: Path
) -> None:
    token = await off_the_loop(
        lambda: create_token(User.objects.get(pk=household.owner), "devices")
    )
    async with Devices(tmp_path, str(household.id), token) as devices:
        phone = await devices.add(server.url, "phone")
        tablet = await devices.add(server.url, "tablet")
        kept = phone.create("account_group", {"name": "in the file"})
        deleted = phone.create("account_group", {"name": "deleted in the file"})
        phone.delete("account_group", deleted)
        await bring_home([phone, tablet])
        lines = await off_the_loop(lambda: list(export_household(household.id)))
        # After the export: acknowledged, and not in the file.
        late = phone.create("account_group", {"name": "not in the file"})
        phone.edit("account_group", kept, {"name": "edited after the export"})
        await bring_home([phone, tablet])

        async with Devices(tmp_path, str(household.id), token) as away:
            laptop = await away.add(server.url, "laptop")
            await bring_home([laptop])
        # Typed without a connection: a new row, an edit of one that stays, one that goes.
        laptop_offline = Devices(tmp_path, str(household.id), token)
        async with laptop_offline as offline:
            laptop = await offline.add("ws://127.0.0.1:9", "laptop")
            typed = laptop.create("account_group", {"name": "typed offline"})
            laptop.edit("account_group", kept, {"sortOrder": 7})
            laptop.edit("account_group", late, {"sortOrder": 8})
            assert laptop.replica.pending == 3

        raw = [line.encode() for line in lines]
        await off_the_loop(
            lambda: import_household(
                household.id, read_lines(raw, entities(), now_ms()), replace=True
            )
        )
        # Who is connected hears of it by itself.
        await until(
            tablet, lambda: rows_of(tablet)["account_group", kept].fields["name"] == "in the file"
        )
        await bring_home([phone, tablet])
        rows = assert_same([phone, tablet])
        assert not rows["account_group", deleted].is_here
        assert ("account_group", late) not in rows

        laptop = await devices.add(server.url, "laptop")
        await bring_home([laptop, phone, tablet])
        rows = assert_same([phone, tablet, laptop])
        assert rows["account_group", typed].fields["name"] == "typed offline"
        assert rows["account_group", kept].fields["name"] == "in the file"
        assert rows["account_group", kept].fields["sortOrder"] == 7
        # The edit of a row that the file does not hold brings the row back.
        assert rows["account_group", late].fields["sortOrder"] == 8
        assert rows["account_group", late].fields["name"] == "not in the file"
