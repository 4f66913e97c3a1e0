"""What a device's queue folds, shows, stamps and cuts (design 4.1, 4.5)."""

from __future__ import annotations

import pytest

from syncapp.core.change import EXISTS, Row
from syncapp.core.clock import NO_STAMP, Clock
from syncapp.core.messages import Result
from syncapp.core.outbox import (
    Entry,
    cut,
    fold,
    lower,
    overlay,
    restamp_ahead,
    restamp_behind,
    seen_for,
    settle,
    settled_up_to,
    size_of,
)

NODE = "00000000000000aa"
OTHER = "00000000000000bb"
NOW = 1_700_000_000_000
KEY = ("account", "22222222-2222-4222-8222-222222222222")


def at(seconds: float, node: str = NODE) -> str:
    return f"{NOW + int(seconds * 1000):012x}-0000-{node}"


def entry(local: int, kind: str, fields: dict | None = None, **more) -> Entry:
    more.setdefault("stamp", at(local))
    return Entry(local, *KEY, kind, fields=fields or {}, **more)


def base(**values) -> Row:
    fields = {**values, EXISTS: True}
    return Row(*KEY, fields, dict.fromkeys(fields, at(-10, OTHER)))


# --- folding: the nine cells (A04) -------------------------------------------------------

NAME = {"name": "Giro"}
BOTH = {"name": "Giro", "note": ""}
NEW_NAME = {"name": "Sparen"}


@pytest.mark.parametrize(
    ("earlier", "new", "goes", "kind"),
    [
        (("create", BOTH), ("create", BOTH), True, "create"),
        (("create", BOTH), ("edit", BOTH), True, "create"),
        (("create", BOTH), ("edit", NEW_NAME), False, "edit"),
        (("create", BOTH), ("delete", {}), False, "delete"),
        (("edit", NAME), ("create", BOTH), True, "create"),
        (("edit", NAME), ("edit", NEW_NAME), True, "edit"),
        (("edit", BOTH), ("edit", NEW_NAME), False, "edit"),
        (("edit", NAME), ("delete", {}), False, "delete"),
        (("edit", {}), ("delete", {}), True, "delete"),
        (("delete", {}), ("create", BOTH), True, "create"),
        (("delete", {}), ("edit", NAME), True, "edit"),
        (("delete", {}), ("delete", {}), True, "delete"),
    ],
)
def test_each_cell_of_the_folding_table(earlier, new, goes, kind):
    """A04: create, edit, delete squared."""
    first, second = entry(1, *earlier), entry(2, *new)
    folded = fold([first], second)
    assert folded.gone == ([first] if goes else [])
    assert (folded.entry.kind, folded.entry.fields, folded.entry.stamp) == (
        kind,
        second.fields,
        second.stamp,
    )


def test_an_entry_that_was_sent_is_not_altered_by_a_later_edit():
    """A05: in flight, or sent under a former identity."""
    in_flight, sent_before = (
        entry(1, "edit", NAME, number=7),
        entry(2, "edit", NAME, was_sent=True),
    )
    assert fold([in_flight, sent_before], entry(3, "edit", NEW_NAME)).gone == []


def test_parked_and_refused_entries_do_not_fold():
    parked, refused = (
        entry(1, "edit", NAME, state="parked"),
        entry(2, "edit", NAME, state="refused"),
    )
    assert fold([parked, refused], entry(3, "edit", NEW_NAME)).gone == []


def test_a_create_stays_while_an_edit_of_its_row_would_come_before_the_survivor():
    create, edit = entry(1, "create", NAME), entry(2, "edit", {"note": "x"})
    folded = fold([create, edit], entry(3, "edit", NEW_NAME))
    assert (folded.gone, folded.entry.kind) == ([], "edit")


def test_the_survivor_of_a_create_takes_over_what_the_create_had_seen():
    create = entry(1, "create", NAME, seen={EXISTS: at(-9)})
    folded = fold([create], entry(2, "edit", NEW_NAME))
    assert (folded.entry.kind, folded.entry.seen) == ("create", {EXISTS: at(-9)})


# --- overlay and seen ----------------------------------------------------------------------


