"""A household goes out as lines and comes in again: everything, or nothing."""

from __future__ import annotations

import hashlib
import json
import secrets
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from syncapp.portable import (
    BadLines,
    NotEmpty,
    export_household,
    import_household,
    read_lines,
)
from syncapp.portable.format import LINE_MAX_BYTES, PROBLEMS_MAX, Portable
from syncapp.registry import entities
from syncapp.tests.household import Household, now_ms
from syncapp.tests.operator.commands import run
from tenants.memberships import set_role
from tenants.models import AuditEntry, Membership, Tenant, User
from tenants.provisioning import delete_household

Line = dict[str, Any]


def lines_of(household: Household) -> list[str]:
    return list(export_household(household.id))


def read(lines: list[str] | list[bytes]) -> Portable:
    raw = [each if isinstance(each, bytes) else each.encode() for each in lines]
    return read_lines(raw, entities(), now_ms())


def sealed(lines: list[Line]) -> list[str]:
    """The lines with an end that fits them."""
    texts = [json.dumps(each) + "\n" for each in lines]
    digest = hashlib.sha256("".join(texts).encode()).hexdigest()
    return [*texts, json.dumps({"kind": "end", "lines": len(texts), "sha256": digest}) + "\n"]


@pytest.fixture
def full(household: Household, new_id: Callable[[], str]) -> Household:
    """Rows, a tombstone, a bare tombstone, an odd decimal, a conflict."""
    phone, tablet = household.device("phone"), household.device("tablet")
    group, account, gone = new_id(), new_id(), new_id()
    phone.push(
        phone.change("create", "account_group", group, {"name": "Girokonten"}),
        phone.change(
            "create",
            "account",
            account,
            {"name": "Bänk ☕", "balance": "12.5", "accountGroupId": group, "isActive": False},
        ),
        phone.change("create", "account", gone, {"name": "old", "balance": "-0.0001"}),
        phone.change("delete", "account", gone),
        phone.change("delete", "account_group", new_id()),
    )
    seen = {"note": household.rows()["account", account].stamps["note"]}
    tablet.push(tablet.change("edit", "account", account, {"note": "by the tablet"}, seen))
    phone.push(phone.change("edit", "account", account, {"note": "by the phone"}))
    return household


def test_what_comes_in_is_what_went_out(
    full: Household, households: Callable[[], Household]
) -> None:
    """R07"""
    before = full.rows()
    assert {row.entity for row in before.values()} == {"account", "account_group", "conflict"}
    other = households()
    done = import_household(other.id, read(lines_of(full)))
    after = other.rows()
    conflicts = [key for key in before if key[0] == "conflict"]
    for key in conflicts:
        # Its author is no member there.
        mine, theirs = before.pop(key), after.pop(key)
        assert theirs.fields["winningValue"] == mine.fields["winningValue"] == "by the phone"
    assert after == before
    assert (done.rows, done.tombstones, done.conflicts) == (2, 2, len(conflicts))
    # And again: the same lines but for who they are of, and in whose words.
    body = [line for line in sorted(lines_of(other)) if '"row"' in line]
    assert body == [line for line in sorted(lines_of(full)) if '"row"' in line]


def test_the_head_tells_what_follows_and_the_end_proves_it(full: Household) -> None:
    lines = [json.loads(line) for line in lines_of(full)]
    head, end = lines[0], lines[-1]
    assert head["format"], head["version"] == ("finwise.household", 1)
    assert head["id"] == str(full.id)
    assert head["counts"] == {"member": 1, "account": 2, "account_group": 2, "conflict": 1}
    assert "balance" in head["entities"]["account"]
    assert end["lines"] == len(lines) - 1
    (member,) = [each for each in lines if each["kind"] == "member"]
    assert member["role"] == "owner" and "@example.org" in member["email"]


def test_a_conflict_that_is_over_stays_behind(full: Household) -> None:
    phone = full.device("another phone")
    (conflict,) = [row for key, row in full.rows().items() if key[0] == "conflict"]
    row_id = conflict.fields["rowId"]
    seen = {"note": conflict.fields["winningStamp"]}
    phone.push(phone.change("edit", "account", row_id, {"note": "settled"}, seen))
    kinds = [json.loads(line)["kind"] for line in lines_of(full)]
    assert "conflict" not in kinds


def test_more_rows_than_a_page_holds_go_out_once_each(
    household: Household, new_id: Callable[[], str]
) -> None:
    phone = household.device()
    for _ in range(3):
        phone.push(
            *(phone.change("create", "account_group", new_id(), {"name": "x"}) for _ in range(400))
        )
    lines = [json.loads(line) for line in lines_of(household)]
    ids = [each["id"] for each in lines if each["kind"] == "row"]
    assert len(ids) == len(set(ids)) == 1200
    # Imported, all of them lie at one seq, and are read in pages all the same.
    import_household(household.id, read(lines_of(household)), replace=True)
    assert len(household.rows()) == 1200


