"""The admin: what it shows, who may, what it writes, and that devices hear of it."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import Account, AccountGroup
from syncapp.admin.cures import CURES
from syncapp.core.change import EXISTS
from syncapp.tests.household import Household, Speaker
from tenants.context import in_tenant
from tenants.memberships import set_role
from tenants.models import AuditEntry, Membership, Summary, Tenant, Token, User
from tenants.tokens import create_token

SECRET = "4711.4711"


@pytest.fixture
def operator(households: Callable[[], Household]) -> User:
    return User.objects.create_superuser(f"{secrets.token_hex(6)}@example.org")


@pytest.fixture
def browser(operator: User) -> Client:
    AuditEntry.objects.all().delete()
    return signed_in(operator)


def signed_in(person: User) -> Client:
    client = Client(HTTP_HOST="localhost", headers={"accept-language": "en"})
    client.force_login(person)
    return client


def new_id() -> str:
    return str(uuid.uuid4())


def create(device: Speaker, entity: str, **fields: Any) -> str:
    row = new_id()
    (result,) = device.push(device.change("create", entity, row, fields))
    assert result.fate == "applied"
    return row


def inside(household: Household, path: str = "") -> str:
    return f"/admin/household/{household.id}/{path}"


def form_of(answer: Any) -> dict[str, str]:
    """What a browser would send back: the form's fields as they were loaded."""
    form = answer.context["adminform"].form
    sent: dict[str, str] = {}
    for bound in form:
        value = bound.value()
        for name in (bound.html_name, bound.html_initial_name):
            if name == bound.html_initial_name and not bound.field.show_hidden_initial:
                continue
            if value is True:
                sent[name] = "True" if name.startswith("initial-") else "on"
            elif value is not None and value is not False:
                sent[name] = str(value)
    return sent


def value_of(household: Household, row: str, field: str) -> Any:
    (found,) = [each for key, each in household.rows().items() if key[1] == row]
    return found.fields[field]


def audit() -> list[tuple[str, str]]:
    return [(each.action, each.detail) for each in AuditEntry.objects.order_by("at", "id")]


# --- who may ---------------------------------------------------------------------------


def test_only_staff_come_in(household: Household) -> None:
    owner = User.objects.get(pk=household.owner)
    anonymous = Client(HTTP_HOST="localhost")
    for path in ("/admin/", "/admin/tenants/tenant/", inside(household)):
        assert anonymous.get(path).status_code == 302
        assert signed_in(owner).get(path).status_code in (302, 403)
    assert signed_in(owner).get(inside(household, "accounts/account/")).status_code == 403


def test_staff_do_only_what_they_were_allowed_to(household: Household) -> None:
    person = User.objects.create_user(f"{secrets.token_hex(6)}@example.org", is_staff=True)
    person.user_permissions.add(
        Permission.objects.get(content_type__app_label="tenants", codename="view_tenant")
    )
    client = signed_in(person)
    AuditEntry.objects.all().delete()
    device, before = household.device(), household.head()
    page = f"/admin/tenants/tenant/{household.id}"
    assert client.get(f"{page}/change/").status_code == 200
    for path in cure_addresses(page, device):
        assert client.get(path).status_code == client.post(path).status_code == 403
    assert audit() == [("refused", name) for name in CURES]
    assert household.head() == before and device.hello().reset is None
    assert client.get("/admin/tenants/tenant/provision/").status_code == 403
    assert client.get("/admin/tenants/user/").status_code == 403


def cure_addresses(page: str, device: Speaker) -> list[str]:
    """Where everything that can be done is done."""
    return [
        f"{page}/device/{device.id}/{name}/" if cure.is_for_device else f"{page}/do/{name}/"
        for name, cure in CURES.items()
    ]


def test_who_may_not_look_inside_is_written_down_as_refused(household: Household) -> None:
    person = User.objects.create_user(f"{secrets.token_hex(6)}@example.org", is_staff=True)
    person.user_permissions.add(
        Permission.objects.get(content_type__app_label="accounts", codename="view_account")
    )
    AuditEntry.objects.all().delete()
    client = signed_in(person)
    row = create(household.device(), "account_group", name="Bank")
    for path in ("accounts/accountgroup/", f"accounts/accountgroup/{row}/change/"):
        assert client.get(inside(household, path)).status_code == 403
    assert audit() == [("refused", "look_inside")]
    assert client.get(inside(household, "accounts/account/nonsense/")).status_code == 302
    assert client.get(inside(household, "accounts/nothing/")).status_code == 404
    assert audit() == [("refused", "look_inside")]
    assert client.get(inside(household, "accounts/account/")).status_code == 200
    assert audit() == [("refused", "look_inside"), ("look_inside", "")]


