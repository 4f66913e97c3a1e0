"""Faults are planted one by one; sync_doctor finds each, mends what can be mended, and then
devices that were there before, and one that comes anew, are in step."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from syncapp.doctor.findings import CODES
from syncapp.tests.faults.devices import Devices, assert_same, bring_home, rows_of, until
from syncapp.tests.household import Household
from syncapp.tests.operator.commands import run
from syncapp.tests.operator.off_the_loop import off_the_loop
from syncapp.tests.socket.server import ServerThread
from tenants.models import Tenant, User
from tenants.provisioning import delete_household
from tenants.tokens import create_token

FUTURE = "01ffffffffff-0000-00000000000000aa"


@pytest.fixture
def patient(households: Callable[[], Household]) -> Iterator[Household]:
    """A household of its own: what is done to its schema must not meet another test."""
    made = Household.provision("Patient")
    yield made
    delete_household(made.id)
    Tenant.objects.filter(pk=made.id).delete()


@pytest.fixture
def sql(patient: Household) -> Iterator[Callable[..., list[Any]]]:
    """Runs a statement as psql would; {s} is the household's schema."""
    parameters = connection.get_connection_params()
    keep = ("host", "port", "dbname", "user", "password")
    values = {key: parameters[key] for key in keep if parameters.get(key)}
    with psycopg.connect(**values, autocommit=True) as raw:

        def do(statement: str, *parameters: Any) -> list[Any]:
            cursor = raw.execute(statement.replace("{s}", patient.schema), parameters or None)
            return cursor.fetchall() if cursor.description else []

        yield do


@dataclass(frozen=True)
class Fault:
    """statements: how it is planted. code: what is found. stays: it is never mended."""

    code: str
    statements: list[str]
    stays: bool = False
    exit_code: int = 3
    also: set[str] = field(default_factory=set)


PURGE = "SELECT set_config('finwise.writer', 'purge', false)"
STAMPS = """UPDATE {s}.account_group SET sync_stamps = sync_stamps || '{"name": "%s"}'"""
FAULTS = {
    "a dropped trigger": Fault(
        "trigger_missing", ["DROP TRIGGER sync_2_stamp ON {s}.account"]
    ),
    "a trigger that is switched off": Fault(
        "trigger_missing", ["ALTER TABLE {s}.account_group DISABLE TRIGGER sync_2_stamp"]
    ),
    "a trigger on other events": Fault(
        "trigger_missing",
        [
            "DROP TRIGGER sync_1_lock ON {s}.account",
            "CREATE TRIGGER sync_1_lock BEFORE DELETE ON {s}.account"
            " FOR EACH STATEMENT EXECUTE FUNCTION {s}.sync_lock_head()",
        ],
    ),
    "a function that somebody changed": Fault(
        "function_differs",
        [
            "CREATE OR REPLACE FUNCTION {s}.sync_stamp_row() RETURNS trigger"
            " LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
        ],
    ),
    "a seq that is behind its rows": Fault(
        "head_behind", ["UPDATE {s}.sync_head SET seq = 1"]
    ),
    "a row without a number": Fault(
        "seq_missing",
        [PURGE, "UPDATE {s}.account SET sync_seq = 0, name = 'unnumbered'"],
    ),
    "a stamp in the future": Fault("stamp_future", [PURGE, STAMPS % FUTURE]),
    "a stamp that is none": Fault("stamp_malformed", [PURGE, STAMPS % "yesterday"]),
    "no stamps at all": Fault(
        "stamp_malformed", [PURGE, "UPDATE {s}.account SET sync_stamps = '{}'"]
    ),
    "stamps that are no object": Fault(
        "stamp_malformed", [PURGE, "UPDATE {s}.account SET sync_stamps = '[1]'"]
    ),
    "a head whose stamp is from the future": Fault(
        "head_stamp", [f"UPDATE {{s}}.sync_head SET stamp = '{FUTURE}'"]
    ),
    "a head whose stamp is behind": Fault("head_stamp", ["UPDATE {s}.sync_head SET stamp = ''"]),
    "a wrong fingerprint": Fault(
        "fingerprint_wrong", ["UPDATE {s}.sync_head SET fingerprint = '0123456789abcdef'"]
    ),
    "a fingerprint that is none": Fault(
        "fingerprint_wrong", ["UPDATE {s}.sync_head SET fingerprint = 'none'"]
    ),
    "fingerprints with a gap": Fault(
        "fingerprint_gap", ["DELETE FROM {s}.sync_transaction WHERE seq = 1"]
    ),
    "no fingerprint of the head": Fault(
        "fingerprint_gap",
        ["DELETE FROM {s}.sync_transaction WHERE seq = (SELECT seq FROM {s}.sync_head)"],
    ),
    "no head row": Fault("head_missing", ["DELETE FROM {s}.sync_head"]),
    "a half-made schema": Fault("table_missing", ["DROP TABLE {s}.account"]),
    "a schema without its bookkeeping": Fault(
        "table_missing", ["DROP TABLE {s}.sync_fate", "DROP TABLE {s}.sync_device"]
    ),
    "a member that is not mirrored": Fault("members_differ", ["DELETE FROM {s}.sync_member"]),
    "a stranger in the mirror": Fault(
        "members_differ",
        ["INSERT INTO {s}.sync_member VALUES (gen_random_uuid(), 'owner')"],
    ),
    "a device ahead of the head": Fault(
        "device_counters", ["UPDATE {s}.sync_device SET read_seq = 100000"]
    ),
    "a device from the future": Fault(
        "device_counters", ["UPDATE {s}.sync_device SET last_seen_ms = 9999999999999"]
    ),
    "answers to nobody": Fault(
        "answers_to_nobody",
        [
            "INSERT INTO {s}.sync_fate (device_id, key, number, stamp, digest, result, at_ms)"
            " VALUES (gen_random_uuid(), '1', 1, '', '', '{}', 0)"
        ],
    ),
    "a reference to nothing": Fault(
        "reference_lost",
        ["UPDATE {s}.account SET account_group_id = gen_random_uuid()"],
        stays=True,
        exit_code=0,
    ),
    "tables of an older release": Fault(
        "tenant_behind",
        ["UPDATE public.tenants_tenant SET schema_version = '' WHERE schema_name = '{s}'"],
    ),
}  # fmt: skip


