"""Whatever breaks, wherever: an edit is stored whole or not at all, a page, too."""

from __future__ import annotations

import sqlite3

import pytest

from syncapp.core.messages import Hello
from syncapp.device.errors import StoreBusy, StoreDamaged, StoreError, StoreFull, StoreTooNew
from syncapp.device.store import Store

from .harness import HOME, rows_of, sync


class Crash(BaseException):
    """The program ends here, as if its power was cut."""


class Breaking:
    """Lets the n-th statement of a connection fail; counts them all."""

    def __init__(self, connection, at: int | None = None, error: BaseException | None = None):
        self._connection, self.count, self._at = connection, 0, at
        self._error = error or Crash()

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def _step(self) -> None:
        self.count += 1
        if self.count == self._at:
            raise self._error

    def execute(self, *args):
        self._step()
        return self._connection.execute(*args)

    def executemany(self, *args):
        self._step()
        return self._connection.executemany(*args)


def breaking(store: Store, at: int | None = None, error: BaseException | None = None) -> Breaking:
    store._db = Breaking(store._db, at, error)
    return store._db


def disk_full() -> sqlite3.OperationalError:
    return sqlite3.OperationalError("database or disk is full")


def test_when_the_queue_cannot_be_written_the_row_is_not_changed_either(phone):
    """A02, A03: at each single statement of an edit; what was queued before stays."""
    a = phone()
    group = a.replica.create("account_group", {"name": "vorher"})
    before = a.look(), a.replica.pending
    db = breaking(a.store)
    a.replica.edit("account_group", group, {"name": "nachher"})
    statements = db.count
    assert statements > 5
    for at in range(1, statements + 1):
        b = phone()
        group = b.replica.create("account_group", {"name": "vorher"})
        before = b.look(), b.replica.pending, b.replica.meta
        good = b.store._db
        breaking(b.store, at, disk_full())
        with pytest.raises(StoreFull, match="was not saved"):
            b.replica.edit("account_group", group, {"name": "nachher"})
        b.store._db = good
        assert (b.look(), b.replica.pending, b.replica.meta) == before


def test_a_crash_at_any_step_of_taking_a_page_leaves_no_hole(server, phone, tmp_path):
    """G04: after a restart the page comes again, or is there with its cursor."""
    a = phone()
    for n in range(30):
        a.replica.create("account_group", {"name": f"Gruppe {n}"})
    sync(server, a)
    server.page_limit = 10
    at, crashes = 0, 0
    while True:
        at += 1
        b = phone(tmp_path / f"{at}.sqlite")
        b.store.path, good = b.path, b.store._db
        breaking(b.store, at)
        try:
            sync(server, b)
            is_done = True
        except Crash:
            is_done = False
            crashes += 1
        b.store._db = good
        b.crash()
        shown = b.replica.rows("account_group")
        assert len(shown) in (0, 30), "a walk shows whole or not at all"
        sync(server, b)
        assert b.look() == a.look() == rows_of(server.home)
        b.store.close()
        if is_done:
            break
    assert crashes > 50


def test_a_disk_that_is_full_in_the_middle_of_a_page_takes_nothing_of_it_and_the_page_comes_again(
    server, phone
):
    """Q06: at each single statement of a page that is taken; the cursor stays where it was."""
    a = phone()
    for n in range(5):
        a.replica.create("account_group", {"name": f"Gruppe {n}"})
    sync(server, a)
    at = not_taken = 0
    while True:
        at += 1
        b = phone()
        b.online()
        while not (b.link.down and b.link.down[0].startswith('{"type":"changes"')):
            if b.link.up:
                server.take(b.link, b.link.up.popleft())
            else:
                assert server.deliver() or b.hear_one()
        before, good = b.replica.meta, b.store._db
        breaking(b.store, at, disk_full())
        try:
            b.hear_one()
            is_full = False
        except StoreFull:
            is_full = True
        b.store._db = good
        if not is_full:
            break
        # Behind its commit the page is there, and its cursor: then what follows it found no room.
        is_taken = b.replica.meta.cursor != before.cursor
        not_taken += not is_taken
        assert b.look() == (a.look() if is_taken else {})
        b.crash()
        sync(server, b)
        assert b.look() == a.look() == rows_of(server.home) and b.is_green
    assert not_taken > 5