def test_a_household_that_holds_something_is_not_written_over(
    full: Household, households: Callable[[], Household]
) -> None:
    portable, head, rows = read(lines_of(full)), full.head(), full.rows()
    with pytest.raises(NotEmpty):
        import_household(full.id, portable)
    assert (full.head(), full.rows()) == (head, rows)
    done = import_household(full.id, portable, replace=True)
    assert done.replaced
    assert full.head().epoch != head.epoch
    assert full.head().seq == head.seq + 1
    assert full.head().stamp >= head.stamp
    assert full.rows() == rows


def _without_people(rows: dict[Any, Any]) -> dict[Any, Any]:
    return {key: row for key, row in rows.items() if key[0] != "conflict"}


def test_what_was_sent_and_not_heard_is_decided_anew_after_an_import(full: Household) -> None:
    """The stored answer would tell of an effect that is gone."""
    portable = read(lines_of(full))
    phone = full.device("late")
    change = phone.change("create", "account_group", str(uuid.uuid4()), {"name": "late"})
    assert phone.push(change)[0].fate == "applied"
    import_household(full.id, portable, replace=True)
    assert ("account_group", change.id) not in full.rows()
    assert phone.push(change)[0].fate == "applied"
    assert full.rows()["account_group", change.id].fields["name"] == "late"


def test_devices_take_the_reset_of_the_operator(full: Household) -> None:
    phone = full.device("reader")
    phone.pull()
    import_household(full.id, read(lines_of(full)), replace=True)
    greeting = phone.hello()
    assert greeting.reset == "operator"


def test_a_compacted_delete_is_remembered_by_the_new_household(
    full: Household, households: Callable[[], Household]
) -> None:
    lines = [json.loads(line) for line in lines_of(full)[:-1]]
    lines[0]["horizon"] = horizon = "018fffffffff-0000-00000000000000aa"
    other = households()
    import_household(other.id, read(sealed(lines)))
    assert other.head().horizon == horizon
    assert other.head().stamp >= horizon


FUTURE = "ffffffffffff-0000-00000000000000aa"


def _row(lines: list[Line], entity: str = "account") -> Line:
    rows = [each for each in lines if each["kind"] == "row" and each["entity"] == entity]
    return next(each for each in rows if each["fields"]["exists"])


def _set(field: str, value: Any) -> Callable[[list[Line]], None]:
    return lambda lines: _row(lines)["fields"].update({field: value})


def _conflict(field: str, value: Any) -> Callable[[list[Line]], None]:
    def change(lines: list[Line]) -> None:
        next(each for each in lines if each["kind"] == "conflict")[field] = value

    return change


