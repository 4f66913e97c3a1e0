"""Devices of one household and the real engine: what is typed anywhere is soon everywhere."""

from __future__ import annotations

import pytest

from syncapp.core.messages import Pull, Push

from .harness import pump, rows_of, sync


@pytest.fixture
def pair(server, phone):
    a, b = phone(), phone()
    sync(server, a, b)
    return a, b


def test_what_one_device_types_another_sees(server, pair):
    a, b = pair
    group = a.replica.create("account_group", {"name": "Girokonten"})
    a.replica.create("account", {"name": "Giro", "accountGroupId": group, "balance": "12.50"})
    sync(server, a, b)
    assert a.look() == b.look() == rows_of(server.home)
    assert a.is_green and b.is_green
    (account,) = b.replica.rows("account")
    assert (account.fields["balance"], account.fields["isActive"]) == ("12.5", True)


def test_edit_and_delete_made_apart_meet_and_the_conflict_is_told(server, pair):
    """E02: the later one counts everywhere, and who lost takes his back."""
    a, b = pair
    group = a.replica.create("account_group", {"name": "Girokonten"})
    sync(server, a, b)
    a.cut(), b.cut()
    b.replica.edit("account_group", group, {"name": "Sparen"})
    server.time.pass_s(60)
    a.replica.delete("account_group", group)
    sync(server, a, b)
    sync(server, a, b)
    assert a.look() == b.look() == rows_of(server.home)
    assert not a.replica.rows("account_group")
    (conflict,) = b.replica.conflicts()
    assert (conflict.field, conflict.winning_value, conflict.losing_value, conflict.is_mine) == (
        "exists",
        False,
        True,
        True,
    )
    assert [each.is_mine for each in a.replica.conflicts()] == [False]
    b.replica.use_mine(conflict.id)
    sync(server, a, b)
    assert a.replica.row("account_group", group).fields["name"] == "Sparen"
    assert a.replica.rows("account_group") and not a.replica.conflicts()


def test_a_row_that_was_deleted_is_made_again_under_its_id(server, pair):
    """E03: on another device; the tombstone that lies there does not end it."""
    a, b = pair
    group = a.replica.create("account_group", {"name": "Girokonten", "sortOrder": 7})
    sync(server, a, b)
    a.replica.delete("account_group", group)
    sync(server, a, b)
    b.replica.create("account_group", {"name": "wieder da"}, group)
    sync(server, a, b)
    assert a.look() == b.look() == rows_of(server.home)
    (row,) = a.replica.rows("account_group")
    assert (row.id, row.fields["name"], row.fields["sortOrder"]) == (group, "wieder da", 0)


def test_what_is_made_and_deleted_offline_leaves_one_tombstone(server, pair):
    """E04"""
    a, b = pair
    a.cut()
    group = a.replica.create("account_group", {"name": "Versehen"})
    account = a.replica.create("account", {"name": "Giro", "accountGroupId": group})
    a.replica.edit("account", account, {"name": "Konto"})
    for key in (("account", account), ("account_group", group)):
        a.replica.delete(*key)
    assert a.replica.rows("account") == a.replica.rows("account_group") == []
    sync(server, a, b)
    assert a.look() == b.look() == rows_of(server.home)
    assert {key: row[0]["exists"] for key, row in b.look().items()} == {
        ("account", account): False,
        ("account_group", group): False,
    }
    assert a.is_green and b.is_green and not a.replica.conflicts()


def test_a_dismissed_conflict_is_not_shown_again(server, pair):
    a, b = pair
    group = a.replica.create("account_group", {"name": "Girokonten"})
    sync(server, a, b)
    a.cut(), b.cut()
    a.replica.edit("account_group", group, {"name": "Sparen"})
    server.time.pass_s(1)
    b.replica.edit("account_group", group, {"name": "Urlaub"})
    sync(server, a, b)
    (conflict,) = a.replica.conflicts()
    assert (conflict.winning_value, conflict.losing_value) == ("Urlaub", "Sparen")
    a.replica.dismiss(conflict.id)
    a.crash()
    sync(server, a)
    assert a.replica.conflicts() == []