def codes(said: Any) -> set[str]:
    return {each["code"] for case in said.facts["found"] for each in case["findings"]}


@pytest.mark.parametrize("planted", FAULTS)
async def test_each_fault_is_found_mended_and_everybody_is_in_step(
    server: ServerThread,
    patient: Household,
    sql: Callable[..., list[Any]],
    tmp_path: Path,
    planted: str,
) -> None:
    fault = FAULTS[planted]
    token = await off_the_loop(lambda: create_token(User.objects.get(pk=patient.owner), "devices"))
    async with Devices(tmp_path, str(patient.id), token) as devices:
        phone = await devices.add(server.url, "phone")
        tablet = await devices.add(server.url, "tablet")
        group = phone.create("account_group", {"name": "Girokonten"})
        await bring_home([phone])
        account = phone.create("account", {"name": "Giro", "accountGroupId": group})
        gone = phone.create("account", {"name": "gone"})
        await bring_home([phone, tablet])
        phone.delete("account", gone)
        await bring_home([phone, tablet])

        sound = await off_the_loop(lambda: run("sync_doctor", str(patient.id), "--json"))
        assert (sound.code, sound.facts["problems"]) == (0, 0), sound
        for statement in fault.statements:
            sql(statement)

        before = await off_the_loop(lambda: run("sync_doctor", str(patient.id), "--json"))
        assert codes(before) - {"head_stamp"} == {fault.code} - {"head_stamp"}, before
        assert fault.code in codes(before)
        assert before.code == fault.exit_code
        dry = await off_the_loop(
            lambda: run("sync_doctor", str(patient.id), "--repair", "--dry-run", "--json")
        )
        assert codes(dry) == codes(before)

        after = await off_the_loop(
            lambda: run("sync_doctor", str(patient.id), "--repair", "--json")
        )
        assert after.code == 0, after
        if fault.stays:
            assert codes(after) == {fault.code} and after.facts["repaired"] == 0
        else:
            assert codes(after) == set() and after.facts["repaired"] >= 1, after
            again = await off_the_loop(lambda: run("sync_doctor", str(patient.id)))
            assert again.out == "Nothing wrong in 1 of 1 households.\n"

        # Everybody is in step: who was there, who comes anew, and who writes by hand.
        new = tablet.create("account_group", {"name": "after the doctor"})
        phone.edit("account", account, {"note": "still here"})
        await bring_home([phone, tablet])
        fresh = await devices.add(server.url, "fresh")
        await bring_home([fresh, phone, tablet])
        rows = assert_same([phone, tablet, fresh])
        assert rows["account", account].fields["note"] == "still here"
        assert rows["account", account].is_here and rows["account_group", new].is_here
        assert not rows["account", gone].is_here
        sql("SELECT set_config('finwise.writer', '', false)")
        sql("UPDATE {s}.account_group SET name = 'by hand' WHERE id = %s", new)
        for device in (phone, tablet, fresh):
            await until(
                device,
                lambda device=device: (
                    rows_of(device)["account_group", new].fields["name"] == "by hand"
                ),
            )
        sql("DELETE FROM {s}.account WHERE id = %s", account)
        await until(phone, lambda: not rows_of(phone)["account", account].is_here)


