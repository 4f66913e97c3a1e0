"""`devices`, `compact_tombstones` and `create_token`, as an operator and a script use them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from syncapp.core.errors import Busy
from syncapp.management.commands import compact_tombstones as compacting
from syncapp.tests.household import Household, now_ms
from syncapp.tests.operator.commands import run
from syncapp.tests.socket.phone import Phone
from syncapp.upkeep import RETENTION_MS
from tenants.models import AuditEntry, Tenant, Token, User


def test_devices_are_listed_for_people_and_programs(household: Household) -> None:
    phone, tablet = household.device("Annas phone"), household.device("tablet")
    said = run("devices", str(household.id))
    assert said.code == 0
    assert phone.id in said.out and "Annas phone" in said.out
    assert User.objects.get(pk=household.owner).email in said.out
    facts = run("devices", str(household.id), "--json").facts
    assert {each["id"] for each in facts} == {phone.id, tablet.id}
    assert all(each["tenantId"] == str(household.id) for each in facts)
    everywhere = run("devices", "--json").facts
    assert {phone.id, tablet.id} <= {each["id"] for each in everywhere}


def test_a_device_is_ended_and_its_person_comes_back_as_another(
    household: Household, new_phone: Callable[..., Phone]
) -> None:
    phone = new_phone().online()
    dry = run("devices", str(household.id), "--revoke", phone.id, "--dry-run")
    assert dry.code == 0 and "would be" in dry.out
    phone.ping()
    before = AuditEntry.objects.count()
    said = run("devices", str(household.id), "--revoke", phone.id, "--json")
    assert said.facts["done"] == "revoke"
    assert phone.hear_close()[1] == 1012  # at once, and told to connect again
    assert phone.connect().hello()["identity"] == "taken"
    assert AuditEntry.objects.count() == before + 1
    assert ", ended" in run("devices", str(household.id)).out


def test_a_device_reads_everything_anew_when_the_operator_says_so(
    household: Household, new_phone: Callable[..., Phone]
) -> None:
    phone = new_phone().online()
    phone.push_and_settle(phone.new_group("Bank"))
    assert run("devices", str(household.id), "--reset", phone.id).code == 0
    phone.hear_close()
    assert phone.connect().hello()["reset"] == "operator"


def test_a_device_that_is_forgotten_brings_what_it_has_when_it_returns(
    household: Household,
) -> None:
    phone = household.device("old phone")
    phone.push(phone.change("create", "account_group", str(uuid.uuid4()), {"name": "x"}))
    phone.settle()
    phone.pull()
    said = run("devices", str(household.id), "--forget", "old phone")
    assert said.code == 0 and "off the list" in said.out
    assert run("devices", str(household.id), "--json").facts == []
    assert phone.hello().reset == "restored"


def test_a_device_that_is_none_or_several_is_told(household: Household) -> None:
    household.device("twin")
    household.device("twin")
    several = run("devices", str(household.id), "--revoke", "twin")
    assert (several.code, "Several" in several.err) == (2, True)
    assert run("devices", str(household.id), "--forget", str(uuid.uuid4())).code == 2
    assert run("devices", "--forget", "twin").code == 2
    assert run("devices", "nobody's").code == 2


# --- compact_tombstones ------------------------------------------------------------------


@pytest.fixture
def compactable(household: Household, psql: psycopg.Connection) -> Household:
    """A row that was deleted a hundred days ago, and read by everybody."""
    phone = household.device()
    row_id = str(uuid.uuid4())
    old_ms = now_ms() - RETENTION_MS - 10 * 24 * 3600 * 1000
    stamp = f"{old_ms:012x}-0000-{phone.node}"
    later = f"{old_ms + 1:012x}-0000-{phone.node}"
    phone.push(
        phone.change("create", "account_group", row_id, {"name": "x"}, stamp=stamp),
        phone.change("delete", "account_group", row_id, stamp=later),
    )
    psql.execute(f'UPDATE "{household.schema}".sync_device SET read_seq = 1000')
    return household


def test_tombstones_are_counted_before_they_go(compactable: Household) -> None:
    dry = run("compact_tombstones", str(compactable.id), "--dry-run", "--json")
    assert dry.facts["removed"] == {str(compactable.id): 1}
    assert len(compactable.rows()) == 1
    said = run("compact_tombstones", str(compactable.id))
    assert said.out == "1 tombstones removed in 1 households.\n"
    assert compactable.rows() == {}
    assert run("compact_tombstones", "--all", "--json").facts["removed"][str(compactable.id)] == 0


def test_a_household_that_is_busy_fails_and_the_others_are_done(
    compactable: Household,
    households: Callable[[], Household],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = households()
    compact = compacting.compact_tombstones

    def busy(tenant_id: uuid.UUID, **options: Any) -> int:
        if tenant_id == compactable.id:
            raise Busy
        return compact(tenant_id, **options)

    monkeypatch.setattr(compacting, "compact_tombstones", busy)
    said = run("compact_tombstones", "--json")
    assert said.code == 1 and "try again later" in said.err
    assert said.facts["failed"] == {str(compactable.id): "busy"}
    assert str(other.id) in said.facts["removed"]


def test_a_household_that_is_not_ready_is_told(household: Household) -> None:
    Tenant.objects.filter(pk=household.id).update(status=Tenant.Status.MAINTENANCE)
    try:
        assert run("compact_tombstones", str(household.id)).code == 2
        assert run("devices", str(household.id), "--forget", "x").code == 2
    finally:
        Tenant.objects.filter(pk=household.id).update(status=Tenant.Status.READY)


# --- create_token ------------------------------------------------------------------------


def test_a_token_is_made_for_a_script_or_only_talked_of(household: Household) -> None:
    email = User.objects.get(pk=household.owner).email
    count = Token.objects.count()
    dry = run("create_token", "--user", email, "--name", "import", "--dry-run", "--json")
    assert dry.facts == {"user": email, "name": "import"}
    assert Token.objects.count() == count
    said = run("create_token", "--user", email, "--name", "import", "--json")
    assert said.facts["token"].startswith("fw_")
    assert said.facts["token"] not in said.err
    assert Token.objects.count() == count + 1