def test_a_long_walk_is_shown_when_it_is_complete(server, phone):
    """C05: all or nothing at each cursor where `more` is false."""
    a, b = phone(), phone()
    for n in range(25):
        a.replica.create("account_group", {"name": f"Gruppe {n}"})
    sync(server, a)
    server.page_limit = 10
    b.online()
    seen = set()
    for _ in range(200):
        pump_one(server, b)
        seen.add(len(b.replica.rows("account_group")))
    assert seen == {0, 25}
    assert b.look() == a.look() and b.is_green


def pump_one(server, phone) -> None:
    if phone.link and phone.link.up:
        server.take(phone.link, phone.link.up.popleft())
    server.deliver()
    phone.hear_one()


def test_a_week_offline_is_flushed_in_batches(server, phone):
    """A08."""
    a = phone()
    with a.store.transaction():
        for n in range(1203):
            a.replica.create("account_group", {"name": f"Gruppe {n}"})
    sync(server, a)
    sizes = [len(each.changes) for each in server.heard if hasattr(each, "changes")]
    assert sizes == [500, 500, 203]
    assert a.look() == rows_of(server.home) and a.is_green


def test_a_later_edit_is_not_settled_by_the_ack_of_an_earlier_one(server, pair):
    """A05."""
    a, _ = pair
    group = a.replica.create("account_group", {"name": "eins"})
    a.told()
    server.take(a.link, a.link.up.popleft())  # the push is with the server
    a.replica.edit("account_group", group, {"name": "zwei"})
    assert [each.fields.get("name") for each in a.store.entries_in("open")] == ["eins", "zwei"]
    a.hear_one()  # the ack of the first
    (entry,) = a.store.entries_in("open")
    assert (entry.fields, a.replica.row("account_group", group).fields["name"]) == (
        {"name": "zwei"},
        "zwei",
    )
    pump(server, a)
    assert server.home.all_rows()["account_group", group].fields["name"] == "zwei"


def test_an_answer_that_was_lost_is_given_again(server, phone, tmp_path):
    """A06, B03: killed between the server's commit and the settling of the answer."""
    a = phone(tmp_path / "a.sqlite")
    sync(server, a)
    group = a.replica.create("account_group", {"name": "Giro"})
    a.told()
    server.take(a.link, a.link.up.popleft())
    before = rows_of(server.home), server.home.read_head().seq
    a.crash()
    assert [each.number for each in a.store.entries_in("open")] == [1]
    sync(server, a)
    assert (rows_of(server.home), server.home.read_head().seq) == before
    assert a.look() == rows_of(server.home) and a.is_green
    assert a.replica.row("account_group", group).fields["name"] == "Giro"


def test_an_empty_answer_writes_nothing(server, phone, tmp_path):
    """G12: no battery is spent on it."""
    a = phone(tmp_path / "a.sqlite")
    sync(server, a)
    watcher = phone(tmp_path / "a.sqlite")
    before = watcher.store.writes_of_others
    a.do(a.talk.asked(a.now))
    pump(server, a)
    assert watcher.store.writes_of_others == before


def test_lost_news_is_made_up_for_by_the_heartbeat(server, pair):
    """H01."""
    a, b = pair
    b.link.has_pulled = False  # the server forgets to tell it
    b.link.has_news = True
    a.replica.create("account_group", {"name": "Giro"})
    sync(server, a)
    assert not b.replica.rows("account_group")
    server.time.pass_s(20)
    b.do(b.talk.timer(b.now))
    pump(server, a, b)
    assert len(b.replica.rows("account_group")) == 1


