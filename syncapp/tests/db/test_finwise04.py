"""FinWise 0.4 apps on a real household: what they were shown is kept by PostgreSQL."""

from __future__ import annotations

import itertools
import json
import random

import msgspec
import pytest

from syncapp import upkeep
from syncapp.dialects import finwise04 as dialect
from syncapp.finwise04 import household as desks
from syncapp.finwise04.kinds import kinds
from syncapp.finwise04.store import PostgresShown
from syncapp.tests.finwise04.app import AppStore
from syncapp.tests.finwise04.rig import AppLink, without_times
from syncapp.tests.finwise04.test_converges import Oracle
from syncapp.tests.household import now_ms


class Clock:
    """Stands still until a test moves it on."""

    def __init__(self) -> None:
        self.ms = now_ms() - 3_600_000


class Ground:
    """What an `AppLink` needs of a server, over a household on PostgreSQL."""

    page_limit = 3

    def __init__(self, household) -> None:
        self.household = household
        self.time = Clock()
        self._count = itertools.count(1)

    def new_id(self) -> str:
        return f"dddddddd-0000-4000-8000-{next(self._count):012x}"

    @property
    def home(self):
        return self

    def read_head(self):
        return self.household.head()


class Link(AppLink):
    """One app; each call is a transaction of its own."""

    def __init__(self, ground: Ground, browser: str) -> None:
        tenant_id, user_id = str(ground.household.id), str(ground.household.owner)
        super().__init__(ground, None, browser, user=user_id)
        self.identity = dialect.identity_of(user_id, tenant_id, browser)
        self.app = AppStore(tenant_id, lambda: ground.time.ms, ground.new_id)

    def call(self, function, *args):
        def at_desk(repository):
            store = PostgresShown(inside_of(repository), self.server.household.schema)
            desk = desks.Desk(
                repository, store, kinds(), self.app.tenant_id, self.user, self.identity
            )
            return function(desk, *args, self.server.time.ms)

        return self.server.household.call(at_desk)


def inside_of(repository):
    class Wrapped:
        connection = repository._connection

    return Wrapped


@pytest.fixture
def ground(household):
    return Ground(household)


@pytest.fixture
def new_link(ground):
    return lambda name="browser": Link(ground, name)


def rows_of(ground):
    found = {"Account": {}, "AccountGroup": {}}
    for row in ground.household.rows().values():
        kind = kinds().get(row.entity)
        if kind is not None and row.is_here:
            entity = ground.household.call(lambda repository: repository.entities)[row.entity]
            record = dialect.row_to_record(kind, entity, row, 0)
            plain = json.loads(msgspec.json.encode(record))
            plain.pop("updated_at")
            found[kind.name][row.id] = plain
    return found


@pytest.mark.parametrize("seed", range(6))
def test_apps_on_postgresql_end_as_the_oracle_says(ground, new_link, seed):
    chance, oracle = random.Random(seed), Oracle()
    links = [new_link(f"browser {n}") for n in range(2)]
    for _ in range(60):
        ground.time.ms += chance.choice([50, 3000])
        link = chance.choice(links)
        app, what = link.app, chance.random()
        groups = list(app.kept["AccountGroup"])
        if what < 0.15 or not groups:
            row_id = app.new_group(f"n{chance.randint(0, 9)}")
            values = {"name": app.kept["AccountGroup"][row_id]["name"], "sortOrder": 0}
            oracle.typed(row_id, ground.time.ms, True, {**values, "image": ""})
        elif what < 0.45:
            row_id, value = chance.choice(groups), chance.randint(0, 99)
            if app.kept["AccountGroup"][row_id]["sortOrder"] != value:
                app.edit(row_id, sortOrder=value)
                oracle.typed(row_id, ground.time.ms, True, {"sortOrder": value})
        elif what < 0.52:
            row_id = chance.choice(groups)
            app.delete(row_id)
            oracle.typed(row_id, ground.time.ms, False, {})
        elif what < 0.6:
            link.cut()
            app.reload()
        elif not link.is_connected:
            app.retry_processing()
            link.connect()
        else:
            for _ in range(chance.randint(1, 6)):
                chance.choice([link.poll, link.move_up, link.move_down, link.tell_news])()
    for link in links * 2:
        ground.time.ms += 1000
        link.cut()
        link.app.retry_processing()
        link.come_online()
    for link in links:
        link.rest()
    expected = rows_of(ground)
    typed = {
        row_id: {**values, "image": values["image"] or None}
        for row_id, values in oracle.rows().items()
    }
    assert {
        row_id: {name: value for name, value in record.items() if name != "id"}
        for row_id, record in expected["AccountGroup"].items()
    } == typed
    for link in links:
        assert (link.app.queue, link.app.nacks) == ([], [])
        assert without_times(link.app.kept) == expected


def test_what_was_shown_is_forgotten_long_after_its_device(ground, new_link, psql):
    link = new_link()
    link.come_online()
    link.app.new_group("Urlaub")
    link.rest()
    count = f'SELECT count(*) FROM "{ground.household.schema}".sync_shown'
    for days, left in ((399, 1), (401, 0)):
        later_ms = ground.time.ms + days * 24 * 3600 * 1000
        ground.household.call(upkeep.compact, later_ms)
        assert psql.execute(count).fetchone() == (left,)


def test_a_refused_entry_is_listed_for_operators_without_its_values(ground, new_link, psql):
    link = new_link()
    link.come_online()
    account = link.app.new_account("Giro", None, iban="kein IBAN")
    link.rest()
    [nack] = link.app.nacks
    assert nack["detail"].startswith("iban: ")
    found = psql.execute(
        f'SELECT device_id::text, row_id::text, field, code FROM "{ground.household.schema}"'
        ".sync_refusal"
    ).fetchall()
    assert found == [(link.identity.device, account, "iban", "iban")]
