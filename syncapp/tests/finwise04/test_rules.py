"""What the FinWise 0.4 app needs of a server, rule by rule, in recorded conversations.

The rules that concern people, sessions and households that are not there yet are tried on
real sockets: `syncapp/tests/socket/test_finwise04.py`.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import replace

import pytest

from syncapp import upkeep
from syncapp.tests.device.harness import HOME, sync
from syncapp.tests.finwise04.app import iso, ms_of
from syncapp.tests.finwise04.rig import records_of


def row_of(server, row_id):
    return next(row for (_, each), row in server.home.all_rows().items() if each == row_id)


def heard(link, kind):
    return [each for each in link.sent if kind in (each.get("type"), each.get("event_type"))]


def two_apps_with_a_group(new_app, settle):
    """Both online and equal; the first one made the group."""
    first, second = new_app(), new_app()
    first.come_online()
    group = first.app.new_group("Urlaub")
    settle(first, second)
    return first, second, group


def entry(server, link, does, row_id, record, **more):
    """A queue entry as the app sends it, made by hand."""
    made = {
        "id": str(uuid.uuid4()),
        "tenantId": HOME,
        "entityType": "AccountGroup",
        "entityId": row_id,
        "operationType": does,
        "timestamp": server.time.ms,
        "status": "processing",
        "attempts": 1,
        "lastAttempt": server.time.ms,
        "payload": record,
    }
    made |= more
    link.take(json.dumps({"type": "process_sync_entry", "payload": made}))
    return made["id"]


# --- rule 1: the order of changes ---------------------------------------------------------


def test_rule_1_updates_are_ordered_by_the_time_of_the_entry_not_by_updated_at(
    server, new_app, settle
):
    early, late, group = two_apps_with_a_group(new_app, settle)
    early.cut()
    late.cut()
    server.time.ms += 1000
    early.app.edit(group, name="früher")
    server.time.ms += 1000
    late.app.edit(group, name="später")
    # The later edit arrives first; both records carry the same old `updated_at`.
    settle(late, early, late)
    assert row_of(server, group).fields["name"] == "später"
    assert early.app.kept["AccountGroup"][group]["name"] == "später"
    assert late.app.kept["AccountGroup"][group]["name"] == "später"


def test_rule_1_an_edit_beats_the_version_it_was_made_upon_however_slow_the_clock(
    server, new_app, settle
):
    right, slow = new_app(), new_app(clock_off_ms=-3_600_000)
    right.come_online()
    group = right.app.new_group("Urlaub")
    settle(right, slow)
    slow.app.edit(group, name="Ferien")
    settle(slow, right)
    assert row_of(server, group).fields["name"] == "Ferien"
    assert right.app.kept["AccountGroup"][group]["name"] == "Ferien"
    # And once more, within the same hour that the clock is behind.
    slow.app.edit(group, name="Sommer")
    slow.app.edit(group, name="Sommerferien")
    settle(slow, right)
    assert right.app.kept["AccountGroup"][group]["name"] == "Sommerferien"


def test_rule_1_creates_and_deletes_are_ordered_by_the_time_of_the_entry(server, new_app, settle):
    first, second, group = two_apps_with_a_group(new_app, settle)
    first.cut()
    server.time.ms += 1000
    first.app.delete(group)
    server.time.ms += 1000
    second.app.edit(group, name="Ferien")  # later than the delete, which nobody knows yet
    settle(second, first)
    assert row_of(server, group).is_here
    assert first.app.kept["AccountGroup"][group]["name"] == "Ferien"


def test_rule_1_an_edit_of_a_clock_that_is_ahead_does_not_win_by_that(server, new_app, settle):
    ahead, right = new_app(clock_off_ms=3_600_000), new_app()
    right.come_online()
    group = right.app.new_group("Urlaub")
    settle(right, ahead)
    ahead.cut()
    ahead.app.edit(group, name="zuerst getippt")
    server.time.ms += 60_000
    right.app.edit(group, name="danach getippt")
    settle(right, ahead)
    assert row_of(server, group).fields["name"] == "danach getippt"
    assert ahead.app.kept["AccountGroup"][group]["name"] == "danach getippt"


def test_two_edits_within_a_millisecond_keep_their_order(server, new_app, settle):
    link = new_app()
    link.come_online()
    group = link.app.new_group("Urlaub")
    settle(link)
    for name in ("z", "m", "a"):
        link.app.edit(group, name=name)
    settle(link)
    assert row_of(server, group).fields["name"] == "a"


# --- rule 2: what is delivered is always newer ----------------------------------------------


def test_rule_2_every_delivered_record_is_newer_than_the_one_before(server, new_app):
    link = new_app()
    link.come_online()
    group = link.app.new_group("Urlaub")
    link.rest()
    for _ in range(5):  # within one millisecond of the server's clock
        link.load()
    times = [
        record["updated_at"]
        for frame in heard(link, "initial_data_load")
        for record in frame["payload"]["account_groups"]
        if record["id"] == group
    ]
    assert len(times) == 5
    assert times == sorted(set(times))
    assert all(time.endswith("Z") for time in times)
    link.rest()
    assert link.app.dropped == 0


def test_rule_2_a_reloaded_page_shows_what_its_load_brings(server, new_app, settle):
    link = new_app()
    link.app.begin()
    settle(link)
    link.cut()
    link.app.reload()
    link.come_online()  # at the very same time
    assert {each["name"] for each in link.app.seen["AccountGroup"].values()} == {
        "Girokonten",
        "Sparkonten",
    }
    assert len(link.app.seen["Account"]) == 1


def test_rule_2_a_record_made_by_a_clock_that_is_ahead_is_still_replaced(server, new_app, settle):
    ahead, other = new_app(clock_off_ms=3_600_000), new_app()
    ahead.come_online()
    group = ahead.app.new_group("Urlaub")
    settle(ahead, other)
    other.app.edit(group, name="Ferien")
    settle(other, ahead)
    assert ahead.app.kept["AccountGroup"][group]["name"] == "Ferien"


def test_rule_2_a_time_at_the_end_of_all_calendars_stops_nobody(server, new_app, settle):
    link, other = new_app(), new_app()
    link.come_online()
    group = link.app.new_group("Urlaub")
    link.app.queue[-1]["payload"]["updated_at"] = "9999-12-31T23:59:59.999Z"
    settle(link, other)
    entry(server, link, "update", group, {"id": group, "name": "spät"}, timestamp=2**48 - 1)
    assert heard(link, "sync_nack")
    settle(link, other)
    assert other.app.kept["AccountGroup"][group]["name"] == "Urlaub"


# --- rule 3: the outcome goes to the sender, too --------------------------------------------


def test_rule_3_the_sender_is_told_what_became_of_each_update_before_its_ack(server, new_app):
    link = new_app()
    link.come_online()
    group = link.app.new_group("Urlaub")
    link.rest()
    link.sent.clear()
    server.time.ms += 1000
    link.app.edit(group, name="Ferien")
    link.rest()
    update, ack = link.sent
    assert update["operation_type"] == "update"
    assert update["data"]["name"] == "Ferien"
    assert ack["type"] == "sync_ack"
    assert ack["status"] == "processed"
    assert (ack["entityId"], ack["entityType"], ack["operationType"]) == (
        group,
        "AccountGroup",
        "update",
    )


def test_rule_3_a_loser_is_told_the_record_that_won(server, new_app, settle):
    first, second, group = two_apps_with_a_group(new_app, settle)
    second.cut()
    second.app.edit(group, name="alt")
    server.time.ms += 1000
    first.app.edit(group, name="neu")
    first.rest()
    second.connect()
    second.sent.clear()
    second.poll()
    second.move_down()  # online: but the entry is taken before the load
    second.take(second.up.pop())
    update, ack = heard(second, "data_update")[-1], heard(second, "sync_ack")[-1]
    assert update["data"]["name"] == "neu"
    assert second.sent.index(update) < second.sent.index(ack)


def test_rule_3_a_loser_is_told_the_delete_that_won(server, new_app, settle):
    first, second, group = two_apps_with_a_group(new_app, settle)
    second.cut()
    second.app.edit(group, name="zu früh")
    server.time.ms += 1000
    first.app.delete(group)
    settle(first, second)
    assert not row_of(server, group).is_here
    assert group not in second.app.kept["AccountGroup"]
    assert second.app.queue == []


# --- rule 4: tombstones ---------------------------------------------------------------------


def test_rule_4_what_was_deleted_meanwhile_is_gone_after_a_load(server, new_app, settle):
    away, other, group = two_apps_with_a_group(new_app, settle)
    away.cut()
    other.app.delete(group)
    settle(other)
    away.come_online()
    assert group not in away.app.kept["AccountGroup"]
    load = heard(away, "initial_data_load")[-1]
    delete = [each for each in heard(away, "data_update") if each["operation_type"] == "delete"]
    assert delete[-1]["data"] == {"id": group}
    assert away.sent.index(load) < away.sent.index(delete[-1])


def test_rule_4_also_when_the_household_has_forgotten_the_tombstone(server, new_app, settle):
    away, other, group = two_apps_with_a_group(new_app, settle)
    away.cut()
    other.app.delete(group)
    settle(other)
    server.time.pass_s(200 * 24 * 3600)
    with server.home.transaction():
        assert upkeep.compact(server.home, server.time.ms) == 1
    away.come_online()
    assert group not in away.app.kept["AccountGroup"]


def test_rule_4_an_old_edit_of_what_is_forgotten_brings_nothing_back(server, new_app, settle):
    away, other, group = two_apps_with_a_group(new_app, settle)
    away.cut()
    away.app.edit(group, name="im Urlaub getippt")
    server.time.ms += 1000
    other.app.delete(group)
    settle(other)
    server.time.pass_s(200 * 24 * 3600)
    with server.home.transaction():
        assert upkeep.compact(server.home, server.time.ms) == 1
    away.come_online()
    assert records_of(server)["AccountGroup"] == {}
    assert away.app.kept["AccountGroup"] == {}
    assert away.app.queue == []


# --- rule 5: acks and nacks -----------------------------------------------------------------


def test_rule_5_a_redelivery_is_acknowledged_and_not_applied_again(server, new_app, settle):
    link, other, group = two_apps_with_a_group(new_app, settle)
    link.app.edit(group, name="Ferien")
    link.poll()
    link.move_up()
    link.cut()  # the ack is lost
    server.time.ms += 1000
    other.app.edit(group, name="Reise")
    settle(other)
    seq = server.home.read_head().seq
    link.app.retry_processing()
    link.come_online()
    assert link.app.queue == []
    assert row_of(server, group).fields["name"] == "Reise"
    assert server.home.read_head().seq == seq
    assert link.app.kept["AccountGroup"][group]["name"] == "Reise"


def test_rule_5_redelivery_of_a_create_after_a_delete_does_not_bring_it_back(
    server, new_app, settle
):
    link, other = new_app(), new_app()
    link.come_online()
    group = link.app.new_group("Urlaub")
    link.poll()
    link.move_up()
    link.cut()  # the ack is lost
    settle(other)
    other.app.delete(group)
    settle(other)
    link.app.retry_processing()
    link.come_online()
    assert link.app.queue == []
    assert records_of(server)["AccountGroup"] == {}
    assert link.app.kept["AccountGroup"] == {}


def test_rule_5_a_refusal_is_told_with_reason_and_detail_and_the_record_as_it_stands(
    server, new_app, settle
):
    link = new_app()
    link.come_online()
    account = link.app.new_account("Giro", None, description="kurz")
    settle(link)
    link.app.edit(account, description="x" * 501, note="bleibt")
    settle(link)
    [nack] = link.app.nacks
    assert nack["status"] == "failed"
    assert nack["reason"] == "validation_error"
    assert nack["detail"] == "description: At most 500 characters."
    assert nack["entityId"] == account
    # What could be accepted is there, what could not is as it was, here and there.
    row = row_of(server, account)
    assert row.fields["note"] == "bleibt"
    assert row.fields["description"] == "kurz"
    assert link.app.kept["Account"][account]["note"] == "bleibt"
    assert link.app.kept["Account"][account]["description"] == "kurz"


def test_rule_5_a_repeated_refusal_is_refused_alike(server, new_app, settle):
    link = new_app()
    link.come_online()
    account = link.app.new_account("Giro", None, image="data:image/gif;base64,AAAA")
    settle(link)
    assert row_of(server, account).fields["image"] == ""
    [first] = link.app.nacks
    link.app.queue[0]["status"] = "pending"
    settle(link)
    assert link.app.nacks[1] == first


def test_rule_5_a_new_row_that_cannot_be_stays_with_its_person_who_can_mend_it(
    server, new_app, settle
):
    link = new_app()
    link.come_online()
    group = link.app.new_group("x" * 121)
    settle(link)
    [nack] = link.app.nacks
    assert nack["reason"] == "validation_error"
    assert group in link.app.kept["AccountGroup"]
    link.app.edit(group, name="kürzer")
    settle(link)
    assert row_of(server, group).fields["name"] == "kürzer"
    assert len(link.app.nacks) == 1


def test_rule_5_what_cannot_be_understood_is_refused_for_good(server, new_app):
    link = new_app()
    link.connect()
    group = str(uuid.uuid4())
    entry(server, link, "rename", group, {})
    entry(server, link, "update", "no id", {})
    entry(server, link, "update", group, None)
    entry(server, link, "update", group, {"id": str(uuid.uuid4())})
    entry(server, link, "update", group, {"id": group}, timestamp="gestern")
    entry(server, link, "create", group, {"id": group, "name": "x"}, entityType="Budget")
    nacks = heard(link, "sync_nack")
    assert len(nacks) == 6
    assert {each["reason"] for each in nacks} == {"validation_error"}
    assert server.home.all_rows() == {}


# --- rule 7: another household's entries ----------------------------------------------------


def test_rule_7_an_entry_of_another_household_is_refused(server, new_app):
    link = new_app()
    link.connect()
    group = str(uuid.uuid4())
    record = {"id": group, "name": "fremd", "sortOrder": 0}
    entry(server, link, "create", group, record, tenantId=str(uuid.uuid4()))
    assert heard(link, "sync_nack")
    assert server.home.all_rows() == {}


# --- rule 8: values -------------------------------------------------------------------------


def test_rule_8_types_of_account_have_other_names_there(server, new_app, phone, settle):
    link = new_app()
    ids = {}
    link.come_online()
    for theirs in ("CHECKING", "SAVINGS", "CREDIT", "CASH"):
        ids[theirs] = link.app.new_account(theirs, None, accountType=theirs)
    settle(link, phone)
    ours = {theirs: row_of(server, ids[theirs]).fields["accountType"] for theirs in ids}
    assert ours == {
        "CHECKING": "giro",
        "SAVINGS": "spar",
        "CREDIT": "kreditkarte",
        "CASH": "bar",
    }


def test_rule_8_a_type_that_is_ours_alone_comes_back_as_it_was(server, new_app, phone, settle):
    link = new_app()
    account = server.new_id()
    phone.replica.create("account", {"name": "Depot", "accountType": "depot"}, account)
    settle(phone, link)
    assert link.app.kept["Account"][account]["accountType"] == "depot"
    link.app.edit(account, name="Wertpapiere")
    settle(link, phone)
    assert row_of(server, account).fields["accountType"] == "depot"
    assert row_of(server, account).fields["name"] == "Wertpapiere"


def test_rule_8_what_the_form_leaves_out_gets_its_default(server, new_app, settle):
    link = new_app()
    link.come_online()
    account = link.app.new_account("Giro", None)
    settle(link)
    row = row_of(server, account)
    assert row.fields["accountType"] == "giro"
    assert row.fields["sortOrder"] == 0
    assert row.fields["image"] == ""
    assert link.app.kept["Account"][account]["accountType"] == "CHECKING"


def test_rule_8_cents_survive_everywhere_also_in_the_offset(server, new_app, phone, settle):
    link, other = new_app(), new_app()
    link.come_online()
    account = link.app.new_account("Giro", None, offset=12.34, creditLimit=250.5, balance=-0.01)
    settle(link, phone, other)
    row = row_of(server, account)
    assert [row.fields[name] for name in ("offset", "creditLimit", "balance")] == [
        "12.34",
        "250.5",
        "-0.01",
    ]
    record = other.app.kept["Account"][account]
    assert (record["offset"], record["creditLimit"], record["balance"]) == (12.34, 250.5, -0.01)
    other.app.edit(account, offset=0.1 + 0.2)
    settle(other, phone)
    assert row_of(server, account).fields["offset"] == "0.3"


def test_rule_8_an_amount_with_more_digits_than_they_have_is_not_rounded_by_an_edit(
    server, new_app, phone, settle
):
    link = new_app()
    account = server.new_id()
    amount = "123456789012345.6789"
    phone.replica.create("account", {"name": "Tresor", "balance": amount}, account)
    settle(phone, link)
    assert link.app.kept["Account"][account]["balance"] == float(amount)
    link.app.edit(account, name="Schatz")
    settle(link, phone)
    assert row_of(server, account).fields["balance"] == amount


def test_rule_8_an_account_without_a_group_stays_without_one(server, new_app, phone, settle):
    link = new_app()
    account = server.new_id()
    phone.replica.create("account", {"name": "lose"}, account)
    settle(phone, link)
    link.app.edit(account, note="x", accountGroupId="")
    settle(link, phone)
    row = row_of(server, account)
    assert row.fields["accountGroupId"] is None
    assert row.fields["note"] == "x"


# --- rule 10: only what was typed is written ------------------------------------------------


def test_rule_10_a_whole_record_does_not_overrule_what_others_changed_meanwhile(
    server, new_app, phone, settle
):
    link = new_app()
    link.come_online()
    account = link.app.new_account("Giro", None)
    settle(link, phone)
    link.cut()
    phone.replica.edit("account", account, {"note": "vom Telefon"})
    settle(phone)
    server.time.ms += 1000
    link.app.edit(account, name="Haushalt")  # sends the old, empty note along
    settle(link, phone)
    row = row_of(server, account)
    assert (row.fields["name"], row.fields["note"]) == ("Haushalt", "vom Telefon")
    assert link.app.kept["Account"][account]["note"] == "vom Telefon"
    assert server.home.all_conflicts() == []


def test_rule_10_not_even_when_the_entry_overtakes_the_load(server, new_app, phone, settle):
    link = new_app()
    link.come_online()
    account = link.app.new_account("Giro", None)
    settle(link, phone)
    link.cut()
    phone.replica.edit("account", account, {"note": "vom Telefon"})
    settle(phone)
    link.app.edit(account, name="Haushalt")
    link.connect()
    link.app.status = "online"
    link.poll()
    link.move_up()
    link.rest()
    row = row_of(server, account)
    assert (row.fields["name"], row.fields["note"]) == ("Haushalt", "vom Telefon")


def test_rule_10_nor_when_the_load_overtakes_the_entry(server, new_app, phone, settle):
    link = new_app()
    link.come_online()
    account = link.app.new_account("Giro", None)
    settle(link, phone)
    link.cut()
    link.app.edit(account, name="Haushalt")
    phone.replica.edit("account", account, {"note": "vom Telefon"})
    settle(phone)
    link.connect()
    link.load()
    while link.move_down():
        pass
    # The load has taken the edit out of sight; its entry still brings it to the server.
    link.app.edit(account, iban="DE89370400440532013000")
    link.rest()
    row = row_of(server, account)
    assert (row.fields["name"], row.fields["note"]) == ("Haushalt", "vom Telefon")
    assert row.fields["iban"] == "DE89370400440532013000"
    assert link.app.kept["Account"][account]["name"] == "Haushalt"


def test_rule_10_an_entry_that_changes_nothing_overrules_no_delete(server, new_app, phone, settle):
    link = new_app()
    link.come_online()
    group = link.app.new_group("Urlaub")
    settle(link, phone)
    link.cut()
    phone.replica.delete("account_group", group)
    settle(phone)
    server.time.ms += 1000
    link.app.edit(group)  # the form was opened and saved
    settle(link)
    assert not row_of(server, group).is_here
    assert link.app.kept["AccountGroup"] == {}
    assert link.app.queue == []


@pytest.mark.parametrize("edits", [3, 16, 17, 40, 41])
def test_of_many_edits_of_one_row_without_an_answer_the_last_stands(
    server, new_app, phone, settle, edits
):
    app = new_app()
    app.come_online()
    group = app.app.new_group("Urlaub")
    settle(app, phone)
    app.cut()
    for n in range(edits):  # all on one `updated_at`; the last is a value that it had before
        server.time.ms += 1000
        app.app.edit(group, name="Ferien" if n % 2 == 0 else "Urlaub")
    settle(app, phone)
    last = "Ferien" if edits % 2 else "Urlaub"
    assert row_of(server, group).fields["name"] == last
    assert app.app.kept["AccountGroup"][group]["name"] == last


def test_rule_10_the_same_browser_is_the_same_device_and_another_is_another(server, new_app):
    first = new_app("one")
    first.connect()
    first.cut()
    again = new_app("one")
    again.connect()
    other = new_app("two")
    other.connect()
    assert first.identity == again.identity != other.identity
    assert server.home.device(first.identity.device).protocol == "finwise.0.4"
    assert server.home.count_devices() == 2


def test_an_app_holds_nothing_back_that_it_could_never_do(server, new_app):
    link = new_app()
    link.connect()
    link.cut()
    with server.home.transaction():
        head = server.home.lock_head()
        device = replace(
            server.home.device(link.identity.device), reset="restored", is_healing=True
        )
        server.home.write(head, server.time.ms, device=device)
    link.connect()
    device = server.home.device(link.identity.device)
    assert (device.reset, device.is_healing) == ("", False)


def test_rule_10_what_a_record_does_not_name_is_not_written(server, new_app, phone, settle):
    link = new_app()
    link.come_online()
    account = link.app.new_account("Giro", None, note="bleibt", offset=3)
    settle(link, phone)
    server.time.ms += 1000
    part = {"id": account, "name": "Haushalt", "colour": "rot", "updated_at": None}
    entry(server, link, "update", account, part, entityType="Account")
    settle(link, phone)
    row = row_of(server, account)
    assert (row.fields["name"], row.fields["note"], row.fields["offset"]) == (
        "Haushalt", "bleibt", "3"
    )  # fmt: skip
    assert "colour" not in row.fields
    assert link.app.kept["Account"][account]["note"] == "bleibt"


def test_rule_10_two_tabs_of_one_browser_send_the_same_entries(server, new_app, phone, settle):
    one, two = new_app("browser"), new_app("browser")
    one.come_online()
    group = one.app.new_group("Urlaub")
    settle(one, two, phone)
    for name in ("Ferien", "Reise"):
        server.time.ms += 1000
        one.app.edit(group, name=name)
    two.app.queue = [dict(each) for each in one.app.queue]  # one IndexedDB
    one.poll()
    two.poll()
    # Entry by entry, now from the one, now from the other.
    while one.move_up() or two.move_up():
        two.move_up()
    phone.replica.edit("account_group", group, {"sortOrder": 7})
    settle(one, two, phone)
    assert (one.app.queue, two.app.queue) == ([], [])
    assert row_of(server, group).fields["name"] == "Reise"
    assert row_of(server, group).fields["sortOrder"] == 7
    assert server.home.all_conflicts() == []
    for link in (one, two):
        assert link.app.kept["AccountGroup"][group]["name"] == "Reise"


# --- both protocols together ----------------------------------------------------------------


def test_a_value_that_an_app_loses_is_kept_as_a_conflict_for_people_to_see(
    server, new_app, phone, settle
):
    link = new_app()
    link.come_online()
    group = link.app.new_group("Urlaub")
    settle(link, phone)
    link.cut()
    link.app.edit(group, name="App")
    server.time.ms += 1000
    phone.replica.edit("account_group", group, {"name": "Telefon"})
    settle(phone, link)
    [conflict] = server.home.all_conflicts()
    assert (conflict.losing_value, conflict.winning_value) == ("App", "Telefon")
    assert conflict.losing_device == link.identity.device


def test_a_deleted_row_that_is_edited_later_comes_back_whole(server, new_app, phone, settle):
    link = new_app()
    link.come_online()
    account = link.app.new_account("Giro", None, note="mit Notiz")
    settle(link, phone)
    link.cut()
    phone.replica.delete("account", account)
    settle(phone)
    server.time.ms += 1000
    link.app.edit(account, name="doch noch")
    settle(link, phone)
    row = row_of(server, account)
    assert row.is_here
    assert (row.fields["name"], row.fields["note"]) == ("doch noch", "mit Notiz")
    assert phone.look()["account", account][0]["exists"] is True


def test_an_update_of_a_row_that_never_arrived_creates_it(server, new_app, settle):
    link = new_app()
    link.come_online()
    account = link.app.new_account("Giro", None)
    link.app.queue.clear()  # the create was lost in that app
    link.app.edit(account, note="nachgereicht")
    settle(link)
    row = row_of(server, account)
    assert (row.fields["name"], row.fields["note"]) == ("Giro", "nachgereicht")


def test_a_delete_of_what_is_not_there_is_acknowledged(server, new_app):
    link = new_app()
    link.connect()
    entry(server, link, "delete", str(uuid.uuid4()), {})
    assert heard(link, "sync_ack")


def test_create_and_delete_in_one_breath_leave_nothing_behind(server, new_app, settle):
    link = new_app()
    link.come_online()
    link.cut()
    group = link.app.new_group("kurz")
    link.app.edit(group, name="kürzer")
    link.app.delete(group)
    settle(link)
    # The outcomes of create and update were told after the app had deleted it.
    assert link.app.kept["AccountGroup"] == {}
    assert records_of(server)["AccountGroup"] == {}


def test_updated_at_is_a_time_in_utc_with_milliseconds():
    assert iso(1749830250123) == "2025-06-13T15:57:30.123Z"
    assert ms_of("2025-06-13T15:57:30.123Z") == 1749830250123


def test_a_phone_sees_what_apps_do(server, new_app, phone):
    link = new_app()
    link.come_online()
    link.app.begin()
    link.rest()
    sync(server, phone)
    names = {fields["name"] for fields, _ in phone.look().values()}
    assert names == {"Girokonten", "Sparkonten", "Girokonto"}
