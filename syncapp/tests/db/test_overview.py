"""What operators see of a household."""

from __future__ import annotations

import itertools
import time
import uuid
from collections import Counter
from typing import Any

import msgspec
import pytest

from syncapp import greetings, summarising, upkeep
from syncapp.core.cursor import text_to_cursor
from syncapp.core.messages import Ping
from syncapp.deliveries import BOUNDS_MS, HOUR_MS, Deliveries, add_deliveries, quantile_ms
from syncapp.light import Light, Reason
from syncapp.overview import DeviceState, Overview, read_overview
from syncapp.presence import LastWords, Newest, note_left
from syncapp.tests.household import Household, Speaker, now_ms
from tenants import summaries
from tenants.context import call_in_tenant, in_tenant
from tenants.models import Summary

SECRET = "4711.4711"


def look(household: Household, **options: Any) -> Overview:
    with in_tenant(household.id, read_only=True) as inside:
        return read_overview(inside, household.id, **options)


def state_of(household: Household, device: Speaker, **options: Any) -> DeviceState:
    return next(each for each in look(household, **options).devices if each.id == device.id)


def ping(household: Household, device: Speaker, at_ms: int | None = None, **said: Any) -> None:
    frame = Ping(cursor=device.cursor, **said)
    household.call(greetings.note_ping, device.id, device.user, frame, at_ms or now_ms())


def in_step(household: Household, name: str = "phone") -> Speaker:
    device = household.device(name)
    device.pull()
    ping(household, device)
    return device


def test_a_household_without_devices_proves_nothing(household: Household) -> None:
    found = look(household)
    assert (found.light, found.devices, found.head, found.members) == (Light.GREY, [], 0, 1)
    assert found.last_change_ms is None
    assert found.size_bytes > 8192


def test_a_device_is_green_when_it_has_said_that_it_holds_the_head(household: Household) -> None:
    device = household.device()
    device.pull()
    ping(household, device)
    assert look(household).light is Light.GREEN
    other = in_step(household, "tablet")
    other.push(other.change("create", "account_group", new(), {"name": "Bank"}))
    behind = state_of(household, device)
    assert (behind.is_behind, behind.lag_changes, behind.reason) == (True, 1, Reason.RECEIVING)
    assert look(household).light is Light.BUSY
    later = state_of(household, device, now_ms=now_ms() + 60_000)
    assert (later.light, later.reason) == (Light.AMBER, Reason.BEHIND)
    assert later.lag_ms >= 59_000


def test_what_this_process_was_told_counts_before_it_is_written(household: Household) -> None:
    device, other = in_step(household), in_step(household, "tablet")
    other.push(other.change("create", "account_group", new(), {"name": "Bank"}))
    device.pull()
    assert state_of(household, device).is_behind
    newest = {device.id: Newest(text_to_cursor(device.cursor), 0)}
    assert not state_of(household, device, newest=newest).is_behind
    ping(household, device, pending=3)
    assert state_of(household, device).pending == 3
    assert state_of(household, device, newest=newest).pending == 0
    household.call(upkeep.new_epoch, now_ms())
    other.push(other.change("create", "account_group", new(), {"name": "Depot"}))
    assert state_of(household, device, newest=newest).is_behind


def test_what_waits_on_a_device_is_shown_as_it_said_and_grows_older(household: Household) -> None:
    device = in_step(household)
    ping(household, device, pending=3, oldest_pending_ms=5_000, refused=0, parked=0)
    found = state_of(household, device, now_ms=now_ms() + 10_000)
    assert (found.pending, found.light) == (3, Light.BUSY)
    assert 15_000 <= found.pending_age_ms < 17_000
    later = state_of(household, device, now_ms=now_ms() + 40_000)
    assert (later.light, later.reason) == (Light.AMBER, Reason.STUCK)


