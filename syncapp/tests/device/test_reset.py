"""When what a device has read does not hold any more: snapshots, and healing a restored server."""

from __future__ import annotations

import shutil

import pytest

from syncapp import upkeep
from syncapp.core.change import EXISTS
from syncapp.core.errors import Restarting
from syncapp.core.messages import Pull, Push, Rows

from .harness import BEN, pump, rows_of, sync

DAY_S = 24 * 3600
IMAGE = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture
def pair(server, phone):
    a, b = phone(), phone()
    sync(server, a, b)
    return a, b


def fill(a, n: int, text: str = "Gruppe") -> list[str]:
    with a.store.transaction():
        return [a.replica.create("account_group", {"name": f"{text} {k}"}) for k in range(n)]


# --- restored (R01) -----------------------------------------------------------------------------


def let_it_be_compacted(server, a) -> None:
    """Time passes for what is deleted; `a` has read past it, and says so with its beat."""
    server.time.pass_s(91 * DAY_S)
    for _ in range(2):
        server.time.pass_s(20)
        sync(server, a)
        a.do(a.talk.timer(a.now))
        pump(server, a)
    compact(server)


def test_what_a_restored_server_lacks_is_brought_back_by_any_device_that_has_it(server, pair):
    a, b = pair
    old = fill(a, 3)
    sync(server, a, b)
    backup = server.home.dump()
    fill(a, 700, "danach")
    a.replica.edit("account_group", old[0], {"name": "geändert"})
    a.replica.delete("account_group", old[1])
    sync(server, a, b)
    expected = rows_of(server.home)
    a.cut(), b.cut()
    server.home.restore(backup)
    sync(server, b)  # only B comes back
    assert rows_of(server.home) == expected == b.look()
    assert b.is_green and not server.home.device(b.replica.meta.device).is_healing
    sync(server, a, b)
    assert a.look() == b.look() == rows_of(server.home) == expected
    batches = [len(each.rows) for each in server.heard if isinstance(each, Rows)]
    assert max(batches) == 500


def test_nothing_disappears_from_the_screen_while_a_server_is_healed(server, pair):
    a, _ = pair
    backup = server.home.dump()
    fill(a, 5)
    sync(server, a)
    a.cut()
    server.home.restore(backup)
    a.online()
    for _ in range(60):
        if a.link and a.link.up:
            server.take(a.link, a.link.up.popleft())
        server.deliver()
        a.hear_one()
        if a.link is None:
            a.do(a.talk.asked(a.now))
        healed = len(server.home.all_rows())
        assert len(a.replica.rows("account_group")) == 5 or healed == 5
    pump(server, a)
    assert a.look() == rows_of(server.home) and len(a.look()) == 5


def test_healing_goes_on_after_a_crash(server, phone, tmp_path):
    a = phone(tmp_path / "a.sqlite")
    sync(server, a)
    backup = server.home.dump()
    fill(a, 1200)
    sync(server, a)
    expected = rows_of(server.home)
    a.cut()
    server.home.restore(backup)
    rows = 0

    def twice(frame) -> None:
        nonlocal rows
        rows += isinstance(frame, Rows)
        if rows == 2:
            raise Restarting()

    server.gate = twice
    a.online()
    while rows < 2:
        if a.link and a.link.up:
            server.take(a.link, a.link.up.popleft())
        server.deliver()
        a.hear_one()
        if a.link is None:
            a.do(a.talk.asked(a.now))
    server.gate = lambda frame: None
    a.crash()
    assert len(a.store.heal_rows()) == 700
    sync(server, a)
    assert rows_of(server.home) == expected == a.look() and a.is_green


def test_an_empty_heal_list_is_reported_too(server, pair):
    a, _ = pair
    fill(a, 2)
    sync(server, a)
    backup = server.home.dump()
    sync(server, a)
    a.replica.edit("account_group", fill(a, 1)[0], {"name": "x"})
    sync(server, a)
    a.cut()
    server.home.restore(backup)
    with a.store.transaction():
        a.store.run("DELETE FROM base")  # this one has nothing to give
    sync(server, a)
    assert [each.last for each in server.heard if isinstance(each, Rows)] == [True]
    assert not server.home.device(a.replica.meta.device).is_healing and a.is_green


