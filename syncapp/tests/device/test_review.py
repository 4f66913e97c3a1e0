"""What needs a person: refusals stay, with edit and discard; what is not known yet is parked."""

from __future__ import annotations

import pytest

from syncapp.core.entity import Field
from syncapp.core.errors import Refused
from syncapp.device.errors import RowExists, RowMissing, ValueRefused
from syncapp.tests.simulation.household import HOUSEHOLD, entity

from .harness import Phone, Server, Time, rows_of, sync


def no_swearing(value: str) -> None:
    if "verboten" in value:
        raise Refused("invalid", "This name is not allowed.")


# The server has a rule that the device does not know, as rules of the model do not travel.
STRICT = {
    **HOUSEHOLD,
    "account_group": entity(
        "account_group",
        Field("name", "text", is_required=True, max_length=120, checks=(no_swearing,)),
        Field("sortOrder", "int", 0),
        Field("image", "image", ""),
    ),
}


@pytest.fixture
def strict() -> Server:
    made = Server(Time(), STRICT)
    made.add()
    return made


def test_a_refused_create_takes_its_followers_along_and_blocks_nothing_else(strict):
    """F02."""
    a = Phone(strict)
    bad = a.replica.create("account_group", {"name": "verboten"})
    a.replica.edit("account_group", bad, {"sortOrder": 3})
    a.replica.create("account", {"name": "Kind", "accountGroupId": bad})
    sync(strict, a)
    assert [(each.code, each.kind) for each in a.replica.refused()] == [
        ("invalid", "create"),
        ("depends", "edit"),
    ]
    assert [key[0] for key in a.look()] == ["account"] and a.look() == rows_of(strict.home)
    assert a.is_green, "a refusal is told beside the light, not by it"
    create = a.replica.refused()[0]
    with pytest.raises(ValueRefused):
        a.replica.edit_again(create.local, {"name": 7})
    assert len(a.replica.refused()) == 2, "what could not be queued stays refused"
    a.replica.edit_again(create.local, {"name": "erlaubt"})
    sync(strict, a)
    row = strict.home.all_rows()["account_group", bad]
    assert (row.fields["name"], row.fields["sortOrder"]) == ("erlaubt", 3)
    assert a.replica.refused() == [] and a.look() == rows_of(strict.home)


def test_a_refused_edit_can_be_discarded_and_the_servers_value_shows(strict):
    a = Phone(strict)
    group = a.replica.create("account_group", {"name": "gut"})
    sync(strict, a)
    a.replica.edit("account_group", group, {"name": "verboten"})
    assert a.replica.row("account_group", group).fields["name"] == "verboten"
    sync(strict, a)
    (refused,) = a.replica.refused()
    assert (refused.field, refused.message) == ("name", "This name is not allowed.")
    assert a.replica.row("account_group", group).fields["name"] == "gut"
    a.crash()
    a.replica.discard(a.replica.refused()[0].local)
    assert a.replica.refused() == []
    with pytest.raises(RowMissing):
        a.replica.discard(refused.local)


def test_editing_again_does_not_hide_what_others_wrote_meanwhile(strict):
    a, b = Phone(strict), Phone(strict)
    group = a.replica.create("account_group", {"name": "gut"})
    sync(strict, a, b)
    a.replica.edit("account_group", group, {"name": "verboten"})
    sync(strict, a, b)
    strict.time.pass_s(1)
    b.replica.edit("account_group", group, {"name": "von B"})
    sync(strict, a, b)
    strict.time.pass_s(1)
    a.replica.edit_again(a.replica.refused()[0].local, {"name": "erlaubt"})
    sync(strict, a, b)
    assert b.replica.row("account_group", group).fields["name"] == "erlaubt"
    (told,) = b.replica.conflicts()
    assert (told.losing_value, told.is_mine) == ("von B", True)