def test_a_socket_that_ended_leaves_a_silent_device(household: Household) -> None:
    device = in_step(household)
    left(household, device, pending=0)
    found = state_of(household, device)
    assert (found.is_online, found.light, found.reason) == (False, Light.GREY, Reason.SILENT)
    device.hello()
    assert state_of(household, device).is_online


def test_the_end_of_an_older_socket_does_not_take_a_device_away_that_is_back(
    household: Household,
) -> None:
    device = in_step(household)
    left(household, device, seen_ms=now_ms() - 60_000, pending=7)
    found = state_of(household, device)
    assert (found.is_online, found.pending) == (True, 0)


def test_what_a_device_had_read_and_sent_when_it_left_is_kept(household: Household) -> None:
    device = household.device()
    device.hello(pending=2)
    other = in_step(household, "tablet")
    other.push(other.change("create", "account_group", new(), {"name": "Bank"}))
    device.pull()
    left(household, device, pending=0, refused=1)
    found = state_of(household, device)
    assert (found.read_seq, found.is_behind, found.pending, found.refused) == (1, False, 0, 1)


def test_a_device_that_starts_over_is_in_step_when_it_says_that_it_holds_the_snapshot(
    household: Household,
) -> None:
    device = in_step(household)
    device.push(device.change("create", "account_group", new(), {"name": "Bank"}))
    device.pull()
    ping(household, device)
    household.call(upkeep.force_reset, device.id, now_ms())
    assert state_of(household, device).reason is Reason.STARTING_OVER
    assert device.hello().reset == "operator"
    assert state_of(household, device).reason is Reason.STARTING_OVER
    device.cursor = None
    device.pull()
    ping(household, device)
    assert state_of(household, device).light is Light.GREEN