def test_a_schema_without_a_household_is_found_and_left_alone(
    patient: Household, sql: Callable[..., list[Any]]
) -> None:
    """It may hold somebody's money: what to do with it is for a person to decide."""
    stray = f"t_{secrets.token_hex(16)}"
    sql(f"CREATE SCHEMA {stray}")
    try:
        said = run("sync_doctor", "--all", "--repair", "--json")
        assert stray in said.facts["schemas_without_tenant"]
        assert said.code == 3
        assert stray in run("sync_doctor").out
        assert sql("SELECT to_regnamespace(%s) IS NOT NULL", stray) == [(True,)]
    finally:
        sql(f"DROP SCHEMA {stray}")


def test_a_household_without_its_schema_is_closed_until_it_is_restored(
    patient: Household, sql: Callable[..., list[Any]]
) -> None:
    """Empty tables in its place would make every device believe that it is empty."""
    sql("DROP SCHEMA {s} CASCADE")
    said = run("sync_doctor", str(patient.id), "--json")
    assert (said.code, codes(said)) == (3, {"tenant_without_schema"})
    said = run("sync_doctor", str(patient.id), "--repair", "--json")
    assert (said.code, codes(said)) == (3, {"tenant_in_trouble"})
    tenant = Tenant.objects.get(pk=patient.id)
    assert tenant.status == Tenant.Status.MAINTENANCE
    assert "Restore a backup" in tenant.trouble
    assert sql("SELECT to_regnamespace('{s}') IS NULL") == [(True,)]


def test_a_household_that_lost_rows_and_head_is_closed(
    patient: Household, sql: Callable[..., list[Any]]
) -> None:
    """With another epoch its devices would take the empty tables for the truth."""
    sql("DROP TABLE {s}.account")
    sql("DELETE FROM {s}.sync_head")
    said = run("sync_doctor", str(patient.id), "--repair", "--json")
    assert said.code == 3
    assert Tenant.objects.get(pk=patient.id).status == Tenant.Status.MAINTENANCE
    assert sql("SELECT count(*) FROM {s}.sync_head") == [(0,)]


def test_a_missing_column_is_told_and_not_invented(
    patient: Household, sql: Callable[..., list[Any]]
) -> None:
    sql("ALTER TABLE {s}.account DROP COLUMN note")
    said = run("sync_doctor", str(patient.id), "--repair", "--json")
    assert (said.code, codes(said)) == (3, {"definition_missing"})
    assert "account.note" in said.out


def test_one_household_that_cannot_be_looked_at_does_not_hide_the_others(
    patient: Household, households: Callable[[], Household], monkeypatch: pytest.MonkeyPatch
) -> None:
    from syncapp.management.commands import sync_doctor

    other = households()
    examine = sync_doctor._examine

    def fail(tenant: Tenant, wanted: set[str]) -> Any:
        if tenant.id == patient.id:
            raise RuntimeError("no luck")
        return examine(tenant, wanted)

    monkeypatch.setattr(sync_doctor, "_examine", fail)
    said = run("sync_doctor", "--json")
    assert said.code == 1 and "no luck" in said.err and str(patient.id) in said.err
    assert said.facts["households"] >= 2
    assert str(other.id) not in said.err


def test_who_is_meant_has_to_be_clear(patient: Household) -> None:
    assert run("sync_doctor", "nobody's").code == 2
    assert run("sync_doctor", str(patient.id), "--all").code == 2


def test_every_code_is_planted_here_or_cannot_be() -> None:
    elsewhere = {
        "schema_without_tenant", "tenant_without_schema", "tenant_in_trouble",
        "definition_missing", "tenant_unfinished",
    }  # fmt: skip
    assert {each.code for each in FAULTS.values()} | elsewhere == set(CODES)


def test_a_household_that_was_never_finished_is_told(patient: Household) -> None:
    Tenant.objects.filter(pk=patient.id).update(status=Tenant.Status.PROVISIONING)
    said = run("sync_doctor", str(patient.id), "--json")
    assert (said.code, codes(said)) == (3, {"tenant_unfinished"})
