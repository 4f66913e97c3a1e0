"""A push on a real PostgreSQL: fates, repeats, conflicts, refusals."""

from __future__ import annotations

import unicodedata
import uuid

import pytest

from syncapp import engine, upkeep
from syncapp.core.clock import SERVER_NODE, ms_of, next_stamp, node_of
from syncapp.core.errors import Forbidden, NotYours, Restarting
from syncapp.repository import remove_member, set_member
from syncapp.tests.household import Household, now_ms

DAY_MS = 86_400_000


def a_group(speaker, name="Girokonten", row_id=None):
    return speaker.change("create", "account_group", row_id or str(uuid.uuid4()), {"name": name})


def test_a_created_row_comes_back_whole_with_defaults_and_one_stamp(household: Household):
    phone = household.device()
    change = phone.change(
        "create", "account", str(uuid.uuid4()), {"name": "Giro", "balance": "12.50"}
    )
    [result] = phone.push(change)
    assert result.fate == "applied"
    row = household.rows()["account", change.id]
    assert row.fields["balance"] == "12.5"
    assert row.fields["accountType"] == "giro"
    assert row.fields["accountGroupId"] is None
    assert row.fields["exists"] is True
    assert set(row.stamps.values()) == {change.stamp}


def test_b01_the_same_push_twice_has_one_effect_and_the_same_answer(household: Household):
    """B01"""
    phone = household.device()
    change = a_group(phone)
    first = phone.outcome(change)
    second = phone.outcome(change)
    assert second.ack == first.ack
    assert (first.seq, second.seq) == (1, None)
    assert household.head().seq == 1


def test_a_number_that_was_acknowledged_is_answered_settled_without_effect(household: Household):
    phone = household.device()
    phone.push(a_group(phone, row_id=(row_id := str(uuid.uuid4()))))
    phone.settle()
    phone.push(phone.change("edit", "account_group", row_id, {"name": "B"}))
    old = phone.change("edit", "account_group", row_id, {"name": "C"})
    old.number = 1
    [result] = phone.push(old)
    assert result.fate == "settled"
    assert household.rows()["account_group", row_id].fields["name"] == "B"


def test_b11_a_push_that_is_repeated_after_a_hundred_days_has_one_effect(household: Household):
    """B11: the answer is kept until its device has settled it; and a clock that was a year ahead
    is no reason to win over what was written meanwhile."""
    phone, laptop = household.device("phone"), household.device("laptop")
    ahead = next_stamp("", now_ms() + 365 * DAY_MS, phone.node)
    create = phone.change("create", "account_group", str(uuid.uuid4()), {"name": "A"}, stamp=ahead)
    first = phone.outcome(create)  # and its answer is lost
    later = now_ms() + 100 * DAY_MS
    laptop.clock.observe([first.ack.results[0].stamp])
    laptop.push(laptop.change("edit", "account_group", create.id, {"name": "B"}))
    household.call(upkeep.compact, later)
    repeated = phone.outcome(create, at_ms=later)
    assert repeated.ack.results == first.ack.results and repeated.seq is None
    assert household.rows()["account_group", create.id].fields["name"] == "B"


def test_d12_what_is_typed_in_the_admin_wins_over_an_older_edit_that_comes_late(household):
    """D12: and who typed that is told."""
    phone = household.device()
    phone.push(row := a_group(phone))
    edit = phone.change("edit", "account_group", row.id, {"name": "phone"}, {"name": row.stamp})
    later = now_ms() + 1_000
    household.call(engine.edit, "account_group", row.id, "edit", {"name": "admin"}, later)
    [result] = phone.push(edit)
    assert (result.fate, result.lost) == ("superseded", ["name", "exists"])
    rows = household.rows()
    assert rows["account_group", row.id].fields["name"] == "admin"
    [conflict] = [each.fields for key, each in rows.items() if key[0] == "conflict"]
    assert (conflict["winningValue"], conflict["losingValue"]) == ("admin", "phone")
    assert (conflict["winningDevice"], conflict["losingDevice"]) == (None, phone.id)


def test_d13_an_equal_value_is_no_conflict_and_beats_what_was_written_before_and_comes_late(
    household,
):
    """D13: its stamp moves; told once more it takes no seq."""
    phone, laptop, tablet = (household.device(name) for name in ("phone", "laptop", "tablet"))
    phone.push(row := a_group(phone, "Giro"))
    key, seen = ("account_group", row.id), {"name": row.stamp}
    before = next_stamp(row.stamp, now_ms(), laptop.node)
    late = laptop.change("edit", *key, {"name": "Bar"}, seen, before)
    after = next_stamp(before, now_ms(), tablet.node)
    same = tablet.change("edit", *key, {"name": "Giro"}, {}, after)
    [result] = tablet.push(same)
    assert (result.fate, result.lost) == ("applied", [])
    assert household.rows()[key].stamps["name"] == after
    assert [each for each in household.rows() if each[0] == "conflict"] == []
    head = household.head()
    same.number += 1  # as a copy of the device would, and an old app
    assert tablet.outcome(same).seq is None and household.head().seq == head.seq
    [result] = laptop.push(late)
    assert (result.fate, result.lost) == ("superseded", ["name", "exists"])
    rows = household.rows()
    assert (rows[key].fields["name"], rows[key].stamps["name"]) == ("Giro", after)
    [conflict] = [each.fields for each in rows.values() if each.entity == "conflict"]
    assert (conflict["winningValue"], conflict["losingValue"]) == ("Giro", "Bar")