def test_a_viewers_device_does_not_heal(server, phone):
    a, viewer = phone(), phone(user=BEN)
    server.home.set_role(BEN, "viewer")
    sync(server, a, viewer)
    backup = server.home.dump()
    fill(a, 2)
    sync(server, a, viewer)
    a.cut(), viewer.cut()
    server.home.restore(backup)
    sync(server, viewer)
    assert server.home.all_rows() == {} and viewer.look() == {} and viewer.is_green


def test_a_pending_edit_of_a_row_that_a_restored_server_lacks_survives(server, pair):
    a, b = pair
    backup = server.home.dump()
    (group,) = fill(a, 1)
    sync(server, a, b)
    a.cut(), b.cut()
    a.replica.edit("account_group", group, {"name": "offline geändert"})
    server.home.restore(backup)
    sync(server, a)
    sync(server, a, b)
    assert a.look() == b.look() == rows_of(server.home)
    assert b.replica.row("account_group", group).fields["name"] == "offline geändert"
    assert not a.replica.refused() and a.is_green


def test_a_restore_under_an_open_conversation_is_noticed(server, pair):
    """The next push or pull ends it; the next welcome tells why."""
    a, b = pair
    backup = server.home.dump()
    fill(a, 3)
    sync(server, a, b)
    expected = rows_of(server.home)
    server.home.restore(backup)
    a.replica.create("account_group", {"name": "danach"})
    for _ in range(4):
        server.time.pass_s(21)
        for each in (a, b):
            each.do(each.talk.timer(each.now))
        sync(server, a, b)
    assert a.look() == b.look() == rows_of(server.home)
    assert set(expected) <= set(a.look()) and len(a.look()) == 4


