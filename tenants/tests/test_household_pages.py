"""A household's pages: who may see and do what."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from tenants.invitations import invite, open_invitations_of
from tenants.memberships import end_membership, set_role
from tenants.models import Membership, Tenant, User
from tenants.tests.test_memberships import in_public, mirrored

Browse = Callable[..., Client]

PEOPLE = ("owner", "editor", "viewer", "former member", "other household", "anonymous")
OUTSIDE = {"former member": 404, "other household": 404, "anonymous": 302}
MEMBERS = {"owner": 200, "editor": 200, "viewer": 200} | OUTSIDE
OWNERS = {"owner": 200, "editor": 403, "viewer": 403} | OUTSIDE
ACTS = {"owner": 302, "editor": 403, "viewer": 403} | OUTSIDE

# Every address of a household: (method, path, what is sent, what each kind of person gets).
RULES: list[tuple[str, str, dict[str, str], dict[str, int]]] = [
    ("get", "", {}, MEMBERS),
    ("get", "leave/", {}, MEMBERS),
    ("get", "export/", {}, MEMBERS),
    ("get", "hand-over/", {}, OWNERS),
    ("get", "remove/", {}, OWNERS),
    ("post", "invite/", {"email": "carla@example.org", "role": "editor"}, ACTS),
    ("post", "invitations/{invitation}/withdraw/", {}, ACTS),
    ("post", "members/{member}/role/", {"role": "owner"}, ACTS),
    ("post", "members/{member}/remove/", {}, ACTS),
    ("post", "hand-over/", {"user": "{member}"}, ACTS),
    ("post", "leave/", {}, {"owner": 302, "editor": 302, "viewer": 302} | OUTSIDE),
    ("post", "remove/", {"name": "Home", "is_saved": "on"}, ACTS),
]


@pytest.fixture
def tenant(home: UUID) -> Tenant:
    return Tenant.objects.get(pk=home)


def visitor(
    who: str, tenant: Tenant, anna: User, new_person: Any, new_household: Any
) -> User | None:
    if who == "owner":
        return anna
    if who == "anonymous":
        return None
    person = new_person(who.split()[0])
    if who == "other household":
        new_household("Other", person)
    else:
        set_role(tenant, person, who if who in Membership.Role.values else "editor")
    if who == "former member":
        end_membership(tenant, person)
    return person


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize(("method", "path", "sent", "rule"), RULES, ids=lambda each: str(each))
def test_who_may_do_what(
    method: str,
    path: str,
    sent: dict[str, str],
    rule: dict[str, int],
    who: str,
    tenant: Tenant,
    anna: User,
    new_person: Any,
    new_household: Any,
    browse: Browse,
) -> None:
    member = new_person("member")
    set_role(tenant, member, "viewer")
    invitation, _ = invite(tenant, "dora@example.org", "editor", anna)
    browser = browse(visitor(who, tenant, anna, new_person, new_household))
    before = in_public(tenant.pk)
    names = {"member": str(member.pk), "invitation": str(invitation.pk)}
    address = f"/accounts/households/{tenant.pk}/{path.format(**names)}"
    values = {key: value.format(**names) for key, value in sent.items()}
    answer = getattr(browser, method)(address, values)
    assert answer.status_code == rule[who]
    if answer.status_code not in (200, 302) or who == "anonymous":
        assert in_public(tenant.pk) == mirrored(tenant.pk) == before
        assert [each.pk for each in open_invitations_of(tenant)] == [invitation.pk]


def test_every_address_of_a_household_has_a_rule() -> None:
    from tenants.urls import urlpatterns

    shapes = {
        re.sub(r"<[^>]*>", "{}", str(each.pattern))
        for each in urlpatterns
        if str(each.pattern).startswith("households/")
    }
    ruled = {"households/{}/" + re.sub(r"{\w+}", "{}", path) for _, path, _, _ in RULES}
    assert shapes == ruled


@pytest.mark.parametrize(
    "path", ["invite/", "members/{}/role/", "members/{}/remove/", "invitations/{}/withdraw/"]
)
def test_looking_changes_nothing(tenant: Tenant, anna: User, browse: Browse, path: str) -> None:
    """S45: a GET has no effect."""
    address = f"/accounts/households/{tenant.pk}/{path.format(anna.pk)}"
    assert browse(anna).get(address).status_code == 405


def test_unknown_and_other_peoples_households_answer_alike(
    anna: User, browse: Browse, new_person: Any, new_household: Any
) -> None:
    """S12, S20"""
    theirs = new_household("Theirs", new_person("bert"))
    browser = browse(anna)
    for page in ("", "export/", "remove/"):
        answers = [
            browser.get(f"/accounts/households/{each}/{page}") for each in (theirs, uuid.uuid4())
        ]
        assert [each.status_code for each in answers] == [404, 404]
        csrf = re.compile(r'name="csrfmiddlewaretoken" value="\w+"')
        assert csrf.sub("", answers[0].text) == csrf.sub("", answers[1].text)


def test_inviting_sends_a_link_that_lets_in(
    tenant: Tenant, anna: User, browse: Browse, new_person: Any, mailoutbox: list[Any]
) -> None:
    bert = new_person("bert", language="de")
    browse(anna).post(
        f"/accounts/households/{tenant.pk}/invite/", {"email": bert.email, "role": "viewer"}
    )
    (mail,) = mailoutbox
    assert mail.to == [bert.email]
    assert "lädt dich in den Haushalt „Home“ ein" in mail.subject
    (link,) = re.findall(r"http://testserver(/accounts/invitations/\S+)", mail.body)
    browser = browse(bert)
    page = browser.get(link).text
    assert "Home" in page
    assert "anyway" not in page
    assert browser.post(link, {"accept": "1"}).headers["Location"].endswith(f"{tenant.pk}/")
    assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner", bert.id: "viewer"}
    assert browser.get(link).status_code == 404


def test_a_name_with_a_line_break_makes_no_header(
    tenant: Tenant, anna: User, browse: Browse, mailoutbox: list[Any]
) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(name="Home\nBcc: all@example.org")
    browse(anna).post(
        f"/accounts/households/{tenant.pk}/invite/",
        {"email": "bert@example.org", "role": "viewer"},
    )
    assert "\n" not in mailoutbox[0].subject
    assert mailoutbox[0].recipients() == ["bert@example.org"]


def test_who_is_asked_under_another_address_has_to_tick_it(
    tenant: Tenant, anna: User, browse: Browse, new_person: Any
) -> None:
    bert = new_person("bert")
    _, link = invite(tenant, "elsewhere@example.org", "editor", anna)
    browser = browse(bert)
    address = f"/accounts/invitations/{link}/"
    assert "anyway" in browser.get(address).text
    assert "Please tick" in browser.post(address, {"accept": "1"}).text
    assert in_public(tenant.pk) == {anna.id: "owner"}
    browser.post(address, {"accept": "1", "anyway": "1"})
    assert in_public(tenant.pk) == {anna.id: "owner", bert.id: "editor"}


@pytest.mark.parametrize("is_signed_in", [False, True])
def test_an_invitation_can_be_declined(
    tenant: Tenant, anna: User, browse: Browse, new_person: Any, is_signed_in: bool
) -> None:
    bert = new_person("bert")
    _, link = invite(tenant, bert.email, "editor", anna)
    browser = browse(bert if is_signed_in else None)
    assert browser.post(f"/accounts/invitations/{link}/", {"decline": "1"}).status_code == 302
    assert not open_invitations_of(tenant).exists()
    assert in_public(tenant.pk) == {anna.id: "owner"}


def test_its_number_alone_opens_an_invitation_only_for_whom_it_is(
    tenant: Tenant, anna: User, browse: Browse, new_person: Any
) -> None:
    bert = new_person("bert")
    invitation, _ = invite(tenant, bert.email, "editor", anna)
    address = f"/accounts/invitations/{invitation.pk.hex}/"
    assert browse().get(address).status_code == 404
    assert browse(new_person("eve")).get(address).status_code == 404
    assert (
        browse(new_person("eve")).post(address, {"accept": "1", "anyway": "1"}).status_code == 404
    )
    browse(bert).post(address, {"accept": "1"})
    assert in_public(tenant.pk) == {anna.id: "owner", bert.id: "editor"}


def test_somebody_new_signs_up_by_the_link_and_is_in(
    tenant: Tenant, anna: User, browse: Browse, settings: Any, mailoutbox: list[Any]
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    settings.ACCOUNT_IS_OPEN = False
    browser = browse()
    assert "By invitation only" in browser.get("/accounts/signup/").text
    _, link = invite(tenant, "carla@example.org", "editor", anna)
    address = f"/accounts/invitations/{link}/"
    page = browser.get(address).text
    (sign_up,) = re.findall(r'href="(/accounts/signup/[^"]+)"', page)
    assert 'value="carla@example.org"' in browser.get(sign_up.replace("&amp;", "&")).text
    answer = browser.post(
        "/accounts/signup/",
        {"email": "Carla@Example.org", "password1": "correct horse battery", "next": address},
    )
    # The link had reached the address: there is nothing left to confirm.
    assert answer.headers["Location"] == address
    assert mailoutbox == []
    carla = User.objects.get(email="carla@example.org")
    assert carla.email_verified
    browser.post(address, {"accept": "1"})
    assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner", carla.id: "editor"}


def test_a_link_confirms_no_other_address(
    tenant: Tenant, anna: User, browse: Browse, settings: Any, mailoutbox: list[Any]
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    _, link = invite(tenant, "carla@example.org", "editor", anna)
    browser = browse()
    browser.get(f"/accounts/invitations/{link}/")
    browser.post(
        "/accounts/signup/", {"email": "eve@example.org", "password1": "correct horse battery"}
    )
    eve = User.objects.get(email="eve@example.org")
    assert not eve.email_verified
    assert mailoutbox[0].to == ["eve@example.org"]


def test_who_has_not_confirmed_an_address_sends_no_invitations(
    tenant: Tenant, browse: Browse, settings: Any, mailoutbox: list[Any], database: None
) -> None:
    settings.TENANT_NEEDS_VERIFIED_EMAIL = True
    eve = User.objects.create_user("eve@example.org")
    set_role(tenant, eve, "owner")
    answer = browse(eve).post(
        f"/accounts/households/{tenant.pk}/invite/",
        {"email": "bert@example.org", "role": "viewer"},
    )
    assert answer.headers["Location"] == "/accounts/email/"
    assert mailoutbox == []


def test_the_last_owner_is_told_why_not(tenant: Tenant, anna: User, browse: Browse) -> None:
    base = f"/accounts/households/{tenant.pk}/"
    for path, data in (
        ("leave/", {}),
        (f"members/{anna.pk}/remove/", {}),
        (f"members/{anna.pk}/role/", {"role": "viewer"}),
    ):
        page = browse(anna).post(base + path, data, follow=True).text
        assert "A household needs an owner" in page
        assert in_public(tenant.pk) == mirrored(tenant.pk) == {anna.id: "owner"}


@pytest.mark.parametrize("taker", ["", "x", "\0"])
def test_a_household_goes_to_nobody_who_is_not_in_it(
    tenant: Tenant, anna: User, browse: Browse, taker: str
) -> None:
    address = f"/accounts/households/{tenant.pk}/hand-over/"
    assert browse(anna).post(address, {"user": taker}).status_code == 404
    assert in_public(tenant.pk) == {anna.id: "owner"}


def test_a_household_is_taken_along_as_a_file(tenant: Tenant, anna: User, browse: Browse) -> None:
    answer = browse(anna).get(f"/accounts/households/{tenant.pk}/export/")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="finwise-home.jsonl"'
    assert "no-store" in answer.headers["Cache-Control"]
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines[0]["counts"]


@pytest.mark.parametrize(
    "sent", [{}, {"name": "Home"}, {"name": "home", "is_saved": "on"}, {"is_saved": "on"}]
)
def test_a_household_is_not_deleted_by_mistake(
    tenant: Tenant, anna: User, browse: Browse, sent: dict[str, str]
) -> None:
    assert browse(anna).post(f"/accounts/households/{tenant.pk}/remove/", sent).status_code == 200
    assert Tenant.objects.get(pk=tenant.pk).status == Tenant.Status.READY


@pytest.mark.parametrize("path", ["hand-over/", "remove/"])
def test_what_cannot_be_undone_needs_the_password_once_more(
    tenant: Tenant, anna: User, browse: Browse, path: str
) -> None:
    anna.set_password("correct horse battery")
    anna.save()
    browser = browse()
    browser.force_login(anna)
    answer = browser.post(
        f"/accounts/households/{tenant.pk}/{path}", {"name": "Home", "is_saved": "on"}
    )
    assert answer.headers["Location"].startswith("/accounts/reauthenticate/")
    assert Tenant.objects.get(pk=tenant.pk).status == Tenant.Status.READY
