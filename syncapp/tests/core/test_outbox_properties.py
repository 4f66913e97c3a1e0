"""Whatever is typed: folding changes nothing that the server ends with, stamps keep order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some

from syncapp import engine, greetings
from syncapp.core.change import EXISTS, Row
from syncapp.core.clock import NO_STAMP, Clock, ms_of, node_of
from syncapp.core.entity import Field
from syncapp.core.merge import merge
from syncapp.core.messages import Hello, Push
from syncapp.core.outbox import (
    Entry,
    fold,
    lower,
    newest_of,
    overlay,
    restamp_ahead,
    restamp_behind,
    seen_for,
    to_change,
)
from syncapp.tests.simulation.household import entity
from syncapp.tests.simulation.memory import MemoryRepository

NOW = 1_700_000_000_000
USER = "11111111-1111-4111-8111-111111111111"
PHONE = "22222222-2222-4222-8222-222222222222"
ROWS = ["33333333-3333-4333-8333-333333333333", "44444444-4444-4444-8444-444444444444"]
NODE, OTHER = "00000000000000aa", "00000000000000bb"

ENTITIES = {
    "thing": entity(
        "thing", Field("a", "int", 0), Field("b", "int", 0), Field("c", "int", is_required=True)
    )
}
VALUES = {"a": some.integers(0, 2), "b": some.integers(0, 2), "c": some.integers(0, 2)}
WHOLE = some.fixed_dictionaries(VALUES)  # a device fills a create with all fields
PART = some.fixed_dictionaries({}, optional=VALUES)

acts = some.lists(
    some.tuples(some.sampled_from(["create", "edit", "edit", "delete"]), WHOLE, PART),
    min_size=1,
    max_size=8,
)
bases = some.none() | some.tuples(WHOLE, some.booleans())


def make_base(base) -> Row | None:
    if base is None:
        return None
    fields, is_here = base
    fields = {**fields, EXISTS: is_here}
    return Row("thing", ROWS[0], fields, dict.fromkeys(fields, f"{NOW:012x}-0000-{OTHER}"))


def type_in(base: Row | None, script, *, folds: bool) -> list[Entry]:
    """Queue what a person does, as a device would: a create only where no row is."""
    queue: list[Entry] = []
    for n, (kind, whole, part) in enumerate(script, start=1):
        row = overlay(base, queue)
        if row is None and kind != "create":
            continue
        fields = {"create": whole, "edit": part, "delete": {}}[kind]
        stamp = f"{NOW + n:012x}-0000-{NODE}"
        new = Entry(n, "thing", ROWS[0], kind, stamp, fields)
        new.seen = seen_for(base, queue, new.written)
        folded = fold(queue, new) if folds else None
        if folded:
            queue = [each for each in queue if each not in folded.gone]
            new = folded.entry
        queue.append(new)
    return queue


def server_after(base: Row | None, queue: list[Entry], unseen: Row | None = None):
    household = MemoryRepository(ENTITIES, USER, epoch="0" * 32)
    with household.transaction():
        head = household.lock_head()
        stored = merge(base, unseen) if unseen else base
        if stored is not None:
            household.write(head, NOW, is_new_seq=True, rows=[stored])
        greetings.greet(household, Hello(device=PHONE, node=NODE), USER, NOW)
    changes = [to_change(each, n) for n, each in enumerate(queue, start=1)]
    with household.transaction():
        outcome = engine.apply_push(household, PHONE, USER, Push(changes=changes), NOW)
    refused = [each.code for each in outcome.ack.results if each.fate == "refused"]
    rows = household.all_rows()
    # Values of somebody else that were overruled unseen. Not existence: it has two values
    # only, and an intermediate entry that repeats the other's takes it over silently.
    overruled = {
        (each.field, each.losing_stamp)
        for each in household.all_conflicts()
        if node_of(each.losing_stamp) == OTHER and each.field != EXISTS
    }
    return rows, refused, overruled


def written_meanwhile(fields: dict, is_here: bool, n: int) -> Row:
    fields = {**fields, EXISTS: is_here}
    return Row("thing", ROWS[0], fields, dict.fromkeys(fields, f"{NOW + n:012x}-0001-{OTHER}"))


# Values that the device never types: an equal one is taken over without a conflict.
THEIRS = some.fixed_dictionaries(dict.fromkeys(VALUES, some.integers(7, 9)))
meanwhile = some.none() | some.builds(
    written_meanwhile, THEIRS, some.booleans(), some.integers(0, 9)
)


@settings(deadline=None)  # the real engine, twice
@given(bases, acts, meanwhile)
def test_the_server_ends_the_same_whether_folded_or_unfolded_entries_are_sent(base, script, unseen):
    """A04, also with somebody else's change that the device has not pulled yet."""
    stored = make_base(base)
    unfolded = type_in(stored, script, folds=False)
    folded = type_in(stored, script, folds=True)
    assert len(folded) <= len(unfolded)
    assert server_after(stored, folded, unseen) == server_after(stored, unfolded, unseen)


