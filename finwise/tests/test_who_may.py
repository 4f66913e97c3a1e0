"""Every address and every kind of person: what a visit answers, and what a form sent there does.

The addresses come from the URLconf, so one without a rule fails here. Forms are sent empty: what
a filled one does is tried where it belongs. Sync frames: syncapp/tests/socket/test_matrix.py.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.test import Client
from django.urls import get_resolver

from syncapp.tests.household import Household
from tenants.invitations import invite
from tenants.memberships import end_membership, set_role
from tenants.models import AuditEntry, Membership, Tenant, Token, User
from tenants.tokens import create_token

MEMBERS = ("owner", "editor", "viewer")
STRANGERS = ("former member", "other household")
# Without any permission; may see everything in the admin; may do everything there.
STAFF = ("staff", "watcher", "operator")
PEOPLE = (*MEMBERS, *STRANGERS, *STAFF, "anonymous")

INSIDE = "admin/household/<uuid:tenant_id>/"
Rule = dict[str, str]


def everybody(word: str, **others: str) -> Rule:
    """What each kind of person meets; `others` names kinds, or groups of them, who differ."""
    rule = dict.fromkeys(PEOPLE, word)
    groups = {"members": MEMBERS, "strangers": STRANGERS, "all_staff": STAFF}
    for name, other in others.items():
        for each in groups.get(name, (name.replace("_", " "),)):
            assert each in rule, each
            rule[each] = other
    return rule


def members(word: str, **others: str) -> Rule:
    """For a household's people; to others it does not exist."""
    return everybody("unknown", members=word, anonymous="sign in", **others)


def staff(word: str, **others: str) -> Rule:
    """For whoever may use the admin; others are asked who they are."""
    return everybody("sign in", all_staff=word, **others)


def inside(word: str, **others: str) -> Rule:
    """For staff in the admin of a household's rows."""
    return everybody("no", all_staff=word, anonymous="sign in", **others)


ANYBODY = everybody("page")
NOT_SO = everybody("not so")
NOTHING_THERE = everybody("unknown")
SIGNED_IN = everybody("page", anonymous="sign in")
SENDS_ON = everybody("on", anonymous="sign in")
SIGNED_IN_NOT_SO = everybody("not so", anonymous="sign in")
SIGNED_IN_NOTHING = everybody("unknown", anonymous="sign in")
FOR_ENTERING = everybody("on", anonymous="page")
NO_SECOND_FACTOR = everybody("no", anonymous="sign in")
OWN_THING = everybody("unknown", owner="on", anonymous="sign in")
OWNERS = members("no", owner="page")
OWNERS_DO = members("no", owner="on")
WATCH = staff("page", staff="no")
OPERATE = staff("no", operator="page")
OPERATE_DO = staff("no", operator="on")
NOBODY_THERE = staff("no")
APPS = staff("page", staff="unknown")
ROWS_APPS = inside("page", staff="unknown")
ROWS = inside("page", staff="no")
ROWS_DO = inside("no", operator="page")

_HOME = "accounts/households/<uuid:tenant_id>/"
_TENANT = "admin/tenants/tenant/<uuid:tenant_id>/"