def test_what_was_acknowledged_after_the_last_page_is_missed_whatever_number_it_had(
    server, phone, tmp_path
):
    """A copy of this device has used its numbers since: neither they nor the cursor tell."""
    a = phone(tmp_path / "a.sqlite")
    sync(server, a)
    backup = server.home.dump()
    a.store.run("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(a.path, tmp_path / "copy.sqlite")
    (group,) = fill(a, 1)
    push_and_hear(server, a)
    assert a.replica.meta.read_seq == 0 and a.replica.pending == 0
    a.crash()
    server.home.restore(backup)
    copy = phone(tmp_path / "copy.sqlite", household=None)
    fill(copy, 2, "Kopie")
    sync(server, copy)
    sync(server, a)
    assert ("account_group", group) in rows_of(server.home)
    sync(server, a, copy)
    assert a.look() == copy.look() == rows_of(server.home) and len(a.look()) == 3


def push_and_hear(server, a) -> None:
    """Until the answer to what `a` has to send is heard, and no page."""
    count = len(server.heard)
    a.told()
    while a.link.up:
        server.take(a.link, a.link.up.popleft())
        a.hear_one()
    assert any(isinstance(each, Push | Rows) for each in server.heard[count:])


@pytest.fixture
def healed(server, phone, tmp_path):
    """Has just healed a restored server, and not yet read the page that tells it."""
    a = phone(tmp_path / "a.sqlite")
    sync(server, a)
    backup = server.home.dump()
    fill(a, 3)
    sync(server, a)
    expected = rows_of(server.home)
    a.cut()
    server.home.restore(backup)
    a.online()
    while not server.home.all_rows() or a.store.has_heal_rows():
        if a.link and a.link.up:
            server.take(a.link, a.link.up.popleft())
        elif not a.store.has_heal_rows():
            server.deliver()
        a.hear_one()
        if a.link is None:
            a.do(a.talk.asked(a.now))
    return a, backup, expected


def test_a_second_restore_right_after_healing_loses_nothing(server, healed):
    a, backup, expected = healed
    assert a.replica.meta.read_seq == 0
    a.crash()
    server.home.restore(backup)
    sync(server, a)
    assert rows_of(server.home) == expected == a.look() and a.is_green


def test_what_was_healed_goes_on_showing_until_a_page_tells_it(server, healed):
    a, _, expected = healed
    assert a.look() == expected
    pump(server, a)
    assert a.look() == expected and a.is_green
    assert a.store.heal_rows_of("account_group") == []


# --- operator and horizon -----------------------------------------------------------------------


def test_after_a_new_epoch_the_snapshot_counts_and_only_the_queue_is_sent(server, pair):
    a, b = pair
    gone, stays = fill(a, 2)
    sync(server, a, b)
    a.cut(), b.cut()
    a.replica.edit("account_group", stays, {"name": "offline"})
    imported = server.home.dump()
    del imported.rows["account_group", gone]
    server.home.restore(imported)
    server.home.new_epoch()
    sync(server, a)
    sync(server, b)
    assert a.look() == b.look() == rows_of(server.home)
    assert ("account_group", gone) not in a.look()
    assert a.replica.row("account_group", stays).fields["name"] == "offline"
    assert not [each for each in server.heard if isinstance(each, Rows)]


@pytest.fixture
def absent(server, pair):
    """B is away while A deletes a group and its tombstone is compacted; horizon for B."""
    a, b = pair
    group, other = fill(a, 2)
    sync(server, a, b)
    b.cut()
    a.replica.delete("account_group", group)
    sync(server, a)
    server.time.pass_s(91 * DAY_S)
    a.do(a.talk.timer(a.now))
    sync(server, a)
    for _ in range(2):  # A has read past it, and says so with its beat
        server.time.pass_s(20)
        a.do(a.talk.timer(a.now))
        pump(server, a)
    return a, b, group, other


def compact(server) -> None:
    with server.home.transaction():
        assert upkeep.compact(server.home, server.time.ms) == 1


def test_a_device_that_was_away_for_too_long_takes_a_snapshot(server, absent):
    """E05: rows missing from it leave the base."""
    a, b, group, _ = absent
    compact(server)
    sync(server, b)
    sync(server, a, b)
    assert ("account_group", group) not in b.look()
    assert a.look() == b.look() | {("account_group", group): a.look()["account_group", group]}
    assert b.is_green


def test_a_device_that_never_read_a_page_learns_what_was_compacted(server, phone):
    """Its base came from acks alone; the deletion was compacted while it was away."""
    a, b = phone(), phone()
    sync(server, a)
    (group,) = fill(a, 1)
    push_and_hear(server, a)
    a.cut()
    sync(server, b)
    b.replica.delete("account_group", group)
    sync(server, b)
    b.cut()
    server.time.pass_s(91 * DAY_S)
    compact(server)
    sync(server, a)
    assert a.look() == {} and a.is_green


def test_a_row_that_was_compacted_and_made_anew_shows_as_the_server_has_it(server, phone):
    """With older values than the tombstone had: B brings it back as it knew it."""
    a, b = phone(), phone()
    (group,) = fill(a, 1)
    sync(server, a, b)
    b.cut()
    server.time.pass_s(1)
    a.replica.edit("account_group", group, {"name": "neuer"})
    a.replica.delete("account_group", group)
    sync(server, a)
    server.time.pass_s(1)
    b.replica.edit("account_group", group, {"sortOrder": 7})
    let_it_be_compacted(server, a)
    a.cut()
    sync(server, b)
    assert rows_of(server.home)["account_group", group][0]["name"] == "Gruppe 0"
    a.replica.edit("account_group", group, {"image": IMAGE}, revives=True)
    sync(server, a)
    assert a.look() == rows_of(server.home)
    assert a.replica.row("account_group", group).fields["name"] == "Gruppe 0"


def test_of_a_tombstone_that_a_walk_has_told_nothing_remains_when_it_was_compacted(server, pair):
    """A walk shows nothing until it is complete, so B's person can still delete the row. By then
    the server has forgotten it, and keeps the bare fact. Found by simulation seed 700960."""
    a, b = pair
    (group,) = fill(a, 1)
    sync(server, a, b)
    server.page_limit = b.link.limit = 1
    link = b.link
    server.links.discard(link)  # nothing is told to B before all of it has happened
    a.replica.delete("account_group", group)
    for _ in range(2):
        sync(server, a)
        fill(a, 1, "danach")
    sync(server, a)
    server.links.add(link)
    for _ in range(2):  # of three pages
        server.deliver()
        while b.hear_one():
            pass
        server.take(link, link.up.popleft())
    assert b.replica.meta.is_walking
    server.links.discard(link)
    b.replica.delete("account_group", group)
    b.told()
    server.time.pass_s(91 * DAY_S)
    for _ in range(3):  # A says with its beat what it has read
        sync(server, a)
        server.time.pass_s(20)
        a.do(a.talk.timer(a.now))
        pump(server, a)
    compact(server)
    server.links.add(link)
    assert ("account_group", group) not in rows_of(server.home)
    sync(server, b)
    sync(server, a, b)
    assert set(rows_of(server.home)["account_group", group][0]) == {EXISTS}
    assert b.look() == rows_of(server.home)


def test_of_a_tombstone_that_a_broken_walk_has_told_nothing_remains_when_it_was_compacted(
    server, phone
):
    """B's walk breaks off behind a tombstone. Before it goes on, the server has compacted that,
    and C's late delete has left the bare fact. Found by simulation seed 1520508."""
    a, b, c = phone(), phone(), phone()
    (group,) = fill(a, 1)
    sync(server, a, b, c)
    b.cut(), c.cut()
    a.replica.delete("account_group", group)
    sync(server, a)
    for _ in range(2):
        fill(a, 1, "danach")
        sync(server, a)
    server.page_limit = 1
    b.online()
    while len(b.store.staged()) < 2:  # of three pages
        server.take(b.link, b.link.up.popleft())
        server.deliver()
        while b.hear_one():
            pass
    b.cut()
    server.time.pass_s(1)
    c.replica.delete("account_group", group)
    let_it_be_compacted(server, a)
    sync(server, c)
    assert set(rows_of(server.home)["account_group", group][0]) == {EXISTS}
    server.resets.clear()
    sync(server, b)
    assert not server.resets and b.look() == rows_of(server.home)


def test_a_page_that_was_read_before_an_ack_does_not_take_back_what_it_told(server, pair):
    a, b = pair
    (group,) = fill(a, 1)
    sync(server, a, b)
    b.replica.edit("account_group", group, {"sortOrder": 7})
    sync(server, b)
    server.deliver()  # the page with B's edit is on its way to A
    page = a.link.down.popleft()
    a.replica.edit("account_group", group, {"name": "neuer"})
    a.told()
    while a.link.up:
        server.take(a.link, a.link.up.popleft())
    ack = a.link.down.popleft()
    a.link.down.extend([ack, page])
    while a.link.down:
        a.hear_one()
        assert a.replica.row("account_group", group).fields["name"] == "neuer"
    assert a.replica.pending == 0
    sync(server, a, b)
    assert a.look() == b.look() == rows_of(server.home)
    assert a.replica.row("account_group", group).fields["sortOrder"] == 7


def test_what_a_server_tells_after_an_unnoticed_restore_does_not_take_newer_values_away(
    server, pair
):
    """As when a standby that lags behind takes over under open conversations."""
    a, b = pair
    (group,) = fill(a, 1)
    sync(server, a, b)
    backup = server.home.dump()
    server.deliver = lambda: False  # no page comes to A before the restore
    a.replica.edit("account_group", group, {"name": "neuer"})
    push_and_hear(server, a)
    del server.deliver
    server.home.restore(backup)
    b.replica.edit("account_group", group, {"sortOrder": 7})
    sync(server, a, b)
    assert a.replica.row("account_group", group).fields["sortOrder"] == 7
    assert a.replica.row("account_group", group).fields["name"] == "neuer"
    a.cut()
    sync(server, a, b)
    assert rows_of(server.home)["account_group", group][0]["name"] == "neuer"
    assert a.look() == b.look() == rows_of(server.home)


def test_a_late_edit_newer_than_the_horizon_brings_its_row_back_whole(server, absent):
    """E05: pending rows survive."""
    a, b, group, _ = absent
    b.replica.edit("account_group", group, {"sortOrder": 7})
    compact(server)
    sync(server, b)
    sync(server, a, b)
    row = server.home.all_rows()["account_group", group]
    assert (row.fields["name"], row.fields["sortOrder"], row.is_here) == ("Gruppe 0", 7, True)
    assert a.replica.row("account_group", group).fields["sortOrder"] == 7
    assert b.replica.pending == 0 and not b.replica.refused() and b.is_green


def test_a_late_edit_brings_its_row_back_whole_also_over_the_bare_fact_of_a_late_delete(
    server, phone
):
    """B and C were away while the row was deleted and compacted: C deleted it once more, and
    later than that B edited it. Of C's delete the server has only the bare fact."""
    a, b, c = phone(), phone(), phone()
    (group,) = fill(a, 1)
    sync(server, a, b, c)
    b.cut(), c.cut()
    a.replica.delete("account_group", group)
    let_it_be_compacted(server, a)
    c.replica.delete("account_group", group)
    server.time.pass_s(60)
    b.replica.edit("account_group", group, {"sortOrder": 7})
    sync(server, c)
    assert set(rows_of(server.home)["account_group", group][0]) == {EXISTS}
    sync(server, b)
    sync(server, a, b, c)
    row = server.home.all_rows()["account_group", group]
    assert row.is_here and (row.fields.get("name"), row.fields["sortOrder"]) == ("Gruppe 0", 7)
    assert a.look() == b.look() == c.look() == rows_of(server.home)
    assert b.replica.pending == 0 and not b.replica.refused() and b.is_green


def test_an_edit_older_than_the_horizon_is_for_its_person_to_decide(server, pair):
    a, b = pair
    (group,) = fill(a, 1)
    sync(server, a, b)
    b.cut()
    b.replica.edit("account_group", group, {"sortOrder": 7})
    server.time.pass_s(60)
    a.replica.delete("account_group", group)
    sync(server, a)
    server.time.pass_s(91 * DAY_S)
    for _ in range(3):
        sync(server, a)
        server.time.pass_s(20)
        a.do(a.talk.timer(a.now))
        pump(server, a)
    compact(server)
    sync(server, b)
    (refused,) = b.replica.refused()
    assert (refused.code, refused.fields) == ("row_missing", {"sortOrder": 7})
    assert b.look() == {}, "what the server decided shows"
    assert b.replica.pending == 0
    b.replica.edit_again(refused.local)
    sync(server, a, b)
    row = server.home.all_rows()["account_group", group]
    assert (row.fields["name"], row.fields["sortOrder"]) == ("Gruppe 0", 7)
    assert b.replica.refused() == [] and a.look() == b.look()


def test_a_discarded_edit_of_a_missing_row_leaves_nothing_behind(server, absent):
    _, b, group, _ = absent
    b.replica.edit("account_group", group, {"sortOrder": 7})
    entry = b.store.entries_in("open")[0]
    b.store.put_stamps({entry.local: "000000000001-0000-" + b.replica.meta.node})
    compact(server)
    sync(server, b)
    (refused,) = b.replica.refused()
    b.replica.discard(refused.local)
    assert b.store.base_or_kept_row(("account_group", group)) is None
    assert b.replica.refused() == []


def test_a_second_reset_does_not_make_a_device_forget_to_heal(server, phone, tmp_path):
    a = phone(tmp_path / "a.sqlite")
    sync(server, a)
    backup = server.home.dump()
    fill(a, 30)
    sync(server, a)
    expected = rows_of(server.home)
    a.cut()
    server.home.restore(backup)
    server.page_limit = 10
    fill(phone_b := phone(), 25, "B")
    sync(server, phone_b)
    a.online()
    while not a.store.staged_keys():
        if a.link.up:
            server.take(a.link, a.link.up.popleft())
        server.deliver()
        a.hear_one()
    assert a.replica.meta.reset == "restored"
    a.crash()
    phone_b.cut()
    server.home.restore(backup)  # and once more, in the middle of the snapshot
    sync(server, a)
    sync(server, a, phone_b)
    assert expected.items() <= rows_of(server.home).items()
    assert a.look() == phone_b.look() == rows_of(server.home)


def test_a_reset_that_is_over_is_not_told_again(server, pair):
    a, _ = pair
    with server.home.transaction():
        upkeep.force_reset(server.home, a.replica.meta.device, server.time.ms)
    for resets in (1, 1, 1):
        a.cut()
        sync(server, a)
        assert server.resets == resets * ["operator"]


# --- one reset right after another ------------------------------------------------------------


def only_welcomed(server, a) -> None:
    """It hears its welcome, and is gone before the first page."""
    until(server, a, lambda: a.replica.meta.reset is not None)
    a.crash()


def until(server, a, is_so) -> None:
    """Frame by frame, without any page."""
    a.online()
    for _ in range(20):
        if is_so():
            return
        if a.link is None:
            a.do(a.talk.asked(a.now))
        if a.link.up:
            server.take(a.link, a.link.up.popleft())
        a.hear_one()
    raise AssertionError("it does not come to that")


@pytest.mark.parametrize("first", ["operator", "horizon"])
def test_a_restore_after_another_reset_was_noted_is_noticed(server, phone, tmp_path, first):
    a, b = phone(tmp_path / "a.sqlite"), phone()
    sync(server, a, b)
    backup = server.home.dump()
    fill(b, 3)
    sync(server, a, b)
    expected = rows_of(server.home)
    if first == "operator":
        with server.home.transaction():
            upkeep.force_reset(server.home, a.replica.meta.device, server.time.ms)
    a.cut(), b.cut()
    if first == "horizon":
        fill(b, 1)
        sync(server, b)
        b.cut()
        later = server.home.dump()
        for seq in range(later.head.seq):
            later.transactions.pop(seq)
        server.home.restore(later)
    only_welcomed(server, a)
    assert a.replica.meta.reset == first
    server.home.restore(backup)
    sync(server, a)  # only A comes back
    assert rows_of(server.home) == expected == a.look()


def test_nothing_is_healed_in_a_life_that_began_after_the_reset_was_noted(server, phone, tmp_path):
    a = phone(tmp_path / "a.sqlite")
    sync(server, a)
    backup = server.home.dump()
    fill(a, 3)
    sync(server, a)
    a.cut()
    server.home.restore(backup)
    only_welcomed(server, a)
    assert a.replica.meta.reset == "restored"
    server.home.new_epoch()
    sync(server, a)
    assert a.look() == rows_of(server.home) == {}
    assert not [each for each in server.heard if isinstance(each, Rows)]


def test_a_device_that_has_to_start_over_while_it_heals_goes_on_healing(server, phone, tmp_path):
    a = phone(tmp_path / "a.sqlite")
    sync(server, a)
    backup = server.home.dump()
    fill(a, 3)
    sync(server, a)
    expected = rows_of(server.home)
    a.cut()
    server.home.restore(backup)
    only_welcomed(server, a)
    until(server, a, lambda: isinstance(server.heard[-1], Pull))
    with server.home.transaction():
        upkeep.force_reset(server.home, a.replica.meta.device, server.time.ms)
    a.crash()
    sync(server, a)
    assert rows_of(server.home) == expected == a.look()
    assert not server.home.device(a.replica.meta.device).is_healing
