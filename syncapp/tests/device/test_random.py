"""A seed decides who types what, when connections break and programs crash; then all are equal.

The large simulation lies beside this one; here the reference device is meant.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from syncapp import upkeep
from syncapp.device.errors import DeviceError

from .harness import BEN, Phone, Server, Time, rows_of, sync

YEAR_MS = 365 * 24 * 3600 * 1000


class Run:
    def __init__(self, seed: int, folder: Path, *, restores: bool, compacts: bool) -> None:
        self.chance = random.Random(seed)
        self.server = Server(Time())
        self.server.add()
        self.server.home.set_role(BEN, "editor")
        self.server.page_limit = self.chance.choice([3, 10, 500])
        self.phones = [
            Phone(
                self.server,
                str(folder / f"{n}.sqlite"),
                user=self.chance.choice(["aaaaaaaa-0000-4000-8000-000000000001", BEN]),
                clock_off_ms=self.chance.choice([0, 0, 900, -4000, YEAR_MS, -YEAR_MS]),
            )
            for n in range(self.chance.randint(2, 4))
        ]
        for phone in self.phones:
            phone.store.run("PRAGMA synchronous = OFF")
        self.ids = [f"cccccccc-0000-4000-8000-{n:012x}" for n in range(6)]
        self.restores, self.compacts = restores, compacts
        self.backup = self.server.home.dump()

    def one_step(self) -> None:
        chance, phone = self.chance, self.chance.choice(self.phones)
        what = chance.random()
        self.server.time.ms += chance.choice([0, 0, 1, 40, 3000])
        if what < 0.35:
            self.type_on(phone)
        elif what < 0.85:
            self.move_frames(phone)
        elif what < 0.90:
            phone.cut()
        elif what < 0.93:
            phone.crash()
            phone.store.run("PRAGMA synchronous = OFF")
        elif what < 0.95:
            phone.clock_off_ms = chance.choice([0, 0, 5000, -60_000, 10 * YEAR_MS, -10 * YEAR_MS])
        elif what < 0.965:
            self.server.restart()
        elif what < 0.975 and self.restores:
            if chance.random() < 0.5:
                self.backup = self.server.home.dump()
            else:
                for each in self.phones:
                    each.cut()
                self.server.home.restore(self.backup)
        elif what < 0.985 and self.compacts:
            self.compact()
        elif what < 0.99:
            self.server.time.pass_s(21)
            for each in self.phones:
                each.do(each.talk.timer(each.now))

    def compact(self) -> None:
        with self.server.home.transaction():
            upkeep.compact(self.server.home, self.server.time.ms, retention_ms=20_000)

    def type_on(self, phone: Phone) -> None:
        chance, row_id = self.chance, self.chance.choice(self.ids)
        fields = {
            name: value
            for name, value in (
                ("name", f"n{chance.randint(0, 9)}"),
                ("sortOrder", chance.randint(0, 9)),
            )
            if chance.random() < 0.6
        }
        act = chance.choice(["create", "edit", "edit", "edit", "delete"])
        try:
            if act == "create":
                phone.replica.create("account_group", {"name": "neu", **fields}, row_id)
            elif act == "edit":
                phone.replica.edit("account_group", row_id, fields)
            else:
                phone.replica.delete("account_group", row_id)
        except DeviceError:
            return
        phone.told()

    def move_frames(self, phone: Phone) -> None:
        for _ in range(self.chance.randint(1, 6)):
            link = phone.link
            if link is None:
                phone.do(phone.talk.timer(phone.now))
                if phone.link is None:
                    phone.online()
            elif link.up and self.chance.random() < 0.5:
                self.server.take(link, link.up.popleft())
            elif not phone.hear_one():
                self.server.deliver()

    def come_to_rest(self) -> None:
        for phone in self.phones:
            phone.clock_off_ms = 0
        for _ in range(8):
            self.server.time.pass_s(21)
            for phone in self.phones:
                phone.do(phone.talk.timer(phone.now))
            sync(self.server, *self.phones)


def check(run: Run) -> None:
    expected = rows_of(run.server.home)
    for phone in run.phones:
        replica = phone.replica
        assert replica.pending == 0 and replica.parked_count == 0
        assert not replica.store.has_heal_rows() and not replica.meta.is_heal_open
        for entry in replica.refused():
            assert entry.code in ("row_missing", "depends")
        seen = phone.look()
        gone = seen.keys() - expected.keys()
        for key in list(gone):  # tombstones that the server has compacted meanwhile
            assert run.compacts and not seen.pop(key)[0]["exists"]
        missing = {key: expected[key] for key in expected.keys() - seen.keys()}
        assert not missing, missing
        for key, (fields, stamps) in seen.items():
            assert stamps == expected[key][1], key
            assert fields == expected[key][0]
        assert phone.is_green
        device = run.server.home.device(replica.meta.device)
        assert device.last_number == replica.meta.next_number - 1, "no number has a hole"


@pytest.mark.parametrize("seed", range(40))
def test_all_devices_end_equal(seed, tmp_path):
    """K01, G04, A06, D06: nothing restored, nothing compacted."""
    run = Run(seed, tmp_path, restores=False, compacts=False)
    for _ in range(250):
        run.one_step()
    run.come_to_rest()
    check(run)
    assert not any(phone.replica.refused() for phone in run.phones)


@pytest.mark.parametrize("seed", range(40))
def test_all_devices_end_equal_with_restores_and_compactions(seed, tmp_path):
    """R01, E05."""
    run = Run(seed, tmp_path, restores=True, compacts=True)
    for _ in range(250):
        run.one_step()
    run.come_to_rest()
    check(run)