def test_whoever_may_edit_people_cannot_give_himself_more_rights(operator: User) -> None:
    person = User.objects.create_user(f"{secrets.token_hex(6)}@example.org", is_staff=True)
    for name in ("view_user", "change_user"):
        person.user_permissions.add(
            Permission.objects.get(content_type__app_label="tenants", codename=name)
        )
    client = signed_in(person)
    answer = client.get(f"/admin/tenants/user/{person.pk}/change/")
    assert "is_superuser" not in answer.context["adminform"].form.fields
    client.post(f"/admin/tenants/user/{person.pk}/change/", {"is_superuser": "on"})
    person.refresh_from_db()
    assert not person.is_superuser
    assert client.post(f"/admin/tenants/user/{operator.pk}/change/", {}).status_code == 403


def test_whoever_may_edit_people_cannot_become_somebody_else(operator: User) -> None:
    person, colleague = (
        User.objects.create_user(f"{secrets.token_hex(6)}@example.org", is_staff=True)
        for _ in range(2)
    )
    member = User.objects.create_user(f"{secrets.token_hex(6)}@example.org", "correct horse")
    for name in ("view_user", "change_user"):
        person.user_permissions.add(
            Permission.objects.get(content_type__app_label="tenants", codename=name)
        )
    client = signed_in(person)
    assert client.post(f"/admin/tenants/user/{colleague.pk}/change/", {}).status_code == 403
    answer = client.get(f"/admin/tenants/user/{member.pk}/change/")
    assert "email" not in answer.context["adminform"].form.fields
    passwords = {"password1": "another battery", "password2": "another battery"}
    for someone in (member, colleague, person):
        address = f"/admin/tenants/user/{someone.pk}/password/"
        assert client.get(address).status_code == 403
        assert client.post(address, passwords).status_code == 403
    member.refresh_from_db()
    assert member.check_password("correct horse")
    allowed = signed_in(operator).get(f"/admin/tenants/user/{member.pk}/password/")
    assert allowed.status_code == 200


def test_only_the_admin_may_run_what_is_inline(browser: Client, household: Household) -> None:
    answer = browser.get("/admin/tenants/tenant/")
    assert "'unsafe-eval'" in answer.headers["Content-Security-Policy"]
    answer = browser.get(f"/sync/{household.id}/")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


def test_pages_of_other_apps_that_would_show_secrets_are_not_there(browser: Client) -> None:
    from allauth.mfa.models import Authenticator
    from django.contrib import admin

    assert Authenticator not in admin.site._registry
    assert {each._meta.label for each in admin.site._registry} == {
        "tenants.User", "tenants.Tenant", "tenants.Membership", "tenants.Token",
        "tenants.AuditEntry",
    }  # fmt: skip


# --- the list, and one household -------------------------------------------------------


def test_the_list_shows_how_households_are_and_nothing_that_they_have(
    browser: Client, household: Household
) -> None:
    create(household.device("phone"), "account", name="Geheimkonto", balance=SECRET)
    Summary.objects.filter(tenant_id=household.id).delete()
    browser.get(f"/sync/{household.id}/")  # somebody looks, and the list knows
    text = browser.get("/admin/tenants/tenant/", {"q": str(household.id)}).content.decode()
    assert "1 of 1" in text and "kB" in text
    page = browser.get(f"/admin/tenants/tenant/{household.id}/change/").content.decode()
    assert "phone" in page
    for found in (text, page):
        assert SECRET not in found and "Geheimkonto" not in found


def test_the_list_opens_no_household(
    browser: Client, households: Callable[[], Household], django_assert_max_num_queries: Any
) -> None:
    made = [households() for _ in range(4)]
    with django_assert_max_num_queries(12) as asked:
        text = browser.get("/admin/tenants/tenant/").content.decode()
    assert all(str(each.id) in text for each in made)
    assert not [each for each in asked.captured_queries if "sync_" in each["sql"]]


def test_tokens_show_how_they_begin_and_never_their_secret(
    browser: Client, household: Household
) -> None:
    text = create_token(User.objects.get(pk=household.owner), "phone")
    page = browser.get("/admin/tenants/token/").content.decode()
    assert text[:11] in page
    assert text[36:] not in page
    assert Token.objects.get(pk=uuid.UUID(text[3:35])).secret_hash not in page