def test_f07_a_reference_to_a_row_that_the_same_push_deletes_is_kept(household):
    """F07"""
    phone = household.device()
    group = a_group(phone)
    account = {"name": "Giro", "accountGroupId": group.id}
    create = phone.change("create", "account", str(uuid.uuid4()), account)
    results = phone.push(group, phone.change("delete", "account_group", group.id), create)
    assert [each.fate for each in results] == ["applied"] * 3
    rows = household.rows()
    assert rows["account_group", group.id].fields["exists"] is False
    assert rows["account", create.id].fields["accountGroupId"] == group.id


@pytest.mark.parametrize("text", ["\U0001f600" * 120, "\u202eoriG " + "x" * 114, "e\u0301" * 120])
def test_o06_text_is_stored_up_to_its_limit_in_characters(household, text):
    """O06: however many bytes, in whatever direction; one more is refused by its field's name."""
    phone = household.device()
    fits, too_long = a_group(phone, text), a_group(phone, text + "x")
    results = phone.push(fits, too_long)
    assert [(each.fate, each.code, each.field) for each in results] == [
        ("applied", "", ""),
        ("refused", "too_long", "name"),
    ]
    stored = household.rows()["account_group", fits.id].fields["name"]
    assert stored == unicodedata.normalize("NFC", text) and len(stored) == 120


def test_the_same_number_with_another_stamp_is_a_clone_and_settled_without_effect(household):
    phone = household.device()
    phone.push(first := a_group(phone))
    phone.number = 0
    [result] = phone.push(phone.change("edit", "account_group", first.id, {"name": "clone"}))
    assert result.fate == "settled"
    assert household.rows()["account_group", first.id].fields["name"] == "Girokonten"


def test_d01_edits_of_different_fields_are_both_kept(household: Household):
    """D01"""
    phone, laptop = household.device("phone"), household.device("laptop")
    phone.push(row := a_group(phone))
    seen = dict.fromkeys(("name", "sortOrder", "exists"), row.stamp)
    phone.push(phone.change("edit", "account_group", row.id, {"name": "A"}, seen))
    laptop.push(laptop.change("edit", "account_group", row.id, {"sortOrder": 7}, seen))
    fields = household.rows()["account_group", row.id].fields
    assert (fields["name"], fields["sortOrder"]) == ("A", 7)
    assert not [key for key in household.rows() if key[0] == "conflict"]


@pytest.mark.parametrize("is_later_first", [False, True])
def test_d02_the_later_rename_wins_whatever_the_arrival_order(household, is_later_first):
    """D02: and the loser is told, with both values."""
    phone, laptop = household.device("phone"), household.device("laptop")
    phone.push(row := a_group(phone))
    seen = {"name": row.stamp, "exists": row.stamp}
    earlier = phone.change("edit", "account_group", row.id, {"name": "early"}, seen)
    laptop.clock.observe([earlier.stamp])
    later = laptop.change("edit", "account_group", row.id, {"name": "late"}, seen)
    order = (
        [(laptop, later), (phone, earlier)]
        if is_later_first
        else [(phone, earlier), (laptop, later)]
    )
    results = [speaker.push(change)[0] for speaker, change in order]
    assert household.rows()["account_group", row.id].fields["name"] == "late"
    [conflict] = [row for key, row in household.rows().items() if key[0] == "conflict"]
    assert conflict.fields["winningValue"] == "late"
    assert conflict.fields["losingValue"] == "early"
    assert conflict.fields["losingDevice"] == phone.id
    assert conflict.fields["winningStamp"] == later.stamp
    if is_later_first:
        assert results[1].lost == ["name", "exists"]