def test_a_sync_request_is_reported_when_all_is_sent(server, pair):
    a, _ = pair
    a.replica.create("account_group", {"name": "Giro"})
    request = "cccccccc-0000-4000-8000-000000000001"
    server.ask_for_sync(request)
    pump(server, a)
    (report,) = server.reports
    assert (report.id, report.outcome, report.sent, report.pending) == (request, "done", 1, 0)


def test_writes_by_hand_arrive(server, pair):
    a, b = pair
    group = a.replica.create("account_group", {"name": "Giro"})
    sync(server, a, b)
    server.home.write_by_hand("account_group", group, server.time.ms, {"name": "psql"})
    pump(server, a, b)
    assert [x.replica.row("account_group", group).fields["name"] for x in (a, b)] == ["psql"] * 2


@pytest.mark.parametrize("code", [1009, 4413])
def test_frames_that_are_too_large_for_somebody_on_the_way_become_smaller(server, phone, code):
    a = phone()
    for n in range(300):
        a.replica.create("account", {"name": f"Konto {n}", "note": "x" * 2000})

    def proxy(link) -> bool:
        """Takes at most 100 KiB."""
        if link is None or not link.up or len(link.up[0]) < 100 * 1024:
            return False
        link.up.clear()
        link.close(code)
        return True

    for _ in range(40):
        a.online()
        for _ in range(20):
            if not proxy(a.link):
                if a.link and a.link.up:
                    server.take(a.link, a.link.up.popleft())
                server.deliver()
            a.hear_one()
    sync(server, a)
    assert a.replica.pending == 0 and len(server.home.all_rows()) == 300


CONNECTION_CARRIES = 24_000  # bytes from the device: some of what waits, by far not all


def carry(server, phone) -> bool:
    """One connection, which breaks when the device has said so much. Returns whether it did."""
    phone.online()
    said = 0
    while phone.link is not None:
        if not phone.link.up:
            if not (server.deliver() | phone.hear_one()):
                return False
            continue
        said += len(phone.link.up[0].encode())
        if said > CONNECTION_CARRIES:
            phone.cut()
            return True
        server.take(phone.link, phone.link.up.popleft())
    return False


def test_what_no_single_connection_can_carry_arrives_in_portions(server, phone):
    """A push that is cut off each time is not tried in the same size for ever."""
    a = phone()
    sync(server, a)
    for n in range(300):
        a.replica.create("account", {"name": f"Konto {n}"})
    a.cut()
    cuts = 0
    while carry(server, a):
        cuts += 1
        assert cuts < 50, f"{a.replica.pending} still wait"
    assert cuts > 3 and a.replica.pending == 0
    assert len(server.home.all_rows()) == 300 and a.is_green


def test_after_a_connection_broke_frames_grow_again_as_they_get_through(server, phone):
    a, b = phone(), phone()
    sync(server, a, b)
    for each in (a, b):
        each.cut()
    for n in range(1500):
        a.replica.create("account", {"name": f"Konto {n}"})
    a.online()
    while not any('"type":"push"' in text for text in a.link.up):
        server.take(a.link, a.link.up.popleft())
        server.deliver()
        while a.hear_one():
            pass
    a.cut()
    server.heard.clear()
    sync(server, a)
    sizes = [len(each.changes) for each in server.heard if isinstance(each, Push) and each.changes]
    assert sizes[0] == 125 and sizes[:-1] == sorted(sizes[:-1]) and max(sizes) == 500
    assert sum(sizes) == 1500
    assert a.is_green


def test_a_page_that_did_not_get_through_is_asked_for_in_smaller_ones(server, phone):
    a, b = phone(), phone()
    for n in range(600):
        a.replica.create("account", {"name": f"Konto {n}"})
    sync(server, a)
    b.online()
    while b.link.up:
        server.take(b.link, b.link.up.popleft())
        while b.hear_one():
            pass
    b.cut()  # its page was on the way
    server.heard.clear()
    sync(server, b)
    limits = [each.limit for each in server.heard if isinstance(each, Pull)]
    assert limits[0] == 125 and limits == sorted(limits)
    assert b.look() == rows_of(server.home)