def test_the_queue_lies_over_the_base():
    row = overlay(base(name="Giro", note=""), [entry(1, "edit", NEW_NAME), entry(2, "delete")])
    assert (row.fields, row.stamps["name"]) == (
        {"name": "Sparen", "note": "", EXISTS: False},
        at(1),
    )


def test_a_pulled_newer_value_shows_before_an_older_entry_is_settled():
    newer = base(name="Urlaub")
    newer.stamps["name"] = at(5, OTHER)
    assert overlay(newer, [entry(1, "edit", NAME)]).fields["name"] == "Urlaub"


def test_nothing_over_nothing_is_nothing():
    assert overlay(None, []) is None


def test_a_first_edit_names_the_stamps_of_the_base():
    seen = seen_for(base(name="Giro"), [], ["name", "note", EXISTS])
    assert seen == {"name": at(-10, OTHER), EXISTS: at(-10, OTHER)}


@pytest.mark.parametrize("number", [None, 3])
def test_on_top_of_an_own_entry_the_stamp_it_names_is_handed_on(number):
    own = entry(1, "edit", NAME, seen={"name": at(-20, OTHER)}, number=number)
    assert seen_for(base(name="x"), [own], ["name"]) == {"name": at(-20, OTHER)}


def test_an_own_entry_that_named_nothing_hands_on_nothing():
    assert seen_for(None, [entry(1, "create", NAME)], ["name", EXISTS]) == {}


def test_a_newer_value_that_covers_the_own_entry_is_what_the_author_was_shown():
    newer = base(name="Urlaub")
    newer.stamps["name"] = at(5, OTHER)
    assert seen_for(newer, [entry(1, "edit", NAME)], ["name"]) == {"name": at(5, OTHER)}


def test_a_form_that_was_open_for_long_names_what_it_showed():
    shown = {"name": at(-30, OTHER)}
    assert seen_for(base(name="x"), [], ["name"], shown) == {"name": at(-30, OTHER)}


def test_a_form_opened_on_an_own_entry_names_what_that_entry_names():
    own = entry(1, "edit", NAME, seen={"name": at(-20, OTHER)})
    assert seen_for(base(name="x"), [own], ["name"], {"name": at(1)}) == {"name": at(-20, OTHER)}


# --- stamps of what was never sent -----------------------------------------------------------


def test_entries_ahead_come_down_to_corrected_time_and_no_further():
    year = 365 * 24 * 3600
    ahead = [entry(1, "edit", NAME, stamp=at(year)), entry(2, "edit", BOTH, stamp=at(year + 1))]
    clock = Clock(NODE, at(year + 1))
    assert lower(clock, NOW)
    stamps = restamp_ahead(ahead, {}, NOW, clock)
    assert at(0) <= stamps[1] < stamps[2] < at(0.001)


def test_entries_behind_corrected_time_keep_their_stamps():
    assert restamp_ahead([entry(1, "edit", NAME, stamp=at(-5))], {}, NOW, Clock(NODE)) == {}


def test_a_restamped_entry_stays_later_than_what_its_row_carries():
    """A sent entry, or a base of somebody a few seconds ahead."""
    ahead = [entry(1, "edit", NAME, stamp=at(600))]
    clock = Clock(NODE, at(0))
    stamps = restamp_ahead(ahead, {KEY: at(4, OTHER)}, NOW, clock)
    assert at(4, OTHER) < stamps[1] < at(4.001)
    assert clock.last < at(0.001), "one row's floor does not drag every later edit along"


def test_an_entry_is_never_moved_up_by_lowering():
    ahead = [entry(1, "edit", NAME, stamp=at(3))]
    assert restamp_ahead(ahead, {KEY: at(2.9999, OTHER)}, NOW, Clock(NODE, at(0))) == {
        1: f"{NOW + 2999:012x}-0001-{NODE}"
    }
    assert restamp_ahead(ahead, {KEY: at(3, "0" * 16)}, NOW, Clock(NODE, at(0))) == {}


def test_entries_are_lifted_over_a_later_effective_stamp_in_order():
    behind = [entry(1, "edit", NAME), entry(2, "edit", BOTH), entry(3, "delete", stamp=at(90))]
    stamps = restamp_behind(behind, NO_STAMP, at(60, OTHER), NOW, Clock(NODE, at(2)))
    assert at(60, OTHER) < stamps[1] < stamps[2] < at(90)
    assert 3 not in stamps