@given(bases, acts)
def test_folding_does_not_change_what_the_eye_sees(base, script):
    stored = make_base(base)
    assert overlay(stored, type_in(stored, script, folds=True)) == overlay(
        stored, type_in(stored, script, folds=False)
    )


@given(bases, acts)
def test_what_the_eye_sees_is_what_the_server_will_have(base, script):
    stored = make_base(base)
    queue = type_in(stored, script, folds=True)
    if not queue:
        return
    rows, refused, _ = server_after(stored, queue)
    assert refused == []
    assert overlay(stored, queue) == rows["thing", ROWS[0]]


@given(bases, acts, some.permutations(range(8)))
def test_the_overlay_does_not_depend_on_the_order_of_the_queue(base, script, order):
    """It is a merge by stamps."""
    stored = make_base(base)
    queue = type_in(stored, script, folds=True)
    shuffled = [queue[n] for n in order if n < len(queue)]
    assert overlay(stored, shuffled) == overlay(stored, queue)


offsets = some.integers(-3, 3) | some.integers(-(10**11), 3 * 10**11)
typed = some.lists(some.tuples(some.sampled_from(ROWS), offsets, some.booleans()), max_size=12)


def queue_of(typed) -> list[Entry]:
    """Entries as a device makes them under a wandering wall clock; sent ones first."""
    clock, queue = Clock(NODE), []
    for n, (row_id, offset, _) in enumerate(typed, start=1):
        stamp = clock.tick(NOW + offset, newest_of(None, [e for e in queue if e.row_id == row_id]))
        queue.append(Entry(n, "thing", row_id, "edit", stamp, {"a": n}))
    for each in queue[: sum(1 for *_, is_sent in typed if is_sent)]:
        each.number = each.local
    return queue


@given(typed, some.integers(0, 5000))
def test_lowering_keeps_the_order_of_a_rows_changes_and_goes_no_further_than_now(typed, ahead_ms):
    queue = queue_of(typed)
    clock = Clock(NODE, max((each.stamp for each in queue), default=""))
    lower(clock, NOW)
    sent = {
        row: newest_of(None, [e for e in queue if e.row_id == row and e.number]) for row in ROWS
    }
    foreign = f"{NOW + ahead_ms:012x}-0007-{OTHER}"  # a row whose base is a little ahead
    floors = {("thing", ROWS[0]): max(sent[ROWS[0]], foreign), ("thing", ROWS[1]): sent[ROWS[1]]}
    unsent = [each for each in queue if each.was_never_sent]
    stamps = restamp_ahead(unsent, floors, NOW, clock)
    for row_id in ROWS:
        mine = [each for each in unsent if each.row_id == row_id]
        after = [stamps.get(each.local, each.stamp) for each in mine]
        assert after == sorted(after) and len(set(after)) == len(after)
        for entry, stamp in zip(mine, after, strict=True):
            assert stamp <= entry.stamp
            if stamp != entry.stamp:
                assert ms_of(stamp) >= NOW and stamp > floors["thing", row_id]
            elif ms_of(stamp) > NOW:
                assert floors["thing", row_id] >= f"{NOW:012x}", "nothing lower was free"


@given(typed, offsets)
def test_lifting_keeps_the_order_of_a_rows_changes(typed, offset):
    mine = [each for each in queue_of(typed) if each.row_id == ROWS[0]]
    effective = f"{NOW + offset:012x}-0003-{OTHER}"
    stamps = restamp_behind(mine, NO_STAMP, effective, NOW, Clock(NODE))
    after = [stamps.get(each.local, each.stamp) for each in mine]
    assert after == sorted(after) and len(set(after)) == len(after)
    assert all(stamp > effective for stamp in after)


@given(bases, acts)
def test_merging_an_entry_twice_is_merging_it_once(base, script):
    stored = make_base(base)
    queue = type_in(stored, script, folds=True)
    once = overlay(stored, queue)
    if once is not None:
        assert overlay(once, queue) == once == merge(stored, once)
