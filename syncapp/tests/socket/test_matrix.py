"""S19: who may send what. Every kind of frame has a rule for every kind of person."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from syncapp import listening
from syncapp.core.messages import UP_FRAMES
from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone, dial
from syncapp.tests.socket.test_live import _unreachable
from tenants.memberships import end_membership
from tenants.models import Tenant, User

PEOPLE = ("owner", "editor", "viewer", "former member", "other household", "anonymous")

# What answers: a frame's type; an error's code (the socket stays); a code and how it closes.
OUTSIDE = {
    "former member": ("not_yours", 4403),
    "other household": ("not_yours", 4403),
    "anonymous": ("sign_in", 4401),
}
READS = {"owner": "changes", "editor": "changes", "viewer": "changes"} | OUTSIDE
WRITES = {"owner": "ack", "editor": "ack", "viewer": "forbidden"} | OUTSIDE
RULES: dict[str, dict[str, Any]] = {
    "hello": {"owner": "welcome", "editor": "welcome", "viewer": "welcome"} | OUTSIDE,
    "push": WRITES,
    "rows": WRITES,
    "pull": READS,
    "ping": {"owner": "pong", "editor": "pong", "viewer": "pong"} | OUTSIDE,
    "report": {"owner": "nothing", "editor": "nothing", "viewer": "nothing"} | OUTSIDE,
}


def frame(kind: str, phone: Phone) -> dict[str, Any]:
    """A frame of this kind that nobody could find fault with."""
    row_id = str(uuid.uuid4())
    stamp = phone.clock.tick(1_700_000_000_000)
    row = {"entity": "account_group", "id": row_id, "fields": {"exists": True, "name": "x"}}
    return {
        "hello": phone.hello_frame,
        "push": lambda: {"type": "push", "changes": [phone.new_group("x")]},
        "rows": lambda: {"type": "rows", "rows": [row | {"stamp": stamp}]},
        "pull": lambda: {"type": "pull", "ask": True},
        "ping": lambda: {"type": "ping"},
        "report": lambda: {"type": "report", "id": row_id},
    }[kind]()


def test_every_kind_of_frame_has_a_rule_for_everybody() -> None:
    assert set(RULES) == set(UP_FRAMES)
    assert all(set(rule) == set(PEOPLE) for rule in RULES.values())


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("kind", UP_FRAMES)
def test_who_may_send_what(
    kind: str,
    person: str,
    household: Household,
    households: Callable[[], Household],
    new_member: Callable[[Household, str], User],
    new_phone: Callable[..., Phone],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S19"""
    # Whoever leaves is found out by his next frame, not only by being told on.
    monkeypatch.setattr(listening, "_parameters", _unreachable)
    phone = _connected(person, household, households, new_member, new_phone, kind != "hello")
    with suppress(ConnectionClosed):  # an anonymous visitor may be gone before he says it
        phone.say(frame(kind, phone))
    rule = RULES[kind][person]
    if isinstance(rule, tuple):
        assert phone.refused() == rule
    elif rule == "forbidden":
        phone.expect("error", code=rule, of=kind)
        phone.ping()
    elif rule == "nothing":
        phone.ping()
    else:
        phone.expect(rule)
    may_write = kind in ("push", "rows") and rule == "ack"
    assert len(household.rows()) == (1 if may_write else 0)


def _connected(
    person: str,
    household: Household,
    households: Callable[[], Household],
    new_member: Callable[[Household, str], User],
    new_phone: Callable[..., Phone],
    greets: bool,
) -> Phone:
    """A device of that person, as far into the conversation as he gets."""
    match person:
        case "owner":
            phone = new_phone()
        case "editor" | "viewer":
            phone = new_phone(new_member(household, person))
        case "former member":
            user = new_member(household, "editor")
            phone = new_phone(user).connect()
            if greets:
                phone.hello()
            end_membership(Tenant.objects.get(pk=household.id), user)
            return phone
        case "other household":
            phone = new_phone(at=households())
            phone.tenant_id = household.id
            phone.connect()
            if greets:
                phone.say(phone.hello_frame())
            return phone
        case "anonymous":
            phone = new_phone()
            phone.socket = dial(phone.url, phone.tenant_id)
            return phone
    phone.connect()
    if greets:
        phone.hello()
    return phone