def test_what_was_parked_before_a_restamped_change_was_made_is_not_lifted_over_it():
    waiting = [entry(1, "edit", NAME, stamp=at(-9)), entry(3, "edit", NAME, stamp=at(2))]
    stamps = restamp_behind(waiting, at(1), at(60, OTHER), NOW, Clock(NODE, at(2)))
    assert stamps.keys() == {3} and stamps[3] > at(60, OTHER)


def test_a_clock_that_is_not_ahead_is_left_alone():
    clock = Clock(NODE, at(-1))
    assert not lower(clock, NOW)
    assert clock.last == at(-1)


# --- sending -----------------------------------------------------------------------------------


def test_a_batch_ends_at_the_row_limit_or_at_the_byte_limit():
    entries = [entry(n, "edit", {"note": "x" * 100}) for n in range(1, 1001)]
    assert len(cut(entries, size_of)) == 500
    few = cut(entries, size_of, max_bytes=4096)
    assert 5 < len(few) < 40
    assert sum(size_of(each) + 1 for each in few) <= 4096


def test_one_item_larger_than_the_limit_still_travels():
    assert len(cut([entry(1, "edit", {"note": "x" * 9000})], size_of, max_bytes=4096)) == 1
    assert cut([], size_of) == []


def test_settled_numbers_are_named_up_to_the_first_open_one():
    assert settled_up_to([7, 5], next_number=9) == 4
    assert settled_up_to([], next_number=9) == 8
    assert settled_up_to([], next_number=1) == 0


# --- answers -----------------------------------------------------------------------------------


def test_an_ack_gives_the_base_the_fields_that_won_with_their_effective_stamp():
    answer = Result(1, "applied", stamp=at(50), lost=["note"])
    settled = settle(entry(1, "edit", BOTH, number=1), answer, None)
    assert settled.won == Row(
        *KEY, {"name": "Giro", EXISTS: True}, dict.fromkeys(["name", EXISTS], at(50))
    )
    assert (settled.effective, settled.remains, settled.healing) == (at(50), None, None)


def test_unknown_fields_are_parked_under_the_stamp_the_server_gave_them():
    """N02: an older parked value never beats a newer one."""
    sent = entry(1, "create", {"name": "Giro", "colour": "red"}, number=1, stamp=at(9999))
    settled = settle(sent, Result(1, "applied", stamp=at(1), unknown=["colour"]), None)
    parked = settled.remains
    assert (parked.kind, parked.fields, parked.stamp) == ("edit", {"colour": "red"}, at(1))
    assert (parked.state, parked.number, parked.was_sent) == ("parked", None, True)
    assert "colour" not in settled.won.fields


def test_a_change_of_an_unknown_kind_of_row_is_parked_whole():
    sent = entry(1, "create", NAME, number=1)
    parked = settle(sent, Result(1, "refused", code="unknown", message="Not yet."), None).remains
    assert (parked.state, parked.kind, parked.fields, parked.stamp) == (
        "parked",
        "create",
        NAME,
        sent.stamp,
    )


def test_a_refusal_stays_with_its_reason():
    answer = Result(1, "refused", code="iban", field="iban", message="Check the IBAN.")
    refused = settle(entry(1, "edit", NAME, number=1), answer, None).remains
    assert (refused.state, refused.code, refused.field, refused.message, refused.number) == (
        "refused",
        "iban",
        "iban",
        "Check the IBAN.",
        None,
    )


def test_an_edit_newer_than_the_horizon_brings_its_missing_row_back_whole():
    answer = Result(1, "refused", code="row_missing", horizon=at(0))
    settled = settle(entry(1, "edit", NAME, number=1), answer, base(name="x", note="n"))
    assert settled.healing.fields == {"name": "Giro", "note": "n", EXISTS: True}
    assert (settled.remains.state, settled.remains.number) == ("healing", None)


@pytest.mark.parametrize("row", [None, base(name="x")])
def test_otherwise_a_missing_row_is_for_its_person_to_decide(row):
    horizon = at(0) if row is None else at(2)
    answer = Result(1, "refused", code="row_missing", horizon=horizon)
    assert settle(entry(1, "edit", NAME, number=1), answer, row).remains.state == "refused"