def test_values_are_checked_and_made_canonical_before_they_are_queued(phone):
    a = phone()
    account = a.replica.create(
        "account", {"name": "Cafe\u0301", "balance": "007.50", "iban": "de89 3704"}
    )
    fields = a.replica.row("account", account).fields
    assert (fields["name"], fields["balance"], fields["iban"]) == ("Café", "7.5", "DE893704")
    for wrong in (
        {"balance": "1e5"},
        {"name": ""},
        {"accountType": "x"},
        {"colour": "red"},
        {"name": "\x00"},
    ):
        with pytest.raises(ValueRefused):
            a.replica.edit("account", account, wrong)
        with pytest.raises(ValueRefused):
            a.replica.create("account", {"name": "x", **wrong})
    with pytest.raises(ValueRefused, match="keeps no 'rocket'"):
        a.replica.create("rocket", {})
    with pytest.raises(ValueRefused, match="written by the server alone"):
        a.replica.create("conflict", {})
    assert a.replica.pending == 1


def test_a_row_that_is_too_large_is_refused_before_it_is_queued(phone):
    """G11."""
    a = phone(entities={})
    with pytest.raises(ValueRefused, match="KiB"):
        a.replica.create("thing", {"note": "x" * 300_000})
    with pytest.raises(ValueRefused):
        a.replica.create("thing", {"note": "\ud800"})
    assert a.replica.pending == 0


def test_what_is_not_there_cannot_be_edited_and_what_is_there_not_created(phone):
    a = phone()
    group = a.replica.create("account_group", {"name": "Giro"})
    with pytest.raises(RowExists):
        a.replica.create("account_group", {"name": "Giro"}, group)
    a.replica.delete("account_group", group)
    for act in (
        lambda: a.replica.edit("account_group", group, {"name": "x"}),
        lambda: a.replica.delete("account_group", group),
    ):
        with pytest.raises(RowMissing):
            act()
    a.replica.create("account_group", {"name": "wieder da"}, group)
    assert a.replica.row("account_group", group).fields["name"] == "wieder da"


def test_an_edit_to_what_a_row_shows_already_is_no_change(server, phone):
    """D13."""
    a = phone()
    account = a.replica.create("account", {"name": "Giro", "balance": "1"})
    sync(server, a)
    assert not a.replica.edit("account", account, {"name": "Giro", "balance": "1.00"})
    assert a.replica.pending == 0


def test_deleting_a_group_leaves_its_accounts_alone(server, phone):
    """E09: they show as ungrouped; a revived group gets them back."""
    a, b = phone(), phone()
    group = a.replica.create("account_group", {"name": "Giro"})
    account = a.replica.create("account", {"name": "Konto", "accountGroupId": group})
    sync(server, a, b)
    a.replica.delete("account_group", group)
    sync(server, a, b)
    assert b.replica.row("account", account).fields["accountGroupId"] == group
    assert b.replica.row("account", account).is_here


# --- what the server does not know yet (N02) ----------------------------------------------------

NEWER = {
    **HOUSEHOLD,
    "account_group": entity(
        "account_group", *HOUSEHOLD["account_group"].fields.values(), Field("colour", "text", "")
    ),
    "budget": entity("budget", Field("name", "text", is_required=True)),
}


def test_what_an_older_server_does_not_know_is_parked_and_sent_after_its_update(server, phone):
    a, b = phone(entities=NEWER), phone()
    group = a.replica.create("account_group", {"name": "Giro", "colour": "rot"})
    budget = a.replica.create("budget", {"name": "Urlaub"})
    sync(server, a, b)
    assert b.replica.row("account_group", group).fields["name"] == "Giro"
    assert {each.entity for each in a.replica.parked()} == {"account_group", "budget"}
    assert a.replica.row("account_group", group).fields["colour"] == "rot", "still to be seen"
    assert a.replica.row("budget", budget) is not None
    assert not a.is_green and a.replica.pending == 0
    sync(server, a)
    pushes = [each for each in server.heard if getattr(each, "changes", None)]
    assert len(pushes) == 1, "not sent again and again"

    server.home.entities = server.entities = NEWER
    server.restart()
    sync(server, a)
    sync(server, a, b)
    assert a.replica.parked() == [] and a.is_green
    assert server.home.all_rows()["account_group", group].fields["colour"] == "rot"
    assert b.replica.row("budget", budget).fields["name"] == "Urlaub"
    assert a.look("account_group", "budget") == b.look("account_group", "budget")


