"""The commands of docs/operations.md, run exactly as they stand there, while devices work."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from syncapp.device.client import DeviceClient
from syncapp.tests.faults.database import PROGRAMS, Database
from syncapp.tests.faults.devices import Devices, assert_same, bring_home, rows_of
from syncapp.tests.faults.real_server import ROOT, RealServer

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    """The commands under this mark."""
    (found,) = re.findall(rf"^<!-- drill: {name} -->\n```sh\n(.*?)^```", PAGE, re.M | re.S)
    return found


class Shell:
    """Runs commands as the page has them; `systemctl` stops and starts the server of the test."""

    def __init__(self, server: RealServer, database: Database, folder: Path) -> None:
        self._server, self.folder = server, folder
        url = urlsplit(database.url)
        addresses = {
            "DATABASE_URL": url.path,
            "POSTGRES_URL": "/postgres",
            "RESTORED_URL": "/finwise_restored",
        }
        # In a folder of its own, with the clone's programs within reach as on a site.
        for name in (".venv", "manage.py"):
            (folder / name).symlink_to(ROOT / name)
        if not (folder / ".venv" / "bin" / "python").exists():  # another environment: FINWISE_VENV
            (folder / ".venv").unlink()
            (folder / ".venv").symlink_to(sys.prefix)
        programs = folder / "programs"
        programs.mkdir()
        (programs / "systemctl").write_text(
            f'#!/bin/sh\necho "$1 $2" > {folder}/asked\nread said < {folder}/done\n'
        )
        (programs / "systemctl").chmod(0o755)
        os.mkfifo(folder / "asked")
        os.mkfifo(folder / "done")
        self.systemctl: list[str] = []
        self._environment = {
            "PATH": f"{programs}:{PROGRAMS}:/usr/bin:/bin",
            "FINWISE_STATE_DIR": str(server.state_dir),
            "HOUSEHOLD": server.demo["tenant_id"],
            "SCHEMA": "t_" + server.demo["tenant_id"].replace("-", ""),
            **{name: urlunsplit(url._replace(path=path)) for name, path in addresses.items()},
        }
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            asked = (self.folder / "asked").read_text().strip()
            if not asked:
                return
            self.systemctl.append(asked)
            if asked.startswith("stop"):
                self._server.stop()
            else:
                self._server.start()
            (self.folder / "done").write_text("done\n")

    def run(self, commands: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-eu", "-c", commands], cwd=self.folder, env=self._environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"{commands}\n{done.stdout}"
        return done.stdout


async def write_on(device: DeviceClient) -> None:
    number = 0
    while True:
        device.create("account_group", {"name": f"written during the backup {number}"})
        number += 1
        await asyncio.sleep(0.005)


@pytest.fixture
def shell(
    real_server: RealServer,
    database: Database,
    tmp_path: Path,
) -> Iterator[Shell]:
    (tmp_path / "site").mkdir()
    made = Shell(real_server, database, tmp_path / "site")
    yield made
    (made.folder / "asked").write_text("")


async def test_the_restore_drill_loses_nothing_that_a_device_still_has(
    shell: Shell,
    real_server: RealServer,
    tmp_path: Path,
) -> None:
    """R01, by the page."""
    demo = real_server.demo
    async with Devices(tmp_path, demo["tenant_id"], demo["token"]) as devices:
        phone = await devices.add(real_server.url, "phone")
        tablet = await devices.add(real_server.url, "tablet")
        kept = [phone.create("account_group", {"name": f"kept {n}"}) for n in range(20)]
        await bring_home([phone, tablet])

        # R08: taken while somebody writes without a pause.
        writing = asyncio.ensure_future(write_on(phone))
        await asyncio.to_thread(shell.run, block("backup"))
        writing.cancel()
        assert "account_group" in (shell.folder / "finwise.dump.list").read_text()

        # Acknowledged after the backup: new rows, edits, deletes.
        new = [phone.create("account_group", {"name": f"new {n}"}) for n in range(20)]
        for each in kept[:5]:
            phone.edit("account_group", each, {"name": "edited"})
        phone.delete("account_group", kept[5])
        await bring_home([phone, tablet])
        before = assert_same([phone, tablet])

        # Beside it: nobody notices.
        said = await asyncio.to_thread(shell.run, block("restore"))
        assert "Nothing wrong in 1 of 1 households." in said
        tablet.edit("account_group", new[0], {"name": "meanwhile"})
        await bring_home([tablet, phone])
        before = assert_same([phone, tablet])

        said = await asyncio.to_thread(shell.run, block("swap"))
        assert shell.systemctl == ["stop finwise@*", "start finwise@*"]
        assert "Nothing wrong" in said

        await bring_home([phone, tablet])
        after = assert_same([phone, tablet])
        assert {key: after.get(key) for key in before} == before
        assert after["account_group", new[0]].fields["name"] == "meanwhile"
        assert not after["account_group", kept[5]].is_here
        fresh = await devices.add(real_server.url, "fresh")
        await bring_home([fresh])
        assert rows_of(fresh) == after
        await asyncio.to_thread(shell.run, block("clean up"))
    assert "Traceback" not in real_server.said, real_server.said


async def test_a_household_goes_to_a_file_and_back_by_the_page(
    shell: Shell,
    real_server: RealServer,
    tmp_path: Path,
) -> None:
    demo = real_server.demo
    async with Devices(tmp_path, demo["tenant_id"], demo["token"]) as devices:
        phone = await devices.add(real_server.url, "phone")
        row = phone.create("account_group", {"name": "in the file"})
        await bring_home([phone])
        said = await asyncio.to_thread(shell.run, block("one household"))
        assert "would be" in said
        offline = phone.create("account_group", {"name": "typed meanwhile"})
        await bring_home([phone])
        assert {("account_group", row), ("account_group", offline)} <= rows_of(phone).keys()


async def test_one_household_is_put_back_and_the_others_notice_nothing(
    shell: Shell, real_server: RealServer, database: Database, tmp_path: Path
) -> None:
    """R04"""
    demo = real_server.demo
    made = f".venv/bin/python manage.py create_tenant --name Other --owner {demo['email']}"
    other_id = (await asyncio.to_thread(shell.run, made)).split()[-1]
    epoch = f"SELECT epoch, seq FROM t_{other_id.replace('-', '')}.sync_head"
    async with (
        Devices(tmp_path, demo["tenant_id"], demo["token"]) as devices,
        Devices(tmp_path, other_id, demo["token"]) as others,
    ):
        phone = await devices.add(real_server.url, "phone")
        neighbour = await others.add(real_server.url, "neighbour")
        phone.create("account_group", {"name": "in the dump"})
        theirs = neighbour.create("account_group", {"name": "next door"})
        await bring_home([phone, neighbour])
        before = database.query(epoch)
        await asyncio.to_thread(shell.run, block("one schema"))
        late = phone.create("account_group", {"name": "after the dump"})
        await bring_home([phone])
        await asyncio.to_thread(shell.run, block("one schema back"))
        while ("account_group", late) not in rows_of(phone) or not (
            await phone.sync()
        ).is_up_to_date:
            pass
        fresh = await devices.add(real_server.url, "fresh")
        await bring_home([fresh, phone])
        assert_same([phone, fresh])
        assert rows_of(fresh)["account_group", late].fields["name"] == "after the dump"
        assert database.query(epoch) == before
        neighbour.edit("account_group", theirs, {"name": "still next door"})
        await bring_home([neighbour])


def test_every_block_of_the_drill_is_run_here() -> None:
    marked = set(re.findall(r"<!-- drill: ([\w ]+) -->", PAGE))
    assert marked == {
        "backup",
        "restore",
        "swap",
        "clean up",
        "one household",
        "one schema",
        "one schema back",
    }
    assert PAGE.count("```sh\n") == len(marked)