# By address: what a visit meets, and what an empty form sent there does.
RULES: dict[str, tuple[Rule, Rule]] = {
    # The app and what watches over it
    "": (ANYBODY, NOT_SO),
    "sw.js": (ANYBODY, NOT_SO),
    "manifest.webmanifest": (ANYBODY, NOT_SO),
    "health/live": (ANYBODY, NOT_SO),
    "health/ready": (ANYBODY, NOT_SO),
    "api/session": (ANYBODY, NOT_SO),
    "api/households/<uuid:household>/name": (SIGNED_IN_NOT_SO, members("no", owner="wrong")),
    "api/households/<uuid:household>/device": (SIGNED_IN_NOT_SO, members("wrong")),
    "api/households/<uuid:household>/devices": (members("page"), SIGNED_IN_NOT_SO),
    # One's own account
    "accounts/": (SIGNED_IN, SIGNED_IN),
    "accounts/sessions/": (SIGNED_IN, SIGNED_IN),
    "accounts/sessions/end-others/": (SIGNED_IN_NOT_SO, SENDS_ON),
    "accounts/sessions/<int:pk>/end/": (SIGNED_IN_NOT_SO, SIGNED_IN_NOTHING),
    "accounts/tokens/": (SIGNED_IN, SIGNED_IN),
    "accounts/tokens/new/": (SIGNED_IN_NOT_SO, SIGNED_IN),
    "accounts/tokens/<uuid:pk>/revoke/": (SIGNED_IN_NOT_SO, OWN_THING),
    "accounts/invitations/<str:link>/": (NOTHING_THERE, NOTHING_THERE),
    "accounts/login/": (FOR_ENTERING, FOR_ENTERING),
    "accounts/logout/": (SIGNED_IN, everybody("sign in")),
    "accounts/inactive/": (ANYBODY, NOT_SO),
    "accounts/signup/": (FOR_ENTERING, FOR_ENTERING),
    "accounts/reauthenticate/": (NO_SECOND_FACTOR, NO_SECOND_FACTOR),
    "accounts/email/": (SIGNED_IN, SENDS_ON),
    "accounts/confirm-email/": (ANYBODY, NOT_SO),
    "accounts/password/change/": (SENDS_ON, SENDS_ON),
    "accounts/password/set/": (SIGNED_IN, SIGNED_IN),
    "accounts/password/reset/": (ANYBODY, ANYBODY),
    "accounts/password/reset/done/": (ANYBODY, NOT_SO),
    "accounts/password/reset/key/done/": (ANYBODY, NOT_SO),
    r"accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": (ANYBODY, ANYBODY),
    "accounts/login/code/confirm/": (SENDS_ON, SENDS_ON),
    r"accounts/^confirm-email/(?P<key>[-:\w]+)/$": (ANYBODY, NOTHING_THERE),
    "accounts/2fa/": (SIGNED_IN, SIGNED_IN_NOT_SO),
    "accounts/2fa/authenticate/": (SENDS_ON, SENDS_ON),
    "accounts/2fa/reauthenticate/": (NO_SECOND_FACTOR, NO_SECOND_FACTOR),
    "accounts/2fa/totp/activate/": (SIGNED_IN, SIGNED_IN),
    "accounts/2fa/totp/deactivate/": (SIGNED_IN_NOTHING, SIGNED_IN_NOTHING),
    "accounts/2fa/recovery-codes/": (SIGNED_IN_NOTHING, SIGNED_IN_NOT_SO),
    "accounts/2fa/recovery-codes/generate/": (SIGNED_IN, SIGNED_IN),
    "accounts/2fa/recovery-codes/download/": (SIGNED_IN_NOTHING, SIGNED_IN_NOTHING),
    "accounts/2fa/webauthn/": (SIGNED_IN, SIGNED_IN_NOT_SO),
    "accounts/2fa/webauthn/add/": (SIGNED_IN, SIGNED_IN),
    "accounts/2fa/webauthn/reauthenticate/": (NO_SECOND_FACTOR, NO_SECOND_FACTOR),
    "accounts/2fa/webauthn/keys/<int:pk>/remove/": (SIGNED_IN_NOTHING, SIGNED_IN_NOTHING),
    "accounts/2fa/webauthn/keys/<int:pk>/edit/": (SIGNED_IN_NOTHING, SIGNED_IN_NOTHING),
    "accounts/2fa/webauthn/login/": (SENDS_ON, SENDS_ON),
    # One's households
    _HOME: (members("page"), members("page")),
    _HOME + "invite/": (SIGNED_IN_NOT_SO, OWNERS),
    _HOME + "invitations/<uuid:pk>/withdraw/": (SIGNED_IN_NOT_SO, OWNERS_DO),
    _HOME + "members/<uuid:user_id>/role/": (SIGNED_IN_NOT_SO, OWNERS_DO),
    _HOME + "members/<uuid:user_id>/remove/": (SIGNED_IN_NOT_SO, OWNERS_DO),
    _HOME + "leave/": (members("page"), members("on")),
    _HOME + "hand-over/": (OWNERS, members("no", owner="unknown")),
    _HOME + "export/": (members("page"), members("page")),
    _HOME + "remove/": (OWNERS, OWNERS),
    # The status page
    "sync/": (SIGNED_IN, NOT_SO),
    "sync/<uuid:tenant_id>/": (members("page", watcher="page", operator="page"), NOT_SO),
    "sync/<uuid:tenant_id>/now/": (NOT_SO, members("on", watcher="no", operator="on")),
    # The admin
    "admin/": (staff("on", staff="page"), staff("on", staff="page")),
    "admin/search/": (staff("page"), staff("page")),
    "admin/login/": (inside("on"), inside("page")),
    "admin/logout/": (everybody("on", all_staff="not so"), everybody("on", all_staff="sign in")),
    "admin/password_change/": (staff("on"), staff("on")),
    "admin/password_change/done/": (staff("page"), staff("not so")),
    "admin/autocomplete/": (NOBODY_THERE, staff("not so")),
    "admin/jsi18n/": (staff("page"), staff("not so")),
    "admin/r/<path:content_type_id>/<path:object_id>/": (staff("unknown"), staff("unknown")),
    r"admin/^(?P<app_label>tenants)/$": (APPS, APPS),
    r"admin/(?P<url>.*)$": (staff("unknown"), staff("unknown")),
    "admin/tenants/user/<id>/password/": (OPERATE, OPERATE),
    "admin/tenants/tenant/provision/": (OPERATE, OPERATE),
    _TENANT + "do/<slug:action>/": (OPERATE, OPERATE_DO),
    _TENANT + "device/<uuid:device_id>/<slug:action>/": (OPERATE, OPERATE_DO),
    # A household's rows
    INSIDE + "<path:rest>": (ROWS, ROWS),
    INSIDE: (inside("on", staff="no"), inside("on", staff="no")),
    INSIDE + "search/": (inside("page"), inside("page")),
    INSIDE + "login/": (inside("on"), inside("page")),
    INSIDE + "logout/": (inside("on"), inside("on")),
    INSIDE + "password_change/": (inside("on"), inside("on")),
    INSIDE + "password_change/done/": (inside("page"), inside("not so")),
    INSIDE + "autocomplete/": (inside("no"), inside("not so")),
    INSIDE + "jsi18n/": (inside("page"), inside("not so")),
    INSIDE + "r/<path:content_type_id>/<path:object_id>/": (inside("unknown"), inside("unknown")),
    INSIDE + r"^(?P<app_label>accounts)/$": (ROWS_APPS, ROWS_APPS),
    INSIDE + r"(?P<url>.*)$": (inside("unknown"), inside("unknown")),
}  # fmt: skip