def test_a_repeated_answer_of_an_older_server_parks_nothing_that_is_known_by_now(server, phone):
    a, b = phone(entities=NEWER), phone()
    group = a.replica.create("account_group", {"name": "Giro", "colour": "rot"})
    a.online()
    while not any(getattr(each, "changes", None) for each in server.heard):
        if a.link.up:
            server.take(a.link, a.link.up.popleft())
        else:
            assert a.hear_one() or server.deliver()
    a.cut()  # the answer is lost
    server.home.entities = server.entities = NEWER
    server.restart()
    sync(server, a)
    sync(server, a, b)
    assert a.replica.parked() == [] and a.is_green
    assert server.home.all_rows()["account_group", group].fields["colour"] == "rot"
    assert a.look() == b.look() == rows_of(server.home)


def test_a_newer_value_beats_an_older_parked_one(server, phone):
    a = phone(entities=NEWER)
    group = a.replica.create("account_group", {"name": "Giro", "colour": "rot"})
    sync(server, a)
    a.cut()
    server.home.entities = server.entities = NEWER
    server.time.pass_s(60)
    b = phone(entities=NEWER)
    sync(server, b)
    b.replica.edit("account_group", group, {"colour": "blau"})
    sync(server, b)
    sync(server, a, b)
    assert a.replica.row("account_group", group).fields["colour"] == "blau"
    assert a.look() == b.look() == rows_of(server.home)


def test_what_was_parked_while_a_restored_server_was_healed_keeps_its_stamp(server, phone):
    """Written under a clock that was a year ahead; two devices hold different values of it."""
    server.home.entities = server.entities = NEWER
    backup, year_s = server.home.dump(), 365 * 86_400
    server.time.pass_s(year_s)
    a, b = phone(entities=NEWER), phone(entities=NEWER)
    budget = a.replica.create("budget", {"name": "Urlaub"})
    sync(server, a, b)
    a.cut()
    server.time.pass_s(60)
    b.replica.edit("budget", budget, {"name": "Ferien"})
    sync(server, b)
    b.cut()
    server.home.restore(backup)
    server.home.entities = server.entities = HOUSEHOLD
    server.time.pass_s(-year_s)
    sync(server, a, b)
    assert a.replica.parked_count == b.replica.parked_count == 1
    a.cut(), b.cut()
    server.home.entities = server.entities = NEWER
    for each in (b, a, b):  # the older value comes last
        sync(server, each)
    assert a.replica.parked() == b.replica.parked() == []
    assert server.home.all_rows()["budget", budget].fields["name"] == "Ferien"
    assert a.look("budget") == b.look("budget") and a.is_green and b.is_green
    assert not server.home.device(a.replica.meta.device).is_healing


def test_fields_a_device_does_not_know_are_stored_and_kept(phone):
    """N01."""
    newer = Server(Time(), NEWER)
    newer.add()
    old, new = Phone(newer, entities=HOUSEHOLD), Phone(newer, entities=NEWER)
    group = new.replica.create("account_group", {"name": "Giro", "colour": "rot"})
    sync(newer, old, new)
    assert old.replica.row("account_group", group).fields["colour"] == "rot"
    old.replica.edit("account_group", group, {"name": "Sparen"})
    sync(newer, old, new)
    assert new.replica.row("account_group", group).fields["colour"] == "rot"