def test_far_behind_is_counted_up_to_a_limit(
    household: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncapp.overview.LAG_MAX_TRANSACTIONS", 2)
    device, other = in_step(household), in_step(household, "tablet")
    for name in ("Bank", "Depot", "Cash"):
        other.push(other.change("create", "account_group", new(), {"name": name}))
    found = state_of(household, device)
    assert (found.lag_changes, found.is_lag_at_least) == (2, True)


def test_changes_are_counted_by_hour(household: Household) -> None:
    device = in_step(household)
    device.push(*(device.change("create", "account_group", new(), {"name": "x"}) for _ in "123"))
    device.push(device.change("create", "account_group", new(), {"name": "y"}))
    hours = look(household).hours
    assert len(hours) == 24
    assert sum(each.changes for each in hours) == 4
    assert {later.at_ms - each.at_ms for each, later in itertools.pairwise(hours)} == {HOUR_MS}
    assert hours[-1].at_ms == now_ms() // HOUR_MS * HOUR_MS


def test_refusals_and_conflicts_are_listed_without_values(household: Household) -> None:
    phone, tablet = in_step(household), in_step(household, "tablet")
    row = new()
    phone.push(phone.change("create", "account", row, {"name": "Giro", "balance": "1"}))
    tablet.push(tablet.change("edit", "account", row, {"balance": SECRET}))
    (refused,) = phone.push(phone.change("edit", "account", row, {"iban": SECRET}))
    assert refused.fate == "refused"
    phone.settle()
    phone.push()  # the answer is forgotten, that it was a refusal is not
    found = look(household)
    (refusal,) = found.refusals
    assert (refusal.entity, refusal.row_id, refusal.field) == ("account", row, "iban")
    assert (refusal.device_id, refusal.code) == (phone.id, "iban")
    (conflict,) = found.conflicts
    assert (conflict.field, conflict.device_id) == ("balance", phone.id)
    assert conflict.by_device_id == tablet.id
    assert state_of(household, phone).conflicts == 1
    assert SECRET not in msgspec.json.encode(found).decode()


def test_a_repeated_push_does_not_repeat_its_refusal(household: Household) -> None:
    phone = in_step(household)
    bad = phone.change("create", "account", new(), {"name": "Giro", "iban": "nonsense"})
    phone.push(bad)
    phone.push(bad)
    assert len(look(household).refusals) == 1


def test_old_refusals_and_deliveries_are_forgotten_with_the_tombstones(
    household: Household,
) -> None:
    phone = in_step(household)
    phone.push(phone.change("create", "account", new(), {"name": "Giro", "iban": "nonsense"}))
    call_in_tenant(household.id, add_deliveries, household.id, Counter({(now_ms(), 0): 1}))
    household.call(upkeep.compact, now_ms() + upkeep.RETENTION_MS + 1)
    found = look(household)
    assert found.refusals == []
    assert sum(each.deliveries for each in found.hours) == 0


def test_deliveries_are_added_up_by_whoever_writes_them(household: Household) -> None:
    hour_ms = now_ms() // HOUR_MS * HOUR_MS
    for _ in range(2):  # two processes
        counts = Counter({(hour_ms, 1): 9, (hour_ms, 5): 1, (hour_ms - HOUR_MS, 0): 1})
        call_in_tenant(household.id, add_deliveries, household.id, counts)
    before, now = look(household).hours[-2:]
    assert (before.deliveries, before.median_ms) == (2, BOUNDS_MS[0])
    assert (now.deliveries, now.median_ms, now.p95_ms) == (20, BOUNDS_MS[1], BOUNDS_MS[5])


def test_only_what_was_committed_while_a_device_was_here_is_a_delivery() -> None:
    deliveries = Deliveries()
    deliveries.committed(5)
    connected_at = time.monotonic()
    deliveries.committed(6)
    assert deliveries.delivered(4, connected_at) is None  # it was catching up
    took_s = deliveries.delivered(5, connected_at)
    assert took_s is not None and 0 <= took_s <= time.monotonic() - connected_at
    assert deliveries.delivered(6, connected_at) is None
    assert sum(deliveries.take().values()) == 1
    assert not deliveries.take()


def test_the_slowest_deliveries_are_shown_as_the_last_bound() -> None:
    assert quantile_ms({}, 0.5) is None
    assert quantile_ms({len(BOUNDS_MS): 1}, 0.5) == BOUNDS_MS[-1]


# --- the list of households ------------------------------------------------------------


def test_a_summary_is_renewed_when_it_is_old(household: Household) -> None:
    in_step(household)
    Summary.objects.filter(tenant_id=household.id).delete()
    assert summarising.summarise([household.id]) == 1
    found = Summary.objects.get(tenant_id=household.id)
    assert (found.light, found.devices, found.online, found.pending) == ("green", 1, 1, 0)
    assert summarising.summarise([household.id]) == 0
    Summary.objects.filter(pk=found.pk).update(at=found.at - summaries.RENEWED_AFTER)
    assert summarising.summarise([household.id]) == 1


def test_those_that_waited_longest_are_renewed_first(households: Any) -> None:
    ours, theirs, unseen = households(), households(), households()
    ids = [ours.id, theirs.id, unseen.id]
    summarising.summarise(ids)
    Summary.objects.filter(tenant_id=unseen.id).delete()
    for household, age in ((ours, 2), (theirs, 3)):
        found = Summary.objects.get(tenant_id=household.id)
        found.at -= age * summaries.RENEWED_AFTER
        found.save()
    assert summaries.due(ids) == [unseen.id, theirs.id, ours.id]


def test_a_push_writes_no_summary(household: Household) -> None:
    """Nothing of the engine crosses a schema."""
    Summary.objects.filter(tenant_id=household.id).delete()
    device = in_step(household)
    device.push(device.change("create", "account_group", new(), {"name": "Bank"}))
    assert not Summary.objects.filter(tenant_id=household.id).exists()


def new() -> str:
    return str(uuid.uuid4())


def left(household: Household, device: Speaker, **known: Any) -> None:
    cursor = text_to_cursor(device.cursor) if device.cursor else None
    words = {"seen_ms": now_ms(), "cursor": cursor, "pending": 0, "refused": 0} | known
    call_in_tenant(household.id, note_left, household.id, LastWords(device.id, **words))
