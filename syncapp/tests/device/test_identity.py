"""Who a device is: copies become devices of their own, households born offline find a place."""

from __future__ import annotations

import shutil

from syncapp.core.errors import Busy, Forbidden
from syncapp.core.messages import Hello, Push

from .harness import BEN, HOME, pump, rows_of, sync


def clone(phone, source, path, **options):
    """A copy of a phone's store, as a backup or a new phone makes it."""
    source.store.run("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(source.path, path)
    return phone(path, **options)


def test_a_copy_that_uses_the_same_number_for_another_change_becomes_a_device_of_its_own(
    server, phone, tmp_path
):
    a = phone(tmp_path / "a.sqlite")
    sync(server, a)
    b = clone(phone, a, tmp_path / "b.sqlite")
    a.replica.create("account_group", {"name": "von A"})
    server.time.pass_s(1)
    b.replica.create("account_group", {"name": "von B"})
    stamp = b.store.entries_in("open")[0].stamp
    sync(server, a)
    sync(server, b)
    sync(server, a, b)
    assert a.look() == b.look() == rows_of(server.home)
    assert sorted(row.fields["name"] for row in a.replica.rows("account_group")) == [
        "von A",
        "von B",
    ]
    assert a.replica.meta.device != b.replica.meta.device
    assert a.replica.meta.node in b.replica.meta.former_nodes
    (row,) = [row for row in b.replica.rows("account_group") if row.fields["name"] == "von B"]
    assert row.stamps["name"] == stamp, "what is open keeps its stamps"
    assert a.is_green and b.is_green


def test_a_copy_whose_number_is_acknowledged_already_becomes_a_device_of_its_own(
    server, phone, tmp_path
):
    """The server answers `settled` for what this store holds as open."""
    a = phone(tmp_path / "a.sqlite")
    sync(server, a)
    b = clone(phone, a, tmp_path / "b.sqlite")
    for n in range(3):
        a.replica.create("account_group", {"name": f"A {n}"})
        sync(server, a)
    b.replica.create("account_group", {"name": "B"})
    sync(server, b)
    sync(server, a, b)
    assert len(server.home.all_rows()) == 4
    assert a.look() == b.look() == rows_of(server.home)


def test_the_same_change_queued_before_the_copy_was_made_has_one_effect(server, phone, tmp_path):
    a = phone(tmp_path / "a.sqlite")
    a.replica.create("account_group", {"name": "vor der Kopie"})
    b = clone(phone, a, tmp_path / "b.sqlite")
    sync(server, a)
    sync(server, b)
    sync(server, a, b)
    assert len(server.home.all_rows()) == 1
    assert a.look() == b.look() == rows_of(server.home)


def test_a_copys_changes_keep_their_order_though_only_the_first_ones_number_was_used(
    server, phone, tmp_path
):
    """Two changes ahead of time in one push: taken at once, the later would be re-stamped first.

    Found by simulation seed 700655.
    """
    a = phone(tmp_path / "a.sqlite")
    group = a.replica.create("account_group", {"name": "eins"})
    sync(server, a)
    b = clone(phone, a, tmp_path / "b.sqlite")
    a.replica.edit("account_group", group, {"image": ""})
    a.replica.create("account_group", {"name": "von A"})
    sync(server, a, b)
    b.clock_off_ms = 4 * 24 * 3600 * 1000  # while it is connected
    b.replica.edit("account_group", group, {"name": "zwei", "sortOrder": 2})
    b.replica.edit("account_group", group, {"name": "drei"})
    assert len(b.store.entries_in("open")) == 2
    sync(server, b)
    server.time.pass_s(1)
    sync(server, a, b)
    row = b.replica.row("account_group", group)
    assert (row.fields["name"], row.fields["sortOrder"]) == ("drei", 2)
    assert a.look() == b.look() == rows_of(server.home)
    assert a.replica.meta.device != b.replica.meta.device


def test_an_edit_waits_for_its_rows_create_whose_number_a_copy_has_used(server, phone, tmp_path):
    a = phone(tmp_path / "a.sqlite")
    sync(server, a)
    b = clone(phone, a, tmp_path / "b.sqlite")
    a.replica.create("account_group", {"name": "von A"})
    server.time.pass_s(1)
    group = b.replica.create("account_group", {"name": "von B"})
    b.replica.edit("account_group", group, {"sortOrder": 7})
    assert len(b.store.entries_in("open")) == 2
    sync(server, a)
    sync(server, b)
    sync(server, a, b)
    assert not b.replica.refused()
    assert a.replica.row("account_group", group).fields["sortOrder"] == 7
    assert a.look() == b.look() == rows_of(server.home)


def test_a_phone_restored_from_a_backup_loses_nothing(server, phone, tmp_path):
    a = phone(tmp_path / "a.sqlite")
    a.replica.create("account_group", {"name": "vor der Sicherung"})
    sync(server, a)
    b = clone(phone, a, tmp_path / "b.sqlite")
    a.replica.create("account_group", {"name": "nach der Sicherung"})
    sync(server, a)
    a.cut()
    server.time.pass_s(1)
    b.replica.create("account_group", {"name": "auf dem neuen Telefon"})
    sync(server, b)
    names = sorted(row.fields["name"] for row in b.replica.rows("account_group"))
    assert names == ["auf dem neuen Telefon", "nach der Sicherung", "vor der Sicherung"]
    assert b.look() == rows_of(server.home) and b.is_green


def test_a_revoked_device_comes_back_as_another(server, phone):
    a = phone()
    a.replica.create("account_group", {"name": "Giro"})
    sync(server, a)
    device = a.replica.meta.device
    a.cut()
    server.home.revoke(device)
    a.replica.create("account_group", {"name": "Sparen"})
    sync(server, a)
    assert a.replica.meta.device != device
    assert a.look() == rows_of(server.home) and a.replica.pending == 0


def test_numbers_start_over_under_a_new_identity_and_have_no_hole(server, phone, tmp_path):
    a = phone(tmp_path / "a.sqlite")
    sync(server, a)
    b = clone(phone, a, tmp_path / "b.sqlite")
    a.replica.create("account_group", {"name": "A"})
    sync(server, a)
    server.time.pass_s(1)
    for n in range(3):
        b.replica.create("account_group", {"name": f"B {n}"})
    server.heard.clear()
    sync(server, b)
    pushes = [
        [each.number for each in frame.changes] for frame in server.heard if isinstance(frame, Push)
    ]
    assert pushes == [[1, 2, 3], [1, 2, 3]], "as a copy, and then as itself"
    assert [each.acknowledged for each in server.heard if isinstance(each, Hello)] == [0, 0]
    assert b.replica.pending == 0 and len(server.home.all_rows()) == 4


# --- households ------------------------------------------------------------------------------


def test_a_household_born_offline_comes_to_the_server_with_all_that_was_typed(server, phone):
    a = phone(household=None, household_name="Familie Süß")
    a.replica.create("account_group", {"name": "Giro"})
    home = a.replica.meta.household
    sync(server, a)
    assert a.replica.meta.household_name is None, "the server has acknowledged it"
    assert rows_of(server.households[home]) == a.look()
    sync(server, a)
    a.cut()
    sync(server, a)
    assert [each.household for each in server.heard if isinstance(each, Hello)][-1] is None


def test_a_household_whose_uuid_is_taken_moves_whole_to_a_fresh_one(server, phone):
    a = phone(user=BEN, household=HOME, household_name="Bens Haushalt")
    a.replica.create("account_group", {"name": "Giro"})
    a.replica.create("account", {"name": "Konto"})
    sync(server, a)
    pump(server, a)
    home = a.replica.meta.household
    assert home != HOME and server.home.all_rows() == {}
    assert rows_of(server.households[home]) == a.look() and len(a.look()) == 2
    assert a.is_green


def test_a_household_that_was_acknowledged_does_not_move(server, phone):
    """M03: kept, told, not created again."""
    a = phone()
    sync(server, a)
    a.replica.create("account_group", {"name": "Giro"})
    server.home.set_role(a.user, None)
    a.cut()
    sync(server, a)
    assert (a.talk.session.phase, a.talk.session.reason) == ("stopped", "not_yours")
    assert a.replica.meta.household == HOME and a.replica.pending == 1
    assert not a.is_green and a.talk.last_error == "There is no such household for you."


# --- rights and frames that may not be sent ----------------------------------------------------


def test_a_viewer_keeps_what_was_typed_and_types_no_more(server, phone):
    """S16: queue kept and explained."""
    a = phone()
    a.replica.create("account_group", {"name": "Giro"})
    sync(server, a)
    a.cut()
    group = a.replica.create("account_group", {"name": "offline getippt"})
    server.home.set_role(a.user, "viewer")
    sync(server, a)
    assert a.replica.pending == 1 and len(server.home.all_rows()) == 1 and not a.is_green
    assert a.replica.row("account_group", group) is not None
    try:
        a.replica.create("account_group", {"name": "als Gast"})
        raise AssertionError("a viewer may not type")
    except Exception as error:
        assert str(error) == "You may read this household, but not change it."
    server.home.set_role(a.user, "editor")
    a.cut()
    sync(server, a)
    assert a.replica.pending == 0 and len(server.home.all_rows()) == 2 and a.is_green


def test_a_push_that_is_forbidden_is_not_repeated_and_settles_nothing(server, phone):
    a = phone()
    sync(server, a)

    def only_reading(frame) -> None:
        if isinstance(frame, Push) and frame.changes:
            raise Forbidden()

    server.gate = only_reading
    a.replica.create("account_group", {"name": "Giro"})
    sync(server, a)
    sync(server, a)
    pushes = [each for each in server.heard if isinstance(each, Push) and each.changes]
    assert len(pushes) == 1 and a.replica.pending == 1 and not a.is_green


def test_a_busy_household_is_tried_again_with_the_same_numbers(server, phone):
    """Q03: none marks a change refused."""
    a = phone()
    sync(server, a)
    refusals = iter([Busy(retry_after_ms=500), Busy(retry_after_ms=500)])

    def busy(frame) -> None:
        if isinstance(frame, Push) and (error := next(refusals, None)):
            raise error

    server.gate = busy
    a.replica.create("account_group", {"name": "Giro"})
    for _ in range(3):
        sync(server, a)
        assert not a.replica.refused()
        server.time.pass_s(0.6)
        a.do(a.talk.timer(a.now))
    pump(server, a)
    assert a.replica.pending == 0 and len(server.home.all_rows()) == 1
    assert [each.changes[0].number for each in server.heard if isinstance(each, Push)] == [1, 1, 1]
