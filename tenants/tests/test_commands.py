"""What the operator types. Bad input ends with 2, work that failed with 1."""

import json
import uuid
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.core.management import (
    CommandError,
    call_command,
    get_commands,
    load_command_class,
)
from django.db import connection

from tenants.models import Membership, Tenant, User
from tenants.names import schema_name
from tenants.tokens import token_of

OURS = ["create_tenant", "list_tenants", "delete_tenant", "migrate_tenants", "prepare_template"]
OURS += ["create_token", "create_user", "set_role", "migrate", "check_isolation"]
OURS += ["invite", "accept_invitation", "hand_over", "remove_member", "delete_user"]


def run(command: str, *arguments: str) -> str:
    said = StringIO()
    call_command(command, *arguments, stdout=said, stderr=said)
    return said.getvalue()


def refused(command: str, *arguments: str) -> str:
    with pytest.raises(CommandError) as raised:
        run(command, *arguments)
    assert raised.value.returncode == 2
    return str(raised.value)


@pytest.mark.parametrize("command", OURS)
def test_the_commands_are_ours_and_not_django_tenants(command: str) -> None:
    """Theirs make schemas from typed names, and stop at the first household that fails."""
    assert get_commands()[command] == "tenants"


def test_a_household_is_made_with_a_new_owner(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINWISE_PASSWORD", "correct horse battery")
    tenant_id = uuid.uuid4()
    made = ["--name", "Home", "--owner", "Carla@Example.org", "--id", str(tenant_id)]
    assert "Nobody signs in" in refused("create_tenant", *made)
    assert run("create_tenant", *made, "--create-user").strip() == str(tenant_id)
    carla = User.objects.get(email="carla@example.org")
    assert carla.check_password("correct horse battery")
    assert Membership.objects.get(tenant_id=tenant_id).user == carla
    assert "exists already" in run("create_tenant", *made)


def test_what_cannot_be_a_household_is_said(anna: User, home: UUID, new_person: Any) -> None:
    assert "is not a UUID" in refused(
        "create_tenant", "--name", "x", "--owner", anna.email, "--id", "public"
    )
    for name in (" ", "two\nlines", "x" * 201):
        assert "needs a name" in refused("create_tenant", "--name", name, "--owner", anna.email)
    bert = new_person("bert")
    assert "is taken" in refused(
        "create_tenant", "--name", "x", "--owner", bert.email, "--id", str(home)
    )


def test_households_are_listed_for_people_and_programs(home: UUID, anna: User) -> None:
    assert str(home) in run("list_tenants")
    (listed,) = [
        each for each in json.loads(run("list_tenants", "--json")) if each["id"] == str(home)
    ]
    assert listed["status"] == "ready"
    assert listed["current"] is True
    assert listed["owners"] == [anna.email]
    assert listed["schema"] == schema_name(home)


def test_a_household_is_deleted_and_its_uuid_stays_reserved(home: UUID, anna: User) -> None:
    assert "There is no terminal" in refused("delete_tenant", str(home))
    assert "Deleted 'Home'" in run("delete_tenant", str(home), "--yes")
    assert Tenant.objects.get(pk=home).status == Tenant.Status.DELETED
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regnamespace(%s)", [schema_name(home)])
        assert cursor.fetchone() == (None,)
    assert "deleted already" in refused("delete_tenant", str(home), "--yes")
    assert "is taken" in refused(
        "create_tenant", "--name", "x", "--owner", anna.email, "--id", str(home)
    )


@pytest.mark.parametrize(("typed", "is_deleted"), [("Home", True), ("home", False), ("", False)])
def test_deleting_asks_for_the_name(
    home: UUID, monkeypatch: pytest.MonkeyPatch, typed: str, is_deleted: bool
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: typed)
    if is_deleted:
        run("delete_tenant", schema_name(home))
    else:
        with pytest.raises(CommandError, match="Nothing was deleted"):
            run("delete_tenant", schema_name(home))
    assert (Tenant.objects.get(pk=home).status == Tenant.Status.DELETED) is is_deleted


def test_a_household_is_found_by_its_name_if_there_is_one(
    home: UUID, new_household: Any, new_person: Any
) -> None:
    bert = new_person("bert")
    run("set_role", "--tenant", "Home", "--user", bert.email, "--role", "viewer")
    assert Membership.objects.get(tenant_id=home, user=bert).role == "viewer"
    new_household("Home")
    said = refused("set_role", "--tenant", "Home", "--user", bert.email, "--role", "editor")
    assert "Several households" in said
    assert "no household" in refused("delete_tenant", "'; DROP SCHEMA public", "--yes")


def test_a_role_is_given_and_taken(home: UUID, anna: User, new_person: Any) -> None:
    bert = new_person("bert")
    target = ["--tenant", str(home), "--user", bert.email]
    assert "would be editor" in run("set_role", *target, "--role", "editor", "--dry-run")
    assert not Membership.objects.filter(user=bert).exists()
    assert "is now editor" in run("set_role", *target, "--role", "editor")
    told = json.loads(run("set_role", *target, "--role", "viewer", "--json"))
    assert told == {"tenant": str(home), "user": bert.email, "role": "viewer"}
    assert "would no longer" in run("remove_member", str(home), bert.email, "--dry-run")
    assert Membership.objects.filter(user=bert).exists()
    assert "no longer belongs" in run("remove_member", str(home), bert.email)
    assert "does not belong" in refused("remove_member", str(home), bert.email)


@pytest.mark.parametrize("extra", [[], ["--dry-run"]])
def test_the_last_owner_stays(home: UUID, anna: User, extra: list[str]) -> None:
    target = ["--tenant", str(home), "--user", anna.email, "--role", "viewer"]
    for command in (["set_role", *target], ["remove_member", str(home), anna.email]):
        with pytest.raises(CommandError, match="needs an owner") as raised:
            run(*command, *extra)
        assert raised.value.returncode == 1
    assert Membership.objects.get(tenant_id=home).role == "owner"


def test_a_household_is_handed_over(home: UUID, anna: User, new_person: Any) -> None:
    bert = new_person("bert")
    command = ["hand_over", str(home), "--from", anna.email, "--to", bert.email]
    assert "does not belong" in refused(*command)
    run("set_role", "--tenant", str(home), "--user", bert.email, "--role", "viewer")
    assert "does not own" in refused(
        "hand_over", str(home), "--from", bert.email, "--to", anna.email
    )
    assert "would own" in run(*command, "--dry-run")
    assert Membership.objects.get(tenant_id=home, user=anna).role == "owner"
    assert json.loads(run(*command, "--json"))["to"] == bert.email
    roles = dict(Membership.objects.filter(tenant_id=home).values_list("user_id", "role"))
    assert roles == {anna.id: "editor", bert.id: "owner"}


def test_somebody_is_invited_and_joins(
    home: UUID, anna: User, new_person: Any, mailoutbox: list[Any]
) -> None:
    bert = new_person("bert")
    command = ["invite", "Home", bert.email.upper(), "--role", "viewer"]
    assert "would be invited" in run(*command, "--dry-run")
    assert mailoutbox == []
    told = json.loads(run(*command, "--json", "--url", "https://finwise.example.org/"))
    assert told["link"].startswith("https://finwise.example.org/accounts/invitations/")
    assert told["link"] in mailoutbox[0].body
    assert mailoutbox[0].to == [bert.email]
    accept = ["accept_invitation", told["link"], "--user", bert.email]
    assert "would belong" in run(*accept, "--dry-run")
    assert "belongs to 'Home'" in run(*accept)
    assert Membership.objects.get(tenant_id=home, user=bert).role == "viewer"
    assert "not valid" in refused(*accept)
    assert "belongs to 'Home' already" in refused(*command, "--dry-run")
    with pytest.raises(CommandError, match="belongs to the household already") as raised:
        run(*command)
    assert raised.value.returncode == 1


def test_what_cannot_be_invited_is_said(home: UUID, database: None) -> None:
    assert "is not an e-mail address" in refused("invite", "Home", "bert")
    assert "is no address of a site" in refused(
        "invite", "Home", "bert@example.org", "--url", "javascript:alert(1)"
    )


def test_the_link_is_printed_when_the_mail_cannot_be_sent(
    home: UUID, settings: Any, capsys: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    said = StringIO()
    with pytest.raises(CommandError, match="could not be sent") as raised:
        call_command("invite", "Home", "bert@example.org", stdout=said)
    assert raised.value.returncode == 1
    assert "/accounts/invitations/" in said.getvalue()


def test_a_household_is_exported_before_it_is_deleted(home: UUID, tmp_path: Any) -> None:
    file = tmp_path / "home.jsonl"
    run("delete_tenant", str(home), "--yes", "--export", str(file))
    assert json.loads(file.read_text().splitlines()[0])["counts"] is not None
    assert Tenant.objects.get(pk=home).status == Tenant.Status.DELETED


def test_what_cannot_be_exported_is_not_deleted(home: UUID, tmp_path: Any) -> None:
    with pytest.raises(CommandError, match="could not be written"):
        run("delete_tenant", str(home), "--yes", "--export", str(tmp_path / "no" / "file"))
    assert Tenant.objects.get(pk=home).status == Tenant.Status.READY


def test_a_token_is_printed_once(anna: User) -> None:
    words = ["--user", anna.email, "--name", "importer"]
    assert "would get a token" in run("create_token", *words, "--dry-run")
    assert not anna.tokens.exists()
    said = StringIO()
    call_command("create_token", *words, "--json", stdout=said, stderr=StringIO())
    told = json.loads(said.getvalue())
    assert (told["user"], told["name"]) == (anna.email, "importer")
    assert token_of(told["token"]) is not None
    said = run("create_token", "--user", anna.email.upper(), "--name", "importer")
    token = token_of(said.split()[-1])
    assert token is not None
    assert token.user == anna
    assert "Nobody signs in" in refused("create_token", "--user", "x@example.org", "--name", "x")
    assert "1 to 100" in refused("create_token", "--user", anna.email, "--name", "n" * 101)


def test_a_person_is_made_with_a_password_from_the_environment(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ["--email", "Dora@example.org", "--name", "Dora", "--language", "de"]
    monkeypatch.delenv("FINWISE_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert "set FINWISE_PASSWORD" in refused("create_user", *made)
    monkeypatch.setenv("FINWISE_PASSWORD", "123")
    assert "too short" in refused("create_user", *made)
    monkeypatch.setenv("FINWISE_PASSWORD", "correct horse battery")
    assert "can sign in" in run("create_user", *made)
    dora = User.objects.get(email="dora@example.org")
    assert (dora.language, dora.is_staff) == ("de", False)
    assert dora.check_password("correct horse battery")
    assert "already" in refused("create_user", *made)
    assert "is not an e-mail" in refused("create_user", "--email", "dora")


@pytest.mark.parametrize(("again", "is_made"), [("correct horse battery", True), ("no", False)])
def test_a_password_is_asked_for_twice(
    database: None, monkeypatch: pytest.MonkeyPatch, again: str, is_made: bool
) -> None:
    answers = iter(["correct horse battery", again])
    monkeypatch.delenv("FINWISE_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(answers))
    if is_made:
        run("create_user", "--email", "emil@example.org")
    else:
        assert "differ" in refused("create_user", "--email", "emil@example.org")
    assert User.objects.filter(email="emil@example.org").exists() is is_made


def test_the_template_command_says_what_is_so(
    ready_database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "is current" in run("prepare_template")
    monkeypatch.setattr("tenants.template.prepare", lambda again: "pg_dump 12 is older.")
    assert "every migration" in run("prepare_template", "--again")


def test_isolation_can_be_checked_at_any_size(database: None, pooled: None) -> None:
    said = run("check_isolation", "--operations", "60", "--seed", "3")
    assert "60 operations" in said
    assert "none in a wrong schema" in said


CHANGING = sorted({*OURS} - {"list_tenants", "migrate", "check_isolation", "prepare_template"})


@pytest.mark.parametrize("command", [*CHANGING, "list_tenants"])
def test_every_command_speaks_to_programs_too(command: str) -> None:
    options = load_command_class("tenants", command).create_parser("x", command)
    known = options._option_string_actions
    assert "--json" in known
    assert ("--dry-run" in known) is (command != "list_tenants")


def test_what_would_happen_does_not(
    home: UUID, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    people, households = User.objects.count(), Tenant.objects.count()
    monkeypatch.setenv("FINWISE_PASSWORD", "correct horse battery")
    made = ["--name", "Other", "--owner", anna.email, "--dry-run"]
    assert "'Other' would be made" in run("create_tenant", *made)
    assert "exists already, as 'Home'" in run("create_tenant", *made, "--id", str(home))
    stranger = [*made[:2], "--owner", "new@example.org", "--dry-run"]
    assert "Nobody signs in" in refused("create_tenant", *stranger)
    assert "new@example.org" in run("create_tenant", *stranger, "--create-user")
    assert "could sign in" in run("create_user", "--email", "New@example.org", "--dry-run")
    assert "already" in refused("create_user", "--email", anna.email, "--dry-run")
    assert "would be deleted" in run("delete_tenant", str(home), "--dry-run")
    Tenant.objects.filter(pk=home).update(schema_version="")
    told = json.loads(run("migrate_tenants", "--tenant", str(home), "--dry-run", "--json"))
    assert told == {"behind": [str(home)], "current": 0}
    assert json.loads(run("migrate_tenants", "--tenant", str(home), "--json"))["migrated"] == 1
    assert (User.objects.count(), Tenant.objects.count()) == (people, households)


def test_what_was_done_is_told_to_programs(
    home: UUID, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINWISE_PASSWORD", "correct horse battery")
    person = json.loads(run("create_user", "--email", "carl@example.org", "--json"))
    assert User.objects.get(pk=person["user"]).email == "carl@example.org"
    made = json.loads(run("create_tenant", "--name", "x", "--owner", anna.email, "--json"))
    assert made == {"tenant": made["tenant"], "owner": anna.email, "made": True}
    gone = json.loads(run("delete_tenant", made["tenant"], "--yes", "--json"))
    assert gone == {"tenant": made["tenant"], "name": "x", "export": None}