# Apps of FinWise 0.4, to which this site does not speak unless it is told to.
for each in ("users", "users/<uuid:person_id>", "register", "login", "tenants", "tenants/",
             "api/v1/websocket/health"):  # fmt: skip
    RULES[each] = (NOTHING_THERE, NOTHING_THERE)

# What may be added, deleted, changed: (visit, form) for each.
_NEITHER = (NOBODY_THERE, NOBODY_THERE)
_BOTH = (OPERATE, OPERATE)
for model, add, delete, change in (
    ("user", _BOTH, _NEITHER, OPERATE),
    ("membership", _BOTH, _BOTH, OPERATE),
    ("token", _NEITHER, _NEITHER, OPERATE),
    ("tenant", _NEITHER, _NEITHER, OPERATE_DO),
    ("auditentry", _NEITHER, _NEITHER, NOBODY_THERE),
):
    page = f"admin/tenants/{model}/"
    RULES[page] = RULES[f"{page}<path:object_id>/history/"] = (WATCH, WATCH)
    RULES[f"{page}add/"] = add
    RULES[f"{page}<path:object_id>/delete/"] = delete
    RULES[f"{page}<path:object_id>/change/"] = (WATCH, change)
    RULES[f"{page}<path:object_id>/"] = (staff("on"), staff("on"))