def test_an_edit_of_a_deleted_row_revives_it_when_newer_and_is_told_when_older(household):
    phone, laptop = household.device("phone"), household.device("laptop")
    phone.push(row := a_group(phone))
    seen = {"name": row.stamp, "exists": row.stamp}
    edit = laptop.change("edit", "account_group", row.id, {"name": "B"}, seen)
    phone.clock.observe([edit.stamp])
    phone.push(phone.change("delete", "account_group", row.id, seen={"exists": row.stamp}))
    [result] = laptop.push(edit)
    state = household.rows()["account_group", row.id]
    assert result.fate == "applied" and result.lost == ["exists"]
    assert state.fields["exists"] is False and state.fields["name"] == "B"
    revival = laptop.change("edit", "account_group", row.id, {"name": "C"}, state.stamps)
    laptop.push(revival)
    assert household.rows()["account_group", row.id].fields["exists"] is True
    conflicts = [each for key, each in household.rows().items() if key[0] == "conflict"]
    assert [each.fields["field"] for each in conflicts] == ["exists"]


def test_a_change_ten_years_ahead_is_restamped_to_now_and_a_normal_edit_wins_after_it(household):
    """D08"""
    phone, laptop = household.device("phone"), household.device("laptop")
    phone.push(row := a_group(phone))
    ahead = next_stamp("", now_ms() + 10 * 365 * 86_400_000, phone.node)
    [result] = phone.push(
        phone.change("edit", "account_group", row.id, {"name": "future"}, stamp=ahead)
    )
    assert result.fate == "applied"
    assert abs(ms_of(result.stamp) - now_ms()) < 60_000 and node_of(result.stamp) == phone.node
    highest = "ffffffffffff-ffff-" + phone.node
    [result] = phone.push(
        phone.change("edit", "account_group", row.id, {"name": "end"}, stamp=highest)
    )
    assert ms_of(result.stamp) < now_ms() + 60_000
    laptop.clock.observe([result.stamp])
    laptop.push(laptop.change("edit", "account_group", row.id, {"name": "now"}))
    assert household.rows()["account_group", row.id].fields["name"] == "now"


def test_restamping_keeps_a_devices_changes_to_one_row_in_order(household: Household):
    phone = household.device()
    at = now_ms()
    row_id = str(uuid.uuid4())
    changes = [
        phone.change(
            "create",
            "account_group",
            row_id,
            {"name": "1"},
            stamp=next_stamp("", at + 4_900, phone.node),
        ),
        phone.change(
            "edit",
            "account_group",
            row_id,
            {"name": "2"},
            stamp=next_stamp("", at + 5_100, phone.node),
        ),
        phone.change(
            "edit",
            "account_group",
            row_id,
            {"name": "3"},
            stamp=next_stamp("", at + 9_000, phone.node),
        ),
    ]
    results = phone.push(*changes, at_ms=at)
    assert results[0].stamp == "" < results[1].stamp < results[2].stamp
    assert results[1].stamp > changes[0].stamp
    assert household.rows()["account_group", row_id].fields["name"] == "3"


def test_a_refused_change_leaves_row_head_and_others_untouched(household: Household):
    phone = household.device()
    bad = phone.change("create", "account", str(uuid.uuid4()), {"name": "x", "iban": "DE00 1234"})
    follower = phone.change("edit", "account", bad.id, {"note": "n"})
    good = a_group(phone)
    results = phone.push(bad, follower, good)
    assert [(each.fate, each.code, each.field) for each in results] == [
        ("refused", "iban", "iban"),
        ("refused", "depends", ""),
        ("applied", "", ""),
    ]
    assert results[0].message
    assert ("account", bad.id) not in household.rows()
    assert phone.outcome(bad, follower, good).ack.results == results


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({}, "required", "name"),
        ({"name": "  "}, "required", "name"),
        ({"name": 5}, "type", "name"),
        ({"name": "a\x00b"}, "text", "name"),
        ({"name": "x" * 121}, "too_long", "name"),
        ({"name": "x", "accountType": "piggy"}, "choice", "accountType"),
        ({"name": "x", "balance": "NaN"}, "type", "balance"),
        ({"name": "x", "balance": "1E+1000000"}, "type", "balance"),
        ({"name": "x", "balance": 1.5}, "type", "balance"),
        ({"name": "x", "balance": "0.00005"}, "digits", "balance"),
        ({"name": "x", "balance": "1" * 16}, "digits", "balance"),
        ({"name": "x", "sortOrder": 2**31}, "range", "sortOrder"),
        ({"name": "x", "isActive": 1}, "type", "isActive"),
        ({"name": "x", "accountGroupId": "abc"}, "reference", "accountGroupId"),
        ({"name": "x", "image": "data:text/html;base64,AAAA"}, "image", "image"),
        ({"name": "x", "exists": False}, "read_only", "exists"),
        ({"name": "x", "syncSeq": 5}, "read_only", "syncSeq"),
        ({"name": ["x"]}, "type", "name"),
    ],
)
def test_a_bad_value_is_refused_with_code_and_field_and_nothing_changes(
    household, fields, code, field
):
    phone = household.device()
    outcome = phone.outcome(phone.change("create", "account", str(uuid.uuid4()), fields))
    [result] = outcome.ack.results
    assert (result.fate, result.code, result.field) == ("refused", code, field)
    assert result.message.strip()
    assert outcome.seq is None and household.rows() == {}