BAD: dict[str, tuple[Callable[[list[Line]], Any], str]] = {
    "an amount with too many digits": (_set("balance", "1.23456"), "digits"),
    "an amount that is none": (_set("balance", "NaN"), "type"),
    "a number for an amount": (_set("balance", 12.5), "type"),
    "a name with NUL": (_set("name", "a\0b"), "text"),
    "a name that is too long": (_set("name", "x" * 121), "too_long"),
    "a choice that is none": (_set("accountType", "offshore"), "choice"),
    "an IBAN that is none": (_set("iban", "DE00"), "iban"),
    "a reference that is none": (_set("accountGroupId", "x'; DROP"), "reference"),
    "a script for an image": (_set("image", "data:text/html;base64,AAAA"), "image"),
    "existence that is none": (_set("exists", "yes"), "required"),
    "an unknown field": (_set("colour", "red"), "unknown"),
    "a missing field": (lambda lines: _row(lines)["fields"].pop("name"), "required"),
    "an unknown kind of row": (lambda lines: _row(lines).update(entity="user"), "unknown"),
    "a row of ours alone": (lambda lines: _row(lines).update(entity="conflict"), "unknown"),
    "an id that is none": (lambda lines: _row(lines).update(id="1"), "line"),
    "a stamp that is none": (lambda lines: _row(lines).update(stamp="now"), "line"),
    "a stamp of the far future": (lambda lines: _row(lines).update(stamp=FUTURE), "stamp"),
    "a stamp without a value": (lambda lines: _row(lines).update(stamps={"x": FUTURE}), "stamp"),
    "the same row twice": (lambda lines: lines.append(dict(_row(lines))), "repeated"),
    "the same member twice": (lambda lines: lines.append(dict(lines[1])), "repeated"),
    "a role that is none": (lambda lines: lines[1].update(role="god"), "line"),
    "a line that is none": (lambda lines: lines.append({"kind": "token"}), "line"),
    "a key too many": (lambda lines: lines[1].update(is_staff=True), "line"),
    "two heads": (lambda lines: lines.append(dict(lines[0])), "head"),
    "no head": (lambda lines: lines.pop(0), "format"),
    "another format": (lambda lines: lines[0].update(format="csv"), "format"),
    "a later version": (lambda lines: lines[0].update(version=2), "version"),
    "a horizon of the far future": (lambda lines: lines[0].update(horizon=FUTURE), "stamp"),
    "a name with a newline": (lambda lines: lines[0].update(name="a\nb"), "line"),
    "too few rows": (lambda lines: lines.remove(_row(lines)), "count"),
    "a conflict of an unknown field": (_conflict("field", "colour"), "unknown"),
    "a conflict about nothing": (_conflict("entity", "user"), "unknown"),
    "a conflict with a foreign value": (_conflict("losingValue", {"a": 1}), "type"),
    "a conflict of the far future": (_conflict("winningStamp", FUTURE), "stamp"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_named_with_a_code_and_nothing_is_done(full: Household, case: str) -> None:
    change, code = BAD[case]
    lines = [json.loads(line) for line in lines_of(full)[:-1]]
    read(sealed(lines))
    change(lines)
    with pytest.raises(BadLines) as raised:
        read(sealed(lines))
    assert code in [each.code for each in raised.value.problems]


def test_a_file_that_was_cut_damaged_or_lengthened_is_refused(full: Household) -> None:
    lines = [line.encode() for line in lines_of(full)]

    def code(changed: list[bytes]) -> str:
        with pytest.raises(BadLines) as raised:
            read(changed)
        return raised.value.problems[0].code

    assert code(lines[:-1]) == "truncated"
    assert code([]) == "truncated"
    assert code([*lines, lines[1]]) == "after_end"
    assert code([line.replace(b"Girokonten", b"Girokonto1") for line in lines]) == "digest"
    assert code([lines[0], b"{", *lines[1:]]) == "json"
    assert code([lines[0], b"\xff\xfe\n", *lines[1:]]) == "json"
    assert code([lines[0], b"[" * 5000 + b"\n", *lines[1:]]) == "line"
    assert code([lines[0], b'"' + b"x" * LINE_MAX_BYTES + b'"\n', *lines[1:]]) == "too_large"
    assert code([b"\x7fELF"]) == "format"


def test_every_bad_line_is_told_up_to_a_limit(full: Household) -> None:
    lines = [json.loads(line) for line in lines_of(full)[:-1]]
    lines += [{"kind": "row", "number": n} for n in range(PROBLEMS_MAX + 20)]
    with pytest.raises(BadLines) as raised:
        read(sealed(lines))
    assert len(raised.value.problems) == PROBLEMS_MAX
    assert f"line {len(lines) - 120 + 1}: " in str(raised.value)
    assert "… and 20 more" in str(raised.value)


def test_no_value_of_a_bad_line_is_told(full: Household) -> None:
    """The sentences land in logs and tickets."""
    lines = [json.loads(line) for line in lines_of(full)[:-1]]
    _row(lines)["fields"]["balance"] = "987654.32109"
    with pytest.raises(BadLines) as raised:
        read(sealed(lines))
    assert "98765" not in str(raised.value)


# --- the commands ------------------------------------------------------------------------


@pytest.fixture
def exported(full: Household, tmp_path: Path) -> Path:
    path = tmp_path / "household.jsonl"
    said = run("export_tenant", str(full.id), "--output", str(path), "--json")
    assert said.code == 0, said
    assert said.facts["counts"]["account"] == 2
    return path


@pytest.fixture
def made(households: Callable[[], Household]) -> Any:
    """Removes the households that a test makes."""
    before = set(Tenant.objects.values_list("pk", flat=True))
    yield
    for tenant in Tenant.objects.exclude(pk__in=before):
        if tenant.status != Tenant.Status.DELETED:
            delete_household(tenant.pk)
        tenant.delete()


def test_a_file_is_for_its_owner_only_complete_and_not_written_over(
    full: Household, exported: Path
) -> None:
    assert exported.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in exported.parent.iterdir()] == [exported.name]
    again = run("export_tenant", str(full.id), "--output", str(exported))
    assert (again.code, "--force" in again.err) == (2, True)
    forced = run("export_tenant", str(full.id), "--output", str(exported), "--force")
    assert forced.code == 0 and "2 account" in forced.out
    nowhere = run("export_tenant", str(full.id), "--output", "/nowhere/file")
    assert nowhere.code == 1 and "could not be written" in nowhere.err


def test_the_lines_can_go_to_another_program(full: Household) -> None:
    said = run("export_tenant", str(full.id))
    assert read(said.out.splitlines(keepends=True)).head.id == str(full.id)
    assert run("export_tenant", str(full.id), "--json").code == 2
    assert run("export_tenant", str(uuid.uuid4())).code == 2


def test_a_new_household_takes_the_members_that_sign_in_here(
    full: Household, tmp_path: Path, made: None
) -> None:
    tenant = Tenant.objects.get(pk=full.id)
    bert = User.objects.create_user(email=f"{secrets.token_hex(4)}@example.org")
    gone = User.objects.create_user(email=f"{secrets.token_hex(4)}@example.org")
    set_role(tenant, bert, "viewer")
    set_role(tenant, gone, "editor")
    path = tmp_path / "file"
    assert run("export_tenant", str(full.id), "--output", str(path)).code == 0
    Membership.objects.filter(user__in=[bert, gone]).delete()
    address = gone.email
    gone.delete()
    said = run("import_tenant", str(path), "--new", "--json")
    assert said.code == 0, said
    facts = said.facts
    assert facts["tenant"] != str(full.id) and facts["made"] and not facts["replaced"]
    assert facts["unknown_members"] == [address]
    members = Membership.objects.filter(tenant_id=facts["tenant"])
    assert {each.user_id: each.role for each in members} == {
        full.owner: "owner",
        bert.id: "viewer",
    }
    new = Household(uuid.UUID(facts["tenant"]), full.owner)
    assert _without_people(new.rows()) == _without_people(full.rows())


def test_a_household_without_a_known_owner_needs_one(
    exported: Path, full: Household, made: None
) -> None:
    lines = [json.loads(line) for line in exported.read_text().splitlines()[:-1]]
    lines[0]["id"] = str(uuid.uuid4())
    lines[1]["email"] = "stranger@example.net"
    exported.write_text("".join(sealed(lines)))
    said = run("import_tenant", str(exported))
    assert (said.code, "--owner" in said.err) == (2, True)
    assert not Tenant.objects.filter(pk=lines[0]["id"]).exists()
    owner = User.objects.get(pk=full.owner)
    said = run("import_tenant", str(exported), "--owner", owner.email)
    assert said.code == 0 and "stranger@example.net" in said.out
    assert Tenant.objects.get(pk=lines[0]["id"]).memberships.get().user == owner


def test_a_dry_run_says_it_all_and_changes_nothing(
    exported: Path, full: Household, made: None
) -> None:
    head, count = full.head(), Tenant.objects.count()
    entries = AuditEntry.objects.count()
    for arguments in (["--replace"], ["--new"]):
        said = run("import_tenant", str(exported), "--dry-run", "--json", *arguments)
        assert said.code == 0 and said.facts["rows"] == 2 and said.facts["dry_run"], said
    assert "would be" in run("import_tenant", str(exported), "--new", "--dry-run").out
    assert (full.head(), Tenant.objects.count()) == (head, count)
    assert AuditEntry.objects.count() == entries
    assert run("import_tenant", str(exported), "--replace").code == 0
    assert [each.action for each in AuditEntry.objects.order_by("-at")[:2]] == ["import", "export"]


def test_what_is_wrong_is_said_with_exit_code_two(
    exported: Path, full: Household, tmp_path: Path, made: None
) -> None:
    said = run("import_tenant", str(exported))
    assert said.code == 2 and "--replace" in said.err
    damaged = tmp_path / "damaged"
    damaged.write_bytes(exported.read_bytes().replace(b"12.5", b"12.6"))
    said = run("import_tenant", str(damaged), "--replace")
    assert said.code == 2 and "(digest)" in said.err and "Nothing was imported" in said.err
    assert run("import_tenant", str(tmp_path / "none")).code == 2
    assert run("import_tenant", str(exported), "--into", "nobody's").code == 2


def test_the_uuid_of_a_deleted_household_stays_reserved(
    exported: Path, full: Household, made: None
) -> None:
    said = run("import_tenant", str(exported), "--new", "--json")
    new_id = said.facts["tenant"]
    delete_household(uuid.UUID(new_id))
    lines = [json.loads(line) for line in exported.read_text().splitlines()[:-1]]
    lines[0]["id"] = new_id
    exported.write_text("".join(sealed(lines)))
    said = run("import_tenant", str(exported))
    assert said.code == 2 and "stays reserved" in said.err
    assert run("export_tenant", new_id).code == 2