def test_a_crash_at_any_step_of_a_push_gives_each_change_one_effect(server, phone, tmp_path):
    """A06: numbers are durable before they leave, answers before they count."""
    at, crashes = 0, 0
    while True:
        at += 1
        b = phone(tmp_path / f"{at}.sqlite")
        group = b.replica.create("account_group", {"name": f"eins {at}"})
        sync(server, b)
        b.replica.edit("account_group", group, {"name": f"zwei {at}"})
        b.replica.create("account", {"name": f"Konto {at}", "accountGroupId": group})
        seq = server.home.read_head().seq
        good = b.store._db
        breaking(b.store, at)
        try:
            sync(server, b)
            is_done = True
        except Crash:
            is_done = False
            crashes += 1
        b.store._db = good
        b.crash()
        sync(server, b)
        assert server.home.read_head().seq == seq + 1, "one push, one effect"
        assert b.replica.pending == 0 and b.look() == rows_of(server.home)
        b.store.close()
        if is_done:
            break
    assert crashes > 20


def test_a_long_first_load_resumes_where_it_was(server, phone, tmp_path):
    """G08: interrupted at 60 %, it does not start over, and only goes forward."""
    a = phone()
    with a.store.transaction():
        for n in range(100):
            a.replica.create("account_group", {"name": f"Gruppe {n}"})
    sync(server, a)
    server.page_limit = 10
    b = phone(tmp_path / "b.sqlite")
    b.online()
    progress = []
    while len(b.store.staged_keys()) < 60:
        if b.link.up:
            server.take(b.link, b.link.up.popleft())
        server.deliver()
        b.hear_one()
        progress.append(len(b.store.staged_keys()))
    b.crash()
    assert len(b.store.staged_keys()) == 60 and not b.replica.rows("account_group")
    server.heard.clear()
    sync(server, b)
    assert progress == sorted(progress)
    (hello,) = [each for each in server.heard if isinstance(each, Hello)]
    assert hello.cursor is not None
    assert b.replica.received <= 40, "what was staged is not sent again"
    assert b.look() == a.look()


def test_an_edit_survives_the_end_of_the_program(phone, tmp_path):
    """A01."""
    a = phone(tmp_path / "a.sqlite")
    a.replica.create("account_group", {"name": "Giro"})
    a.crash()
    assert [row.fields["name"] for row in a.replica.rows("account_group")] == ["Giro"]
    assert a.replica.pending == 1


def test_two_programs_may_use_one_store(server, phone, tmp_path):
    """J01: an importer beside a running `watch`; each change has one effect."""
    path = tmp_path / "a.sqlite"
    a, b = phone(path), phone(path)
    sync(server, a, b)
    for n in range(20):
        (a, b)[n % 2].replica.create("account_group", {"name": f"Gruppe {n}"})
        if n % 5 == 0:
            sync(server, a, b)
    sync(server, a, b)
    assert a.look() == b.look() == rows_of(server.home)
    assert len(server.home.all_rows()) == 20 and a.is_green and b.is_green
    assert a.replica.meta.device == server.home.device(a.replica.meta.device).id


def test_another_program_that_writes_is_noticed(phone, tmp_path):
    a, b = phone(tmp_path / "a.sqlite"), phone(tmp_path / "a.sqlite")
    before = a.store.writes_of_others
    a.replica.create("account_group", {"name": "von mir"})
    assert a.store.writes_of_others == before
    b.replica.create("account_group", {"name": "vom anderen"})
    assert a.store.writes_of_others != before


def test_a_store_that_is_being_written_says_so(phone, tmp_path, monkeypatch):
    monkeypatch.setattr("syncapp.device.store.database.BUSY_TIMEOUT_MS", 50)
    a, b = phone(tmp_path / "a.sqlite"), phone(tmp_path / "a.sqlite")
    with a.store.transaction(), pytest.raises(StoreBusy, match="Nothing was changed"):
        b.replica.create("account_group", {"name": "Giro"})
    b.replica.create("account_group", {"name": "Giro"})


def test_a_store_of_a_newer_program_is_left_alone(tmp_path):
    """A11."""
    path = tmp_path / "a.sqlite"
    Store(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreTooNew, match="Update the program"):
        Store(path)


def test_what_is_no_store_is_left_alone(tmp_path):
    path = tmp_path / "a.sqlite"
    path.write_text("This is a letter to my bank. " * 100)
    with pytest.raises(StoreDamaged, match="Keep a copy"):
        Store(path)
    assert path.read_text().startswith("This is a letter")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StoreError, match="Check that its folder exists"):
        Store(tmp_path / "nowhere" / "a.sqlite")


def test_a_store_serves_one_household(phone, tmp_path):
    """J07."""
    phone(tmp_path / "a.sqlite")
    with pytest.raises(StoreError, match="belongs to the household"):
        phone(tmp_path / "a.sqlite", household=HOME.replace("b", "c"))
