"""What is done to a household from outside, and that it was done: both, or neither. (S46)"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError
from django.test import Client

from syncapp.admin.cures import CURES
from syncapp.tests.household import Household, Speaker
from syncapp.tests.operator.commands import run
from tenants.memberships import set_role
from tenants.models import AuditEntry, Tenant, User
from tenants.provisioning import delete_household
from tenants.tokens import create_token

SECRET = "4711.4711"
CHANNELS = ("finwise_close", "finwise_sync", "finwise_access")


@pytest.fixture
def phone(household: Household) -> Speaker:
    return household.device("phone")


@pytest.fixture
def rows(phone: Speaker) -> dict[str, str]:
    """A group that is here, and one that was deleted."""
    here, gone = str(uuid.uuid4()), str(uuid.uuid4())
    phone.push(phone.change("create", "account_group", here, {"name": "Bank"}))
    phone.push(phone.change("create", "account_group", gone, {"name": "Old"}))
    phone.push(phone.change("delete", "account_group", gone, {}))
    return {"here": here, "gone": gone}


@pytest.fixture
def bert(household: Household) -> User:
    person = User.objects.create_user(f"{secrets.token_hex(6)}@example.org")
    set_role(Tenant.objects.get(pk=household.id), person, "editor")
    create_token(person, "laptop")
    return person


@pytest.fixture
def browser(household: Household) -> Client:
    """An operator's; has looked inside already, so that this is not what is written down."""
    operator = User.objects.create_superuser(f"{secrets.token_hex(6)}@example.org")
    client = Client(HTTP_HOST="localhost", raise_request_exception=False)
    client.force_login(operator)
    assert client.get(inside(household, "accounts/accountgroup/")).status_code == 200
    return client


@pytest.fixture
def full(psql: psycopg.Connection) -> Callable[[], AbstractContextManager[None]]:
    """Within its block nothing more can be written down."""

    @contextmanager
    def block() -> Iterator[None]:
        table = "ALTER TABLE public.tenants_auditentry"
        psql.execute(f"{table} ADD CONSTRAINT full_now CHECK (false) NOT VALID")
        try:
            yield
        finally:
            psql.execute(f"{table} DROP CONSTRAINT full_now")

    return block


@pytest.fixture
def full_audit(
    full: Callable[[], AbstractContextManager[None]], browser: Client, rows: object, bert: User
) -> Iterator[None]:
    """Nothing more can be written down: the last of what the fixtures do."""
    with full():
        yield


def inside(household: Household, path: str) -> str:
    return f"/admin/household/{household.id}/{path}"


def everything(psql: psycopg.Connection, household: Household) -> dict[str, list[str]]:
    """Every row of the household, and of what is known about it in public."""
    found = psql.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = %s", [household.schema]
    )
    tables = [f'"{household.schema}"."{name}"' for (name,) in found.fetchall()]
    tables += [f"public.tenants_{name}" for name in ("tenant", "membership", "token", "invitation")]
    assert len(tables) > 10
    return {
        table: sorted(row for (row,) in psql.execute(f"SELECT t::text FROM {table} t").fetchall())
        for table in tables
    }


def posts(household: Household, phone: Speaker, rows: dict[str, str], bert: User) -> dict[str, Any]:
    """All that can be sent from the admin and the status page: an address, and what is sent."""
    page = f"/admin/tenants/tenant/{household.id}"
    membership = bert.memberships.get()
    group = inside(household, "accounts/accountgroup/")
    made: dict[str, Any] = {
        name: (
            f"{page}/device/{phone.id}/{name}/" if cure.is_for_device else f"{page}/do/{name}/",
            {},
        )
        for name, cure in CURES.items()
    }
    fields = {"name": "New name", "sort_order": "0", "image": "", "seen": json.dumps({})}
    return made | {
        "the status page": (f"/sync/{household.id}/now/", {}),
        "provision": (
            "/admin/tenants/tenant/provision/",
            {"name": "New", "owner": User.objects.get(pk=household.owner).email},
        ),
        "set a role": (
            f"/admin/tenants/membership/{membership.pk}/change/",
            {"role": "viewer"},
        ),
        "end a membership": (
            f"/admin/tenants/membership/{membership.pk}/delete/",
            {"post": "yes"},
        ),
        "revoke a token": (
            "/admin/tenants/token/",
            {"action": "revoke", "is_sure": "1", "_selected_action": str(bert.tokens.get().pk)},
        ),
        "make a row": (f"{group}add/", fields),
        "delete a row": (f"{group}{rows['here']}/delete/", {"post": "yes"}),
        "restore a row": (f"{group}{rows['gone']}/restore/", {}),
    }