for model in ("account", "accountgroup"):
    page = f"{INSIDE}accounts/{model}/"
    RULES[page] = (ROWS, ROWS)
    RULES[f"{page}add/"] = RULES[f"{page}<path:object_id>/delete/"] = (ROWS_DO, ROWS_DO)
    RULES[f"{page}<path:object_id>/change/"] = (ROWS, ROWS_DO)
    RULES[f"{page}<path:object_id>/history/"] = (inside("on"), inside("on"))
    RULES[f"{page}<path:object_id>/"] = (inside("on"), inside("on"))
    RULES[f"{page}<uuid:row_id>/restore/"] = (ROWS_DO, inside("no", operator="on"))

# Of what is built: it may be missing, and that, too, is the same for everybody.
SHELL = ("", "sw.js", "manifest.webmanifest")
REFUSED = ("no", "unknown", "not so", "sign in", "prove")


def routes() -> Iterator[str]:
    """Every address that this site answers at, as the URLconf writes it."""
    yield from _below(get_resolver())
    for each in _below(get_resolver("syncapp.admin.household_urls")):
        yield INSIDE + each


def _below(resolver: Any, before: str = "") -> Iterator[str]:
    for each in resolver.url_patterns:
        pattern = before + str(each.pattern)
        if hasattr(each, "url_patterns"):
            yield from _below(each, pattern)
        else:
            yield pattern


def test_every_address_has_a_rule_for_everybody() -> None:
    assert set(RULES) == set(routes())
    assert all(set(rule) == set(PEOPLE) for rules in RULES.values() for rule in rules)


@pytest.mark.slow
@pytest.mark.parametrize("route", RULES)
def test_who_may_do_what(route: str, household: Household, people: People) -> None:
    """S12, S19, S46"""
    people.settle_in(household)
    path = address(route, household, people)
    visit, form = RULES[route]
    assert {name: outcome(people.browser(name).get(path), route) for name in PEOPLE} == visit
    before = state(household, people)
    refused = [name for name in PEOPLE if form[name] in REFUSED]
    met = {name: outcome(people.browser(name).post(path), route) for name in refused}
    if "logout" not in route:
        assert state(household, people) == before
    for name in set(PEOPLE) - set(refused):
        if "/households/" in route:
            people.settle_in(household)  # the one before may have left
        met[name] = outcome(people.browser(name).post(path), route)
    assert met == form


class People:
    """Somebody of each kind, each with a browser in which everything was asked again just now."""

    def __init__(self, other: Household) -> None:
        self._ids: dict[str, UUID] = {}
        for name in set(PEOPLE) - {"anonymous"}:
            made = User.objects.create_user(
                f"{secrets.token_hex(6)}@example.org",
                email_verified=True,
                is_staff=name in STAFF,
                is_superuser=name == "operator",
            )
            self._ids[name] = made.pk
        views = Permission.objects.filter(codename__startswith="view_")
        self["watcher"].user_permissions.add(*views)
        set_role(Tenant.objects.get(pk=other.id), self["other household"], "editor")
        self._browsers: dict[str, Client] = {}

    def __getitem__(self, name: str) -> User:
        return User.objects.get(pk=self._ids[name])  # as it is by now

    def settle_in(self, household: Household) -> None:
        """Let everybody be to the household what they are called."""
        tenant = Tenant.objects.get(pk=household.id)
        for name in MEMBERS:
            set_role(tenant, self[name], name)
        set_role(tenant, self["former member"], "editor")
        end_membership(tenant, self["former member"])

    def browser(self, name: str) -> Client:
        if name not in self._browsers:
            self._browsers[name] = client = Client(HTTP_HOST="localhost")
            if name != "anonymous":
                client.force_login(self[name])
                session = client.session
                session["account_authentication_methods"] = [
                    {"method": "password", "at": time.time(), "reauthenticated": True}
                ]
                session["account_authentication_methods_user"] = str(self[name].pk)
                session.save()
        return self._browsers[name]

    def close_browsers(self) -> None:
        self._browsers.clear()


