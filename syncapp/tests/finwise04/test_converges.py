"""Whatever apps and phones do, in whatever order frames arrive: all end equal, as the oracle says.

The oracle is plain: of each field the newest edit stands, and of existence the newest act. It
knows what people typed and when, and nothing of stamps, versions or records.
"""

from __future__ import annotations

import random

import pytest

from syncapp.device import hearing
from syncapp.device.errors import DeviceError
from syncapp.tests.device.harness import BEN, Phone, Server, Time, sync
from syncapp.tests.finwise04.rig import AppLink, MemoryShown, records_of, without_times

NAMES = [f"n{n}" for n in range(10)]


@pytest.fixture(autouse=True)
def true_clocks(monkeypatch):
    """Frames lie around for seconds here, which a phone would take for a clock that is off."""
    monkeypatch.setattr(hearing, "add_sample", lambda *times: [0])


class Oracle:
    """What people typed, by row and field: the newest stands."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, tuple[int, object]]] = {}

    def typed(self, row_id: str, at_ms: int, is_here: bool, fields: dict[str, object]) -> None:
        cells = self.values.setdefault(row_id, {})
        for name, value in {**fields, "exists": is_here}.items():
            if name not in cells or cells[name][0] < at_ms:
                cells[name] = (at_ms, value)

    def rows(self) -> dict[str, dict[str, object]]:
        return {
            row_id: {name: value for name, (_, value) in cells.items() if name != "exists"}
            for row_id, cells in self.values.items()
            if cells["exists"][1]
        }


class Run:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.server = Server(Time())
        self.server.add()
        self.server.home.set_role(BEN, "editor")
        self.server.page_limit = self.chance.choice([2, 5, 500])
        self.oracle = Oracle()
        store = MemoryShown()
        self.apps = [AppLink(self.server, store, f"browser {n}") for n in range(2)]
        self.apps.append(AppLink(self.server, store, "browser 0", user=BEN))
        self.phones = [Phone(self.server), Phone(self.server, user=BEN)]
        self.new: list[str] = []

    def one_step(self) -> None:
        chance = self.chance
        # More than a row can be told within one step: then told times stay behind the clock.
        self.server.time.ms += chance.choice([50, 100, 3000])
        what = chance.random()
        if what < 0.35:
            chance.choice([self.app_types, self.app_types, self.phone_types])()
        elif what < 0.9:
            chance.choice([self.move_app, self.move_app, self.move_phone])()
        elif what < 0.97:
            self.cut(chance.choice(self.apps))
        else:
            self.reload(chance.choice(self.apps))

    # --- typing

    def app_types(self) -> None:
        app = self.chance.choice(self.apps).app
        rows = list(app.kept["AccountGroup"])
        act = self.chance.choice(["create", "edit", "edit", "edit", "edit", "delete"])
        if act == "create" or not rows:
            fields = {"name": self.chance.choice(NAMES), "sortOrder": self.chance.randint(0, 9)}
            row_id = app.new_group(**fields)
            self.oracle.typed(row_id, self.server.time.ms, True, {**fields, "image": ""})
            return
        row_id = self.chance.choice(rows)
        if act == "delete":
            app.delete(row_id)
            self.oracle.typed(row_id, self.server.time.ms, False, {})
            return
        record = app.kept["AccountGroup"][row_id]
        fields = {
            name: value
            for name, value in (
                ("name", self.chance.choice(NAMES)),
                ("sortOrder", self.chance.randint(0, 9)),
            )
            if record[name] != value and self.chance.random() < 0.6
        }
        if fields:
            app.edit(row_id, **fields)
            self.oracle.typed(row_id, self.server.time.ms, True, fields)

    def phone_types(self) -> None:
        chance, phone = self.chance, self.chance.choice(self.phones)
        seen = [key[1] for key, (fields, _) in phone.look("account_group").items()
                if fields.get("exists")]  # fmt: skip
        act = chance.choice(["create", "edit", "edit", "edit", "delete"])
        fields = {"name": chance.choice(NAMES), "sortOrder": chance.randint(0, 9)}
        try:
            if act == "create" or not seen:
                row_id = self.server.new_id()
                phone.replica.create("account_group", fields, row_id)
                self.oracle.typed(row_id, self.server.time.ms, True, {**fields, "image": ""})
            elif act == "edit":
                row_id, name = chance.choice(seen), chance.choice(["name", "sortOrder"])
                if phone.look()["account_group", row_id][0][name] == fields[name]:
                    return
                phone.replica.edit("account_group", row_id, {name: fields[name]})
                self.oracle.typed(row_id, self.server.time.ms, True, {name: fields[name]})
            else:
                row_id = chance.choice(seen)
                phone.replica.delete("account_group", row_id)
                self.oracle.typed(row_id, self.server.time.ms, False, {})
        except DeviceError:
            return
        phone.told()

    # --- frames

    def move_app(self) -> None:
        link = self.chance.choice(self.apps)
        if not link.is_connected:
            # Somebody closed the page in the middle: what had no answer is sent once more.
            link.app.retry_processing()
            link.connect()
        for _ in range(self.chance.randint(1, 8)):
            what = self.chance.random()
            if what < 0.15:
                link.poll()
            elif what < 0.5:
                link.move_up()
            elif what < 0.85:
                link.move_down()
            else:
                link.tell_news()

    def move_phone(self) -> None:
        phone = self.chance.choice(self.phones)
        for _ in range(self.chance.randint(1, 6)):
            link = phone.link
            if link is None:
                phone.online()
            elif link.up and self.chance.random() < 0.5:
                self.server.take(link, link.up.popleft())
            elif not phone.hear_one():
                self.server.deliver()

    def cut(self, link: AppLink) -> None:
        link.cut()
        if self.chance.random() < 0.5:
            phone = self.chance.choice(self.phones)
            phone.cut()

    def reload(self, link: AppLink) -> None:
        link.cut()
        link.app.reload()

    def come_to_rest(self) -> None:
        for _ in range(3):
            self.server.time.pass_s(21)
            for link in self.apps:
                link.cut()
                link.app.retry_processing()
                link.come_online()
            for phone in self.phones:
                phone.do(phone.talk.timer(phone.now))
            sync(self.server, *self.phones)
        for link in self.apps:
            link.rest()


def run_of(seed: int, steps: int = 150) -> Run:
    run = Run(seed)
    for _ in range(steps):
        run.one_step()
    run.come_to_rest()
    return run


def check(run: Run) -> None:
    server = {
        row.id: {name: value for name, value in row.fields.items() if name != "exists"}
        for row in run.server.home.all_rows().values()
        if row.is_here
    }
    assert server == run.oracle.rows()
    expected = records_of(run.server)
    for link in run.apps:
        assert link.app.nacks == []
        assert link.app.queue == []
        assert without_times(link.app.kept) == expected
    for phone in run.phones:
        assert phone.is_green
        seen = {key[1]: fields for key, (fields, _) in phone.look("account_group").items()}
        here = {
            row_id: {name: value for name, value in fields.items() if name != "exists"}
            for row_id, fields in seen.items()
            if fields["exists"]
        }
        assert here == server


@pytest.mark.parametrize("seed", range(60))
def test_all_apps_and_phones_end_as_the_oracle_says(seed):
    check(run_of(seed))


@pytest.mark.parametrize("seed", range(10))
def test_a_reloaded_page_shows_everything_after_its_load(seed):
    run = run_of(1000 + seed)
    for link in run.apps:
        link.cut()
        link.app.reload()
        run.server.time.ms += 1
        link.come_online()
        assert without_times(link.app.seen) == records_of(run.server)
