"""S20: a number of somebody else's answers as one that nobody has, and costs as much."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver

from tenants.invitations import invite
from tenants.memberships import set_role
from tenants.models import Tenant, Token, User
from tenants.tests.test_hostile_requests import patterns
from tenants.tests.test_memberships import in_public, mirrored
from tenants.tokens import create_token

Browse = Callable[..., Client]
Numbers = dict[str, str]

# Every address with a number in it, and which number that is; {mine} is Anna's own household.
ADDRESSES: dict[str, str] = {
    "/accounts/sessions/<int:pk>/end/": "/accounts/sessions/{session}/end/",
    "/accounts/tokens/<uuid:pk>/revoke/": "/accounts/tokens/{token}/revoke/",
    "/accounts/invitations/<str:link>/": "/accounts/invitations/{invitation}/",
    "/accounts/households/<uuid:tenant_id>/": "/accounts/households/{household}/",
    "/accounts/households/<uuid:tenant_id>/invite/": "/accounts/households/{household}/invite/",
    "/accounts/households/<uuid:tenant_id>/invitations/<uuid:pk>/withdraw/": (
        "/accounts/households/{mine}/invitations/{invitation}/withdraw/"
    ),
    "/accounts/households/<uuid:tenant_id>/members/<uuid:user_id>/role/": (
        "/accounts/households/{mine}/members/{person}/role/"
    ),
    "/accounts/households/<uuid:tenant_id>/members/<uuid:user_id>/remove/": (
        "/accounts/households/{mine}/members/{person}/remove/"
    ),
    "/accounts/households/<uuid:tenant_id>/leave/": "/accounts/households/{household}/leave/",
    "/accounts/households/<uuid:tenant_id>/hand-over/": (
        "/accounts/households/{household}/hand-over/"
    ),
    "/accounts/households/<uuid:tenant_id>/export/": "/accounts/households/{household}/export/",
    "/accounts/households/<uuid:tenant_id>/remove/": "/accounts/households/{household}/remove/",
    "/accounts/2fa/webauthn/keys/<int:pk>/remove/": "/accounts/2fa/webauthn/keys/{key}/remove/",
    "/accounts/2fa/webauthn/keys/<int:pk>/edit/": "/accounts/2fa/webauthn/keys/{key}/edit/",
    "/api/households/<uuid:household>/name": "/api/households/{household}/name",
    "/api/households/<uuid:household>/devices": "/api/households/{household}/devices",
    "/api/households/<uuid:household>/device": "/api/households/{household}/device",
    "/sync/<uuid:tenant_id>/": "/sync/{household}/",
    "/sync/<uuid:tenant_id>/now/": "/sync/{household}/now/",
    "/users/<uuid:person_id>": "/users/{person}",
}
# Only for who is let into the admin, whatever the number: accounts/tests/test_admin.py.
ELSEWHERE = "/admin/"


@pytest.fixture
def bert(new_person: Callable[..., User]) -> User:
    return new_person("bert")


@pytest.fixture
def theirs(bert: User, new_household: Any, browse: Browse) -> Numbers:
    """Numbers of everything that Bert has."""
    tenant = Tenant.objects.get(pk=new_household("Theirs", bert))
    create_token(bert, "phone")
    browse(bert).get("/accounts/")
    sent, _ = invite(tenant, "dora@example.org", "editor", bert)
    key = Authenticator.objects.create(
        user=bert, type=Authenticator.Type.WEBAUTHN, data={"name": "Key", "credential": {}}
    )
    return {
        "session": str(UserSession.objects.get(user=bert).pk),
        "token": str(Token.objects.get(user=bert).pk),
        "invitation": str(sent.pk),
        "household": str(tenant.pk),
        "person": str(bert.pk),
        "key": str(key.pk),
    }


def nobodys() -> Numbers:
    names = ("token", "invitation", "household", "person")
    return {name: str(uuid.uuid4()) for name in names} | {"session": "987654321", "key": "98765432"}


def all_that_bert_has(bert: User, tenant_id: str) -> Any:
    return (
        list(Token.objects.filter(user=bert).values()),
        list(UserSession.objects.filter(user=bert).values()),
        list(Authenticator.objects.filter(user=bert).values()),
        list(Tenant.objects.filter(pk=tenant_id).values()),
        list(Tenant.objects.get(pk=tenant_id).invitations.values()),
        in_public(UUID(tenant_id)),
        mirrored(UUID(tenant_id)),
        User.objects.filter(pk=bert.pk).values_list("display_name", "email", "password").get(),
    )


@pytest.mark.parametrize("method", ["get", "post", "put"])
def test_somebody_elses_number_answers_as_one_that_nobody_has(
    method: str,
    browse: Browse,
    anna: User,
    home: UUID,
    bert: User,
    theirs: Numbers,
    settings: Any,
) -> None:
    settings.FINWISE04_ENABLED = True
    before = all_that_bert_has(bert, theirs["household"])
    sent: dict[str, str] = {"role": "viewer", "email": "x@example.org", "accept": "1", "name": "x"}

    def ask(browser: Client, address: str, numbers: Numbers) -> tuple[int, str, int]:
        path = address.format(mine=home, **numbers)
        options: dict[str, Any] = {"headers": {"origin": "http://testserver"}}
        data: Any = sent
        if address.startswith(("/api/", "/users")) and method != "get":
            data, options["content_type"] = json.dumps(sent), "application/json"
        with CaptureQueriesContext(connection) as asked:
            answer = getattr(browser, method)(path, data, **options)
        text = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", answer.text)
        text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|/\d+/", "…", text)
        return answer.status_code, text + answer.headers.get("Location", ""), len(asked)

    browser = browse(anna)
    browser.get("/accounts/")  # has been here before, so that nothing of that is counted
    for address in ADDRESSES.values():
        found, missing = ask(browser, address, theirs), ask(browser, address, nobodys())
        assert found[0] in (403, 404, 405), address
        assert found == missing == ask(browser, address, theirs), address
    assert all_that_bert_has(bert, theirs["household"]) == before


def test_every_address_with_a_number_is_tried() -> None:
    numbered = {
        path
        for path, _ in patterns(get_resolver())
        if re.search(r"<(int|uuid|str|slug|path):", path) and not path.startswith(ELSEWHERE)
    }
    assert numbered == set(ADDRESSES)


def test_numbers_are_random_but_for_those_that_only_their_person_may_use() -> None:
    """So nobody finds a household, a person, a token or an invitation by counting."""
    for model in (Tenant, User, Token, Tenant.invitations.rel.related_model):
        field = model._meta.pk
        assert field is not None and field.get_internal_type() == "UUIDField"
        assert field.default is uuid.uuid4


@pytest.mark.parametrize("role", ["editor", "viewer"])
def test_who_may_not_manage_learns_nothing_by_numbers_either(
    browse: Browse, anna: User, bert: User, home: UUID, theirs: Numbers, role: str
) -> None:
    tenant = Tenant.objects.get(pk=home)
    set_role(tenant, bert, role)
    browser = browse(bert)
    sent, _ = invite(tenant, "emil@example.org", "editor", anna)
    for pk in (sent.pk, uuid.uuid4()):
        path = f"/accounts/households/{home}/invitations/{pk}/withdraw/"
        assert browser.post(path).status_code == 403
    for person in (anna.pk, uuid.uuid4()):
        path = f"/accounts/households/{home}/members/{person}/remove/"
        assert browser.post(path).status_code == 403