_people: list[People] = []


@pytest.fixture
def people(household: Household, households: Callable[[], Household]) -> People:
    """The same ones in every test: making them takes longer than what is tried."""
    cache.clear()
    if not _people:
        _people.append(People(households()))
    _people[0].close_browsers()
    return _people[0]


def outcome(answer: Any, route: str) -> str:
    """What happened, in a word."""
    place = answer.headers.get("Location", "")
    match answer.status_code:
        case 302 if "/login/" in place:
            return "sign in"
        case 302 if "/reauthenticate/" in place:
            return "prove"
        case 302:
            return "on"
        case 503 if route in SHELL:
            return "page"
        case status:
            words = {200: "page", 401: "sign in", 403: "no", 404: "unknown", 405: "not so"}
            return words.get(status, "wrong" if status in (400, 422) else str(status))


def state(household: Household, people: People) -> tuple[Any, ...]:
    """What nobody who is refused may have changed."""
    return (
        household.head(),
        set(Membership.objects.filter(tenant_id=household.id).values_list("user", "role")),
        set(Token.objects.filter(user=people["owner"]).values_list("pk", "revoked_at")),
        set(User.objects.values_list("pk", "is_active", "is_staff", "is_superuser", "password")),
        AuditEntry.objects.exclude(action__in=("refused", "look_inside")).count(),
    )


def address(route: str, household: Household, people: People) -> str:
    """An address of that shape, of things of the owner's and of the household's."""
    path = route
    for name, value in _values(route, household, people).items():
        path = path.replace(name, str(value))
    assert not set("<>()?") & set(path), path
    return f"/{path}"


def _values(route: str, household: Household, people: People) -> dict[str, Any]:
    viewer = people["viewer"].pk
    values: dict[str, Any] = {
        "<uuid:tenant_id>": household.id, "<uuid:household>": household.id,
        "<uuid:user_id>": viewer, "<id>": viewer, "<uuid:person_id>": viewer, "<int:pk>": 1,
        "<path:content_type_id>": ContentType.objects.get_for_model(Tenant).pk,
        r"^(?P<app_label>tenants)/$": "tenants/", r"^(?P<app_label>accounts)/$": "accounts/",
        r"(?P<url>.*)$": "nonsense/", "<str:link>": "nonsense",
        r"^confirm-email/(?P<key>[-:\w]+)/$": "confirm-email/nonsense/",
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": "password/reset/key/a-b/",
        "<path:rest>": "accounts/account/",
    }  # fmt: skip
    if "device/<uuid" in route:
        return values | {
            "<uuid:device_id>": household.device().id,
            "<slug:action>": "revoke_device",
        }
    if route.startswith(INSIDE):
        row = _row(household, "account_group" if "accountgroup" in route else "account", route)
        return values | {"<uuid:row_id>": row, "<path:object_id>": row}
    if "tokens/" in route or "/token/" in route:
        token = UUID(create_token(people["owner"], "phone")[3:35])
        return values | {"<uuid:pk>": token, "<path:object_id>": token}
    if "invitations/<uuid" in route:
        tenant = Tenant.objects.get(pk=household.id)
        invitation, _ = invite(tenant, "dora@example.org", "editor", people["owner"])
        return values | {"<uuid:pk>": invitation.pk}
    objects: dict[str, Callable[[], Any]] = {
        "/user/": lambda: viewer,
        "/membership/": lambda: Membership.objects.get(user_id=viewer).pk,
        "/auditentry/": lambda: AuditEntry.objects.create(action="sync_now").pk,
    }
    found = next((make() for name, make in objects.items() if name in route), household.id)
    return values | {"<path:object_id>": found, "<slug:action>": "new_epoch"}


def _row(household: Household, kind: str, route: str) -> str:
    """A row of this kind; gone, where one is brought back."""
    device, row = household.device(), str(uuid.uuid4())
    device.push(device.change("create", kind, row, {"name": "x"}))
    if "restore" in route:
        device.push(device.change("delete", kind, row))
    return row