WHAT = [
    *CURES, "the status page", "provision", "set a role", "end a membership", "revoke a token",
    "make a row", "delete a row", "restore a row",
]  # fmt: skip
# What there is nothing of in these tests, and what only reads.
CHANGES_NOTHING_HERE = {"compact", "export"}


@pytest.mark.parametrize("what", WHAT)
def test_what_cannot_be_written_down_does_not_happen(
    what: str,
    browser: Client,
    household: Household,
    phone: Speaker,
    rows: dict[str, str],
    bert: User,
    full_audit: None,
    psql: psycopg.Connection,
) -> None:
    asked = posts(household, phone, rows, bert)
    assert sorted(asked) == sorted(WHAT)
    path, sent = asked[what]
    before = everything(psql, household)
    for channel in CHANNELS:
        psql.execute(f"LISTEN {channel}")
    answer = browser.post(path, sent)
    assert answer.status_code == 500
    assert SECRET not in answer.content.decode()
    assert everything(psql, household) == before
    assert list(psql.notifies(timeout=0)) == []


@pytest.mark.parametrize("what", sorted(set(WHAT) - CHANGES_NOTHING_HERE))
def test_the_same_happens_where_it_can_be_written_down(
    what: str,
    browser: Client,
    household: Household,
    phone: Speaker,
    rows: dict[str, str],
    bert: User,
    psql: psycopg.Connection,
) -> None:
    """So the test above sees a change undone, and not a request that was wrong."""
    path, sent = posts(household, phone, rows, bert)[what]
    before = everything(psql, household)
    assert browser.post(path, sent).status_code == 302
    assert everything(psql, household) != before


@pytest.mark.parametrize(
    "arguments",
    [
        ["devices", "{tenant}", "--revoke", "{device}"],
        ["devices", "{tenant}", "--reset", "{device}"],
        ["devices", "{tenant}", "--forget", "{device}"],
        ["sync_now", "{tenant}"],
        ["export_tenant", "{tenant}"],
    ],
    ids=" ".join,
)
def test_commands_hold_to_it_too(
    arguments: list[str],
    household: Household,
    phone: Speaker,
    full_audit: None,
    psql: psycopg.Connection,
    capsys: pytest.CaptureFixture[str],
) -> None:
    phone.push(phone.change("create", "account", str(uuid.uuid4()), {"balance": SECRET}))
    names = {"tenant": str(household.id), "device": phone.id}
    before = everything(psql, household)
    with pytest.raises(IntegrityError):
        run(*(each.format(**names) for each in arguments))
    assert everything(psql, household) == before
    assert SECRET not in capsys.readouterr().out


REPAIRS = {
    "a trigger": ("DROP TRIGGER sync_2_stamp ON {s}.account", "trigger_missing"),
    "a member": ("DELETE FROM {s}.sync_member", "members_differ"),
    "the household's tables": ("DROP TABLE {s}.account, {s}.sync_head", "table_missing"),
    "all of it": ("DROP SCHEMA {s} CASCADE", "tenant_without_schema"),
}


@pytest.fixture
def patient(households: Callable[[], Household]) -> Iterator[Household]:
    """A household of its own: what is done to its schema must not meet another test."""
    made = Household.provision("Patient")
    yield made
    delete_household(made.id)
    Tenant.objects.filter(pk=made.id).delete()


@pytest.mark.parametrize("lost", REPAIRS)
def test_the_doctor_mends_nothing_that_it_cannot_write_down(
    lost: str,
    patient: Household,
    psql: psycopg.Connection,
    full: Callable[[], AbstractContextManager[None]],
) -> None:
    statement, code = REPAIRS[lost]
    psql.execute(statement.replace("{s}", patient.schema))
    tenant = Tenant.objects.get(pk=patient.id)
    with full():
        said = run("sync_doctor", str(patient.id), "--repair", "--json")
        assert said.code == 1
        (found,) = said.facts["found"]
        assert code in {each["code"] for each in found["findings"]} and not found["repaired"]
    assert Tenant.objects.get(pk=patient.id).status == tenant.status
    still = run("sync_doctor", str(patient.id), "--json").facts["found"]
    assert still == [found]

    run("sync_doctor", str(patient.id), "--repair", "--json")
    entry = AuditEntry.objects.get(tenant=tenant, action="repair")
    assert code in entry.detail


def test_the_test_knows_every_cure(households: Callable[[], Household]) -> None:
    assert set(CURES) <= set(WHAT)
    assert {name for name, cure in CURES.items() if cure.is_reading} == {"export"}