def test_unknown_fields_are_listed_and_unknown_entities_refused(household: Household):
    phone = household.device()
    change = phone.change("create", "account", str(uuid.uuid4()), {"name": "x", "colour": "red"})
    rocket = phone.change("create", "rocket", str(uuid.uuid4()), {"name": "x"})
    conflict = phone.change("delete", "conflict", str(uuid.uuid4()))
    results = phone.push(change, rocket, conflict)
    assert results[0].unknown == ["colour"] and results[0].fate == "applied"
    assert [each.code for each in results[1:]] == ["unknown", "read_only"]


def test_a_stamp_of_another_device_is_refused(household: Household):
    phone, laptop = household.device("phone"), household.device("laptop")
    forged = phone.change(
        "create",
        "account_group",
        str(uuid.uuid4()),
        {"name": "x"},
        stamp=laptop.clock.tick(now_ms()),
    )
    server = phone.change(
        "create",
        "account_group",
        str(uuid.uuid4()),
        {"name": "x"},
        stamp=next_stamp("", now_ms(), SERVER_NODE),
    )
    assert [each.code for each in phone.push(forged, server)] == ["stamp_foreign"] * 2


def test_an_edit_of_a_row_the_server_lacks_tells_the_horizon_and_a_delete_leaves_a_tombstone(
    household,
):
    phone = household.device()
    row_id = str(uuid.uuid4())
    [edit, delete] = phone.push(
        phone.change("edit", "account", row_id, {"name": "x"}),
        phone.change("delete", "account", row_id),
    )
    assert (edit.fate, edit.code, edit.horizon) == ("refused", "row_missing", "")
    assert delete.fate == "applied"
    row = household.rows()["account", row_id]
    assert row.fields == {"exists": False} and set(row.stamps) == {"exists"}


def test_a_create_completes_the_tombstone_that_came_before_it(household: Household):
    phone, laptop = household.device("phone"), household.device("laptop")
    create = phone.change("create", "account", str(uuid.uuid4()), {"name": "x"})
    laptop.clock.observe([create.stamp])
    laptop.push(laptop.change("delete", "account", create.id))
    [result] = phone.push(create)
    row = household.rows()["account", create.id]
    assert result.fate == "applied" and result.lost == ["exists"]
    assert row.fields["exists"] is False and row.fields["accountType"] == "giro"
    assert {stamp for name, stamp in row.stamps.items() if name != "exists"} == {create.stamp}


def test_rows_heal_without_numbers_and_twice_is_once(household: Household):
    phone, laptop = household.device("phone"), household.device("laptop")
    from syncapp.core.messages import WireRow

    stamp = phone.clock.tick(now_ms())
    row = WireRow("account_group", str(uuid.uuid4()), {"exists": True, "name": "healed"}, stamp)
    first = phone.send_rows(row)
    second = laptop.send_rows(row)
    assert first.ack.rows == 1 and first.seq == 1 and second.seq is None
    assert household.rows()["account_group", row.id].fields["name"] == "healed"


def test_s15_a_role_taken_while_connected_counts_inside_the_transaction(household: Household):
    """S15, S16"""
    guest = uuid.uuid4()
    household.call(lambda repository: None)
    with_connection(household, set_member, guest, "editor")
    phone = household.device("phone", guest)
    assert phone.push(a_group(phone))[0].fate == "applied"
    with_connection(household, set_member, guest, "viewer")
    with pytest.raises(Forbidden):
        phone.push(a_group(phone))
    with_connection(household, remove_member, guest)
    with pytest.raises(NotYours):
        phone.push(a_group(phone))
    assert household.head().seq == 1


def test_another_persons_device_gets_a_new_identity(household: Household):
    phone = household.device()
    guest = uuid.uuid4()
    with_connection(household, set_member, guest, "editor")
    thief = household.device("thief", guest)
    assert thief.hello(device=phone.id).is_identity_taken
    assert thief.hello(node=phone.node).is_identity_taken
    thief.id = phone.id
    with pytest.raises(Restarting):
        thief.push(a_group(thief))


def test_a_number_ahead_of_the_server_means_a_restored_database(household: Household):
    """B06"""
    phone = household.device()
    phone.acknowledged = 7
    with pytest.raises(Restarting):
        phone.push()
    greeting = phone.hello()
    assert greeting.reset == "restored"
    again = phone.hello()
    assert again.reset == "restored", "told again until the device has noted it"
    assert phone.hello(reset="restored").reset is None
    phone.number = 7
    assert phone.push(a_group(phone))[0].fate == "applied"


def with_connection(household, function, *args):
    from tenants.context import in_tenant

    with in_tenant(household.id) as inside:
        function(inside, household.schema, *args)