def test_tokens_are_revoked_after_being_asked(browser: Client, household: Household) -> None:
    owner = User.objects.get(pk=household.owner)
    phone, laptop = (uuid.UUID(create_token(owner, name)[3:35]) for name in ("phone", "laptop"))
    sent: dict[str, Any] = {"action": "revoke", "_selected_action": [str(phone)]}
    asked = browser.post("/admin/tenants/token/", sent)
    assert asked.status_code == 200
    text = asked.content.decode()
    assert phone.hex[:8] in text and owner.email in text and laptop.hex[:8] not in text
    assert not Token.objects.filter(pk__in=(phone, laptop)).exclude(revoked_at=None).exists()
    assert audit() == []
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', text))
    fields.pop("csrfmiddlewaretoken", None)
    assert browser.post("/admin/tenants/token/", fields).status_code == 302
    assert Token.objects.get(pk=phone).revoked_at is not None
    assert Token.objects.get(pk=laptop).revoked_at is None
    assert audit() == [("revoke_token", f"fw_{phone.hex[:8]}… {owner.email}")]


# --- what can be done ------------------------------------------------------------------


@pytest.mark.parametrize("action", ["sync_now", "compact", "new_epoch", "export"])
def test_what_can_be_done_is_asked_first_and_written_down(
    action: str, browser: Client, household: Household, operator: User
) -> None:
    """S46"""
    before = household.head()
    path = f"/admin/tenants/tenant/{household.id}/do/{action}/"
    assert browser.get(path).status_code == 200
    assert household.head() == before and audit() == []
    answer = browser.post(path)
    assert answer.status_code == (200 if action == "export" else 302)
    assert audit() == [(action, "")]
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.tenant_id) == (operator, household.id)
    assert (household.head().epoch != before.epoch) == (action == "new_epoch")


def test_a_form_of_another_site_does_nothing(operator: User, household: Household) -> None:
    """S45"""
    client = Client(HTTP_HOST="localhost", enforce_csrf_checks=True)
    client.force_login(operator)
    before = household.head()
    for path in (
        f"/admin/tenants/tenant/{household.id}/do/new_epoch/",
        inside(household, "accounts/account/add/"),
    ):
        assert client.post(path).status_code == 403
    assert household.head() == before


def test_an_export_is_a_file_with_everything_in_it(browser: Client, household: Household) -> None:
    create(household.device("phone"), "account", name="Giro", balance=SECRET)
    answer = browser.post(f"/admin/tenants/tenant/{household.id}/do/export/")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "no-store" in answer.headers["Cache-Control"]
    assert SECRET in answer.content.decode()


@pytest.mark.parametrize("action", ["force_reset", "revoke_device", "forget_device"])
def test_a_device_is_cured_without_being_touched(
    action: str, browser: Client, household: Household
) -> None:
    device = household.device("Annas phone")
    path = f"/admin/tenants/tenant/{household.id}/device/{device.id}/{action}/"
    assert "Annas phone" in browser.get(path).content.decode()
    assert browser.post(path).status_code == 302
    assert audit() == [(action, device.id)]
    greeting = device.hello()
    if action == "force_reset":
        assert greeting.reset == "operator"
    else:
        assert greeting.is_identity_taken == (action == "revoke_device")
    path = f"/admin/tenants/tenant/{household.id}/device/{new_id()}/{action}/"
    assert browser.get(path).status_code == browser.post(path).status_code == 404


def test_a_household_is_made_for_somebody(browser: Client, household: Household) -> None:
    owner = User.objects.get(pk=household.owner)
    path = "/admin/tenants/tenant/provision/"
    assert "Nobody signs in" in (
        browser.post(path, {"name": "New", "owner": "nobody@example.org"}).content.decode()
    )
    answer = browser.post(path, {"name": "Oma und Opa", "owner": owner.email.upper()})
    made = Tenant.objects.get(pk=answer.headers["Location"].split("/")[-3])
    assert (made.name, made.status) == ("Oma und Opa", "ready")
    assert Membership.objects.get(tenant=made).user == owner
    assert audit() == [("provision", owner.email)]


def test_a_role_that_is_changed_here_counts_for_the_next_push(
    browser: Client, household: Household
) -> None:
    bert = User.objects.create_user(f"{secrets.token_hex(6)}@example.org")
    set_role(Tenant.objects.get(pk=household.id), bert, "viewer")
    membership = Membership.objects.get(user=bert)
    path = f"/admin/tenants/membership/{membership.pk}/change/"
    assert browser.post(path, {"role": "editor"}).status_code == 302
    phone = household.device("Berts phone", bert.pk)
    create(phone, "account_group", name="Bank")
    assert audit() == [("set_role", f"{bert.email}: editor")]
    answer = browser.post(f"/admin/tenants/membership/{membership.pk}/delete/", {"post": "yes"})
    assert answer.status_code == 302
    assert not Membership.objects.filter(user=bert).exists()


