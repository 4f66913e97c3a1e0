"""Writes that do not come through the engine are stamped, numbered and delivered."""

from __future__ import annotations

import uuid
from decimal import Decimal

import psycopg
import pytest

from accounts.models import Account, AccountGroup
from syncapp.core.clock import SERVER_NODE, node_of
from tenants.context import in_tenant


def test_an_insert_typed_in_psql_needs_only_a_name_and_travels(household, psql):
    psql.execute(f"INSERT INTO {household.schema}.account (name, balance) VALUES ('Bar', 12.3400)")
    [row] = household.rows().values()
    assert row.fields["balance"] == "12.34" and row.fields["exists"] is True
    assert {node_of(stamp) for stamp in row.stamps.values()} == {SERVER_NODE}
    assert household.head().seq == 1 and household.head().stamp == row.stamps["name"]


def test_an_update_stamps_the_changed_fields_alone_and_beats_what_it_saw(household, psql):
    phone = household.device()
    change = phone.change("create", "account", str(uuid.uuid4()), {"name": "Giro"})
    phone.push(change)
    psql.execute(
        f"UPDATE {household.schema}.account SET balance = 5, name = name, account_group_id = id"
    )
    row = household.rows()["account", change.id]
    assert row.fields["balance"] == "5"
    newer = {name for name, stamp in row.stamps.items() if stamp != change.stamp}
    assert newer == {"balance", "accountGroupId"}
    assert all(row.stamps[name] > change.stamp for name in newer)


def test_an_update_that_changes_nothing_wakes_nobody(household, psql):
    """D13"""
    phone = household.device()
    phone.push(phone.change("create", "account", str(uuid.uuid4()), {"name": "Giro"}))
    psql.execute(
        f"UPDATE {household.schema}.account SET balance = 0.0, sync_seq = 99, sync_exists = false"
    )
    assert household.head().seq == 1
    assert next(iter(household.rows().values())).fields["exists"] is True


def test_a_delete_becomes_a_tombstone_and_only_an_insert_revives(household, psql):
    phone = household.device()
    change = phone.change("create", "account", str(uuid.uuid4()), {"name": "Giro", "note": "kept"})
    phone.push(change)
    psql.execute(f"DELETE FROM {household.schema}.account")
    row = household.rows()["account", change.id]
    assert row.fields["exists"] is False and row.fields["note"] == "kept"
    psql.execute(f"UPDATE {household.schema}.account SET note = 'edited'")
    assert household.rows()["account", change.id].fields["exists"] is False
    psql.execute(f"DELETE FROM {household.schema}.account")
    assert household.head().seq == 3
    psql.execute(f"INSERT INTO {household.schema}.account (id, name) VALUES ('{change.id}', 'Neu')")
    row = household.rows()["account", change.id]
    assert row.fields["exists"] is True and row.fields["name"] == "Neu" and row.fields["note"] == ""


def test_a_changed_id_and_truncate_are_refused(household, psql):
    psql.execute(f"INSERT INTO {household.schema}.account (name) VALUES ('x')")
    with pytest.raises(psycopg.errors.RaiseException, match="id of a synced row"):
        psql.execute(f"UPDATE {household.schema}.account SET id = gen_random_uuid()")
    with pytest.raises(psycopg.errors.RaiseException, match="TRUNCATE"):
        psql.execute(f"TRUNCATE {household.schema}.account")
    assert len(household.rows()) == 1


def test_all_rows_of_a_transaction_carry_one_seq_and_a_rollback_leaves_no_hole(household, psql):
    schema = household.schema
    with psql.transaction():
        psql.execute(f"INSERT INTO {schema}.account (name) VALUES ('a'), ('b')")
        with pytest.raises(RuntimeError), psql.transaction():
            psql.execute(f"INSERT INTO {schema}.account_group (name) VALUES ('undone')")
            raise RuntimeError
        psql.execute(f"INSERT INTO {schema}.account_group (name) VALUES ('c')")
    with pytest.raises(RuntimeError), psql.transaction():
        psql.execute(f"UPDATE {schema}.account SET note = 'undone'")
        raise RuntimeError
    psql.execute(f"UPDATE {schema}.account SET note = 'n' WHERE name = 'a'")
    seqs = psql.execute(
        f"SELECT name, sync_seq FROM {schema}.account "
        f"UNION SELECT name, sync_seq FROM {schema}.account_group"
    ).fetchall()
    assert dict(seqs) == {"a": 2, "b": 1, "c": 1}
    assert [
        s for (s,) in psql.execute(f"SELECT seq FROM {schema}.sync_transaction ORDER BY 1")
    ] == [0, 1, 2]


def test_text_from_elsewhere_is_normalised(household, psql):
    psql.execute(f"INSERT INTO {household.schema}.account (name) VALUES (E'Mu\\u0308ller')")
    [row] = household.rows().values()
    assert row.fields["name"] == "Müller"


def test_nan_is_refused_by_the_database_itself(household, psql):
    """S34"""
    with pytest.raises(psycopg.errors.CheckViolation):
        psql.execute(f"INSERT INTO {household.schema}.account (name, balance) VALUES ('x', 'NaN')")


def test_triggers_tell_listeners_at_commit(household, psql):
    psql.execute("LISTEN finwise_news")
    psql.execute(f"INSERT INTO {household.schema}.account (name) VALUES ('x')")
    [note] = list(psql.notifies(timeout=5, stop_after=1))
    assert note.payload == f"{household.schema} 1"


def test_shell_edits_travel_and_save_writes_only_what_differs(household):
    with in_tenant(household.id):
        Account.objects.create(name="Shell", balance=Decimal("1.50"))
        first = Account.objects.get()
        second = Account.objects.get()
        first.note = "from first"
        first.save()
        second.balance = Decimal(9)
        second.save()
    [row] = household.rows().values()
    assert row.fields["note"] == "from first" and row.fields["balance"] == "9"
    with in_tenant(household.id):
        Account.objects.all().update(sort_order=3)
        Account.objects.get().delete()
        assert Account.objects.count() == 0 and Account.with_tombstones.count() == 1
        AccountGroup.objects.bulk_create([AccountGroup(name="a"), AccountGroup(name="b")])
    rows = household.rows()
    assert len(rows) == 3
    assert [row.fields["exists"] for key, row in rows.items() if key[0] == "account"] == [False]


def test_a_deleted_group_leaves_its_accounts_alone(household):
    """E09, F01: a reference is a value."""
    with in_tenant(household.id):
        group = AccountGroup.objects.create(name="g")
        Account.objects.create(name="a", account_group=group)
        AccountGroup.objects.all().delete()
        group.refresh_from_db(from_queryset=AccountGroup.with_tombstones)
        assert group.sync_exists is False
    row = next(row for key, row in household.rows().items() if key[0] == "account")
    assert row.fields["accountGroupId"] == str(group.id)
