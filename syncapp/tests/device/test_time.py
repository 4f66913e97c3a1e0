"""Clocks that are wrong by up to ten years: nothing is refused, order is kept (D06, D07)."""

from __future__ import annotations

import pytest

from syncapp.core.clock import ms_of
from syncapp.device.timekeeping import add_sample, offset_of

from .harness import rows_of, sync

YEAR_MS = 365 * 24 * 3600 * 1000


@pytest.mark.parametrize("years", [-10, -1, 1, 10])
def test_a_device_whose_clock_is_years_off_works_like_any_other(server, phone, years):
    wrong, right = phone(clock_off_ms=years * YEAR_MS), phone()
    group = wrong.replica.create("account_group", {"name": "falsche Uhr"})
    wrong.replica.edit("account_group", group, {"sortOrder": 1})
    server.time.pass_s(1)
    sync(server, wrong, right)
    assert not wrong.replica.refused() and wrong.is_green
    assert wrong.look() == right.look() == rows_of(server.home)
    # Once greeted, it stamps with the server's time: the later edit wins, whoever makes it.
    server.time.pass_s(1)
    wrong.replica.edit("account_group", group, {"name": "eins"})
    sync(server, wrong, right)
    server.time.pass_s(1)
    right.replica.edit("account_group", group, {"name": "zwei"})
    sync(server, wrong, right)
    server.time.pass_s(1)
    wrong.replica.edit("account_group", group, {"name": "drei"})
    sync(server, wrong, right)
    assert right.replica.row("account_group", group).fields["name"] == "drei"
    newest = max(right.replica.row("account_group", group).stamps.values())
    assert abs(ms_of(newest) - server.time.ms) < 1000


def test_what_was_typed_ahead_of_time_comes_down_and_keeps_its_order(server, phone):
    a = phone(clock_off_ms=YEAR_MS)
    group = a.replica.create("account_group", {"name": "eins"})
    a.replica.edit("account_group", group, {"sortOrder": 2})
    a.replica.edit("account_group", group, {"name": "zwei"})
    server.time.pass_s(5)
    a.online()
    while not a.store.entries_numbered(range(1, 9)):
        if a.link.up:
            server.take(a.link, a.link.up.popleft())
        server.deliver()
        a.hear_one()
    stamps = [each.stamp for each in a.store.entries_in("open")]
    assert stamps == sorted(stamps) and len(set(stamps)) == len(stamps)
    assert all(0 <= ms_of(stamp) - server.time.ms < 10 for stamp in stamps)
    sync(server, a)
    assert a.look() == rows_of(server.home)
    assert a.replica.row("account_group", group).fields["name"] == "zwei"


def test_a_clock_that_jumps_ahead_while_connected_is_caught_by_the_server(server, phone):
    """The ack tells the effective stamp; what is typed meanwhile stays after it."""
    a, b = phone(), phone()
    group = a.replica.create("account_group", {"name": "eins"})
    sync(server, a, b)
    a.clock_off_ms = YEAR_MS
    a.replica.edit("account_group", group, {"name": "zwei"})
    a.told()
    server.take(a.link, a.link.up.popleft())
    a.replica.edit("account_group", group, {"name": "drei"})
    sync(server, a, b)
    assert a.look() == b.look() == rows_of(server.home)
    assert b.replica.row("account_group", group).fields["name"] == "drei"
    server.time.pass_s(1)
    b.replica.edit("account_group", group, {"name": "vier"})
    sync(server, a, b)
    assert a.replica.row("account_group", group).fields["name"] == "vier"


@pytest.fixture
def behind(server, phone):
    """A phone two years behind, and a group of its that the server has just re-stamped to now: it
    is older than the newest compacted delete. The ack is under way."""
    a = phone(clock_off_ms=-2 * YEAR_MS)
    sync(server, a)

    with server.home.transaction():
        head = server.home.lock_head()
        head.horizon = f"{server.time.ms:012x}-0000-{'0' * 16}"
        server.home.write(head, server.time.ms)
    meta = a.replica.meta
    meta.offset_ms = 0  # as before it ever heard the time
    a.store.put_meta(meta)
    group = a.replica.create("account_group", {"name": "eins"})
    a.told()
    server.take(a.link, a.link.up.popleft())
    return a, group


def test_a_later_effective_stamp_lifts_what_was_typed_after_it(server, behind):
    a, group = behind
    a.replica.edit("account_group", group, {"name": "zwei"})
    a.hear_one()
    (follower,) = a.store.entries_in("open")
    assert ms_of(follower.stamp) >= server.time.ms
    sync(server, a)
    assert server.home.all_rows()["account_group", group].fields["name"] == "zwei"
    assert a.look() == rows_of(server.home)


def test_it_also_lifts_what_has_to_wait_for_a_newer_server(server, behind):
    """Found by simulation seed 1201431."""
    a, group = behind
    a.replica.edit("account_group", group, {"name": "zwei"})
    a.cut()  # the ack is lost, and meanwhile an older server has taken over
    known = server.home.entities
    older = {name: each for name, each in known.items() if name != "account_group"}
    server.home.entities = server.entities = older
    sync(server, a)
    (parked,) = a.replica.parked()
    assert ms_of(parked.stamp) >= server.time.ms
    server.home.entities = server.entities = known
    server.restart()
    sync(server, a)
    server.time.pass_s(10)
    sync(server, a)
    assert server.home.all_rows()["account_group", group].fields["name"] == "zwei"
    assert a.look() == rows_of(server.home)


def test_the_clock_never_stands_still_or_goes_back(phone):
    """D06: a wall clock that stutters or goes back an hour."""
    a = phone()
    group = a.replica.create("account_group", {"name": "0"})
    stamps = []
    for n, off in enumerate([0, 0, -3_600_000, 5, -1], start=1):
        a.clock_off_ms = off
        a.replica.edit("account_group", group, {"sortOrder": n})
        stamps.append(a.replica.row("account_group", group).stamps["sortOrder"])
    assert stamps == sorted(set(stamps))


def test_the_offset_is_the_median_of_recent_round_trips():
    samples: list[int] = []
    for round_trip in (20, 30, 800, 10):  # the server is 5 s ahead; one trip was slow
        samples = add_sample(
            samples, 1_005_000 + round_trip // 2, 1_000_000, 1_000_000 + round_trip
        )
    assert abs(offset_of(samples) - 5_000) <= 15


def test_what_was_measured_on_another_setting_of_the_clock_is_forgotten():
    samples = add_sample([5000, 5001, 5002], 2_000_000, 3_000_000, 3_000_020)
    assert offset_of(samples) == -1_000_010


@pytest.mark.parametrize("received_ms", [900, 100_000])
def test_a_clock_that_was_set_during_the_round_trip_counts_as_it_shows_now(received_ms):
    assert add_sample([7], 500, 1000, received_ms) == [500 - received_ms]