def test_the_last_owner_stays(browser: Client, household: Household) -> None:
    membership = Membership.objects.get(tenant_id=household.id, user_id=household.owner)
    path = f"/admin/tenants/membership/{membership.pk}"
    assert "needs an owner" in browser.post(f"{path}/change/", {"role": "viewer"}).content.decode()
    browser.post(f"{path}/delete/", {"post": "yes"})
    assert Membership.objects.get(pk=membership.pk).role == "owner"


# --- what a household contains ---------------------------------------------------------


def test_a_households_rows_are_under_its_own_address_and_no_others(
    browser: Client, households: Callable[[], Household]
) -> None:
    ours, theirs = households(), households()
    mine = create(ours.device(), "account", name="Unser Giro")
    create(theirs.device(), "account", name="Deren Giro")
    page = browser.get(inside(ours, "accounts/account/")).content.decode()
    assert "Unser Giro" in page and "Deren Giro" not in page
    assert inside(ours, f"accounts/account/{mine}/change/") in page
    assert browser.get(inside(theirs, f"accounts/account/{mine}/change/")).status_code == 302
    assert browser.get("/admin/accounts/account/").status_code == 404
    unknown = f"/admin/household/{uuid.uuid4()}/accounts/account/"
    assert browser.get(unknown).status_code == 404


def test_looking_inside_is_written_down_once(browser: Client, household: Household) -> None:
    for _ in range(3):
        browser.get(inside(household, "accounts/account/"))
    assert audit() == [("look_inside", "")]


def test_an_edit_writes_what_was_typed_and_nothing_else(
    browser: Client, household: Household
) -> None:
    phone = household.device("phone")
    row = create(phone, "account", name="Giro", balance="1", note="alt")
    phone.pull()
    path = inside(household, f"accounts/account/{row}/change/")
    sent = form_of(browser.get(path)) | {"balance": "12.50"}
    phone.push(phone.change("edit", "account", row, {"note": "neu"}))
    assert browser.post(path, sent).status_code == 302
    assert value_of(household, row, "balance") == "12.5"
    assert value_of(household, row, "note") == "neu"
    (changed,) = [each for each in phone.pull() if each.entity == "account"]
    assert changed.fields["balance"] == "12.5"
    assert audit()[-1] == ("edit_row", f"account {row}: balance")
    assert SECRET not in str(audit())


def test_a_stale_form_loses_visibly(browser: Client, household: Household) -> None:
    phone = household.device("Annas phone")
    row = create(phone, "account", name="Giro", balance="1")
    path = inside(household, f"accounts/account/{row}/change/")
    sent = form_of(browser.get(path)) | {"balance": "99", "name": "Girokonto"}
    phone.push(phone.change("edit", "account", row, {"balance": "7"}))
    answer = browser.post(path, sent)
    assert answer.status_code == 200
    text = answer.content.decode()
    assert "Annas phone has changed this meanwhile; now it is: 7" in text
    assert value_of(household, row, "balance") == "7"
    assert value_of(household, row, "name") == "Giro"
    # And again: what was loaded does not become newer by being sent twice.
    assert browser.post(path, sent).status_code == 200
    fresh = form_of(browser.get(path)) | {"balance": "99"}
    assert browser.post(path, fresh).status_code == 302
    assert value_of(household, row, "balance") == "99"


def test_a_form_that_changes_nothing_writes_nothing(browser: Client, household: Household) -> None:
    """D13"""
    row = create(household.device(), "account", name="Giro", balance="1.5")
    before = household.head()
    path = inside(household, f"accounts/account/{row}/change/")
    assert browser.post(path, form_of(browser.get(path))).status_code == 302
    assert household.head() == before


def test_a_value_that_no_device_could_send_is_not_saved_here_either(
    browser: Client, household: Household
) -> None:
    row = create(household.device(), "account", name="Giro")
    path = inside(household, f"accounts/account/{row}/change/")
    for wrong in ({"iban": "nonsense"}, {"balance": "NaN"}, {"name": ""}, {"balance": "1e20"}):
        answer = browser.post(path, form_of(browser.get(path)) | wrong)
        assert answer.status_code == 200, wrong
        assert answer.context["adminform"].form.errors


def test_a_new_account_reaches_the_devices(browser: Client, household: Household) -> None:
    phone = household.device()
    group = create(phone, "account_group", name="Bank")
    phone.pull()
    path = inside(household, "accounts/account/add/")
    sent = form_of(browser.get(path)) | {"name": "Neu", "account_group": group, "balance": "3"}
    assert browser.post(path, sent).status_code == 302
    (row,) = phone.pull()
    assert (row.fields["name"], row.fields["accountGroupId"]) == ("Neu", group)
    assert row.fields["balance"] == "3"


def test_a_deleted_row_can_be_seen_and_comes_back_as_it_was(
    browser: Client, household: Household
) -> None:
    phone = household.device()
    row = create(phone, "account", name="Giro", balance="7")
    list_path = inside(household, "accounts/account/")
    answer = browser.post(f"{list_path}{row}/delete/", {"post": "yes"})
    assert answer.status_code == 302
    assert value_of(household, row, EXISTS) is False
    assert row not in browser.get(list_path).content.decode()
    assert row in browser.get(list_path, {"state": "gone"}).content.decode()
    assert f"{row}/restore/" in browser.get(f"{list_path}{row}/change/").content.decode()
    assert browser.get(f"{list_path}{row}/restore/").status_code == 200
    assert value_of(household, row, EXISTS) is False
    assert browser.post(f"{list_path}{row}/restore/").status_code == 302
    assert value_of(household, row, EXISTS) is True
    assert value_of(household, row, "balance") == "7"
    assert [each[0] for each in audit()] == ["delete_row", "look_inside", "restore_row"]


def test_a_reference_to_a_deleted_group_or_to_nothing_is_kept(
    browser: Client, household: Household
) -> None:
    phone = household.device()
    group = create(phone, "account_group", name="Bank")
    gone = create(phone, "account", name="Giro", accountGroupId=group)
    phone.push(phone.change("delete", "account_group", group))
    missing = new_id()
    dangling = create(phone, "account", name="Depot", accountGroupId=missing)
    for row, reference in ((gone, group), (dangling, missing)):
        path = inside(household, f"accounts/account/{row}/change/")
        sent = form_of(browser.get(path)) | {"balance": "5"}
        if reference == missing:
            sent.pop("account_group")  # a browser has nothing to choose
        assert browser.post(path, sent).status_code == 302
        assert value_of(household, row, "balance") == "5"
        assert value_of(household, row, "accountGroupId") == reference


def test_what_people_typed_is_shown_inert(browser: Client, household: Household) -> None:
    """S36"""
    hostile = "<script>alert(1)</script>{{ 7|add:7 }}"
    phone = household.device(hostile)
    row = create(phone, "account", name=hostile, note="</textarea><script>alert(2)</script>")
    create(phone, "account_group", name=hostile)
    phone.push(phone.change("delete", "account", create(phone, "account", name=hostile)))
    for path in (
        f"/admin/tenants/tenant/{household.id}/change/",
        inside(household, "accounts/account/"),
        inside(household, "accounts/account/?state=gone"),
        inside(household, f"accounts/account/{row}/change/"),
        inside(household, f"accounts/account/{row}/delete/"),
        inside(household, "accounts/accountgroup/"),
    ):
        text = browser.get(path).content.decode()
        assert not re.search(r"<script>alert\(", text), path


def test_djangos_own_log_keeps_no_names_of_a_households_rows(
    browser: Client, household: Household
) -> None:
    row = create(household.device(), "account", name="Geheimkonto")
    path = inside(household, f"accounts/account/{row}/change/")
    browser.post(path, form_of(browser.get(path)) | {"name": "Noch geheimer"})
    browser.post(inside(household, f"accounts/account/{row}/delete/"), {"post": "yes"})
    assert not LogEntry.objects.filter(object_repr__contains="geheim").exists()
    assert not AuditEntry.objects.filter(detail__icontains="geheim").exists()


def test_after_a_page_of_a_household_nothing_remains_of_it(
    browser: Client, household: Household
) -> None:
    from django.db import connection
    from django.urls import get_script_prefix, get_urlconf, reverse

    browser.get(inside(household, "accounts/account/"))
    browser.get(inside(household, "accounts/nonsense/"))
    assert get_script_prefix() == "/"
    assert get_urlconf() is None
    assert reverse("admin:index") == "/admin/"
    assert connection.schema_name == "public"
    with in_tenant(household.id):
        assert Account.objects.count() == AccountGroup.objects.count() == 0


def test_what_was_searched_in_one_household_is_not_shown_in_another(
    browser: Client, households: Callable[[], Household]
) -> None:
    ours, theirs = households(), households()
    for household in (ours, theirs):
        answer = browser.get(inside(household, "search/"), {"s": "account", "extended": "1"})
        assert answer.content == b""


def test_a_password_is_changed_where_second_factors_are_known(browser: Client) -> None:
    answer = browser.get("/admin/password_change/")
    assert answer.headers["Location"] == "/accounts/password/change/"
