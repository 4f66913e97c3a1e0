"""Rights that change while sockets are open, and who may send what."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client

from syncapp import fanout, listening
from syncapp.core import messages
from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone, dial
from syncapp.tests.socket.server import ServerThread
from syncapp.tests.socket.test_live import _unreachable, wait_until_listening
from tenants.memberships import end_membership, set_role
from tenants.models import Tenant, Token, User
from tenants.tokens import revoke_token

NewMember = Callable[[Household, str], User]


@pytest.fixture
def editor(household: Household, new_member: NewMember) -> User:
    return new_member(household, "editor")


def tenant(household: Household) -> Tenant:
    return Tenant.objects.get(pk=household.id)


def test_a_viewer_reads_and_may_not_push(
    phone: Phone,
    household: Household,
    new_member: NewMember,
    new_phone: Callable[..., Phone],
) -> None:
    """S16"""
    viewer = new_phone(new_member(household, "viewer"))
    assert viewer.connect().hello()["role"] == "viewer"
    viewer.catch_up()
    viewer.push(viewer.new_group("Mine"))
    viewer.expect("error", code="forbidden", of="push")
    viewer.say({"type": "rows", "rows": [], "last": True})
    viewer.expect("error", code="forbidden", of="rows")
    phone.online()
    phone.push_and_settle(phone.new_group("Bank"))
    assert [row["fields"]["name"] for row in viewer.take_live()] == ["Bank"]
    viewer.ping()
    assert len(household.rows()) == 1


def test_an_editor_who_becomes_a_viewer_keeps_reading_and_his_queue(
    editor: User, household: Household, new_phone: Callable[..., Phone]
) -> None:
    """S16"""
    phone = new_phone(editor).online()
    phone.push_and_settle(phone.new_group("Bank"))
    phone.take_live()
    set_role(tenant(household), editor, "viewer")
    change = phone.new_group("Cash")
    phone.push(change)
    phone.expect("error", code="forbidden", of="push")
    phone.ping()
    set_role(tenant(household), editor, "editor")
    phone.push(change)  # it settled nothing
    assert phone.hear_until("ack")["results"][0]["fate"] == "applied"


def test_the_end_of_a_membership_closes_its_sockets_at_once(
    phone: Phone,
    editor: User,
    household: Household,
    new_phone: Callable[..., Phone],
    server: ServerThread,
) -> None:
    """S15"""
    phone.online()
    out = [new_phone(editor).online() for _ in range(3)]
    wait_until_listening(server)
    end_membership(tenant(household), editor)
    for each in out:
        assert each.refused() == ("not_yours", 4403)
    phone.push_and_settle(phone.new_group("Bank"))
    phone.take_live()
    phone.ping()


def test_a_push_in_hand_when_the_membership_ends_is_refused_inside_its_transaction(
    editor: User,
    household: Household,
    new_phone: Callable[..., Phone],
    server: ServerThread,
    raw_connection: psycopg.Connection,
) -> None:
    """S15: the push waits for the lock that the end of the membership holds."""
    phone = new_phone(editor).online()
    raw_connection.execute(f"SELECT FROM {household.schema}.sync_head FOR UPDATE")
    phone.push(phone.new_group("Too late"))
    raw_connection.execute(
        f"DELETE FROM {household.schema}.sync_member WHERE user_id = %s", [editor.pk]
    )
    raw_connection.commit()
    frames, code = phone.hear_close()
    assert ([frame["code"] for frame in frames], code) == (["not_yours"], 4403)
    assert frames[0]["of"] == "push"
    assert household.rows() == {}


def test_between_two_heartbeats_a_former_member_gets_no_rows_all_the_same(
    phone: Phone,
    editor: User,
    household: Household,
    new_phone: Callable[..., Phone],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S15: LISTEN is down and no beat is near, but membership is read with every page."""
    monkeypatch.setattr(listening, "_parameters", _unreachable)
    phone.online()
    former, asking = new_phone(editor).online(), new_phone(editor).online()
    end_membership(tenant(household), editor)
    asking.pull(ask=True)
    assert asking.refused() == ("not_yours", 4403)
    phone.push_and_settle(phone.new_group("Secret"))
    assert former.refused() == ("not_yours", 4403)
    assert len(phone.take_live()) == 1


def test_signing_out_closes_the_sockets_of_that_session_only(
    phone: Phone,
    household: Household,
    server: ServerThread,
    new_phone: Callable[..., Phone],
) -> None:
    """S13, S14"""
    owner = User.objects.get(pk=household.owner)
    clients = [Client(), Client()]
    for client in clients:
        client.force_login(owner)
    browsers = [browse(client, new_phone(), server) for client in clients]
    phone.online()
    wait_until_listening(server)
    clients[0].logout()
    assert browsers[0].refused() == ("sign_in", 4401)
    browsers[1].ping()
    phone.ping()


def browse(client: Client, phone: Phone, server: ServerThread) -> Phone:
    """The device is a page on which that client is signed in."""
    name = settings.SESSION_COOKIE_NAME
    phone.socket = dial(
        phone.url,
        phone.tenant_id,
        headers={"Cookie": f"{name}={client.cookies[name].value}"},
        origin=server.url.replace("ws", "http"),
    )
    phone.hello()
    phone.catch_up()
    return phone


async def _check_access(user: User) -> None:
    from syncapp import fanout

    await fanout.hub().check_access(user.pk)


def test_a_session_that_vanished_from_the_database_is_found_by_the_heartbeat(
    household: Household,
    server: ServerThread,
    new_phone: Callable[..., Phone],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S13, S14"""
    monkeypatch.setattr(messages, "HEARTBEAT_S", 0.2)
    client = Client()
    client.force_login(User.objects.get(pk=household.owner))
    browser = browse(client, new_phone(), server)
    Session.objects.filter(pk=client.cookies[settings.SESSION_COOKIE_NAME].value).delete()
    assert browser.refused() == ("sign_in", 4401)


def test_a_revoked_token_and_a_disabled_account_close_their_sockets_at_once(
    phone: Phone,
    editor: User,
    new_phone: Callable[..., Phone],
    server: ServerThread,
    household: Household,
    new_member: NewMember,
) -> None:
    """S14"""
    disabled = new_member(household, "editor")
    phone.online()
    first, second = new_phone(editor).online(), new_phone(disabled).online()
    wait_until_listening(server)
    revoke_token(Token.objects.get(user=editor))
    assert first.refused() == ("sign_in", 4401)
    disabled.is_active = False
    disabled.save()
    assert second.refused() == ("sign_in", 4401)
    phone.ping()


def test_whose_access_is_being_checked_while_a_push_is_in_hand_still_hears_the_ack(
    phone: Phone,
    editor: User,
    household: Household,
    new_phone: Callable[..., Phone],
    server: ServerThread,
    raw_connection: psycopg.Connection,
) -> None:
    """The push was committed before the token was revoked: its author hears that first."""
    other = new_phone(editor).online()
    raw_connection.execute(f"SELECT FROM {household.schema}.sync_head FOR UPDATE")
    other.push(other.new_group("Bank"))
    wait_until_listening(server)
    revoke_token(Token.objects.get(user=editor))
    server.run(_check_access(editor))
    raw_connection.rollback()
    frames, code = other.hear_close()
    assert [frame["type"] for frame in frames] == ["ack", "error"]
    assert (frames[1]["code"], code) == ("sign_in", 4401)


def test_two_peoples_rights_change_in_the_same_moment(
    household: Household,
    new_member: NewMember,
    new_phone: Callable[..., Phone],
    server: ServerThread,
) -> None:
    people = [new_member(household, "editor") for _ in range(4)]
    phones = [new_phone(person).online() for person in people]
    wait_until_listening(server)
    place = tenant(household)
    from django.db import connection

    def end(person: User) -> None:
        end_membership(place, person)
        connection.close()

    threads = [threading.Thread(target=end, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in phones:
        assert each.refused() == ("not_yours", 4403)


def test_whoever_may_edit_again_is_told_at_once(
    new_phone: Callable[..., Phone],
    new_member: Callable[..., User],
    household: Household,
    server: ServerThread,
) -> None:
    """A device that was refused, or was welcomed as a viewer's, asks no more by itself."""
    tenant = Tenant.objects.get(pk=household.id)
    bert = new_member(household, "editor")
    refused = new_phone(bert).online()
    wait_until_listening(server)
    set_role(tenant, bert, "viewer")
    refused.push(refused.new_group("Bank"))
    refused.expect("error", code="forbidden")
    welcomed = new_phone(bert).online()
    set_role(tenant, bert, "editor")
    for phone in (refused, welcomed):
        assert phone.hear_close()[1] == 1012
        phone.connect()
        assert phone.hello()["role"] == "editor"


def test_whoever_could_edit_all_the_time_stays_connected(
    new_phone: Callable[..., Phone],
    new_member: Callable[..., User],
    household: Household,
    server: ServerThread,
) -> None:
    tenant = Tenant.objects.get(pk=household.id)
    bert = new_member(household, "editor")
    phone = new_phone(bert).online()
    wait_until_listening(server)
    set_role(tenant, bert, "owner")
    server.run(server.hub().refresh())
    phone.ping()


def test_who_comes_while_the_members_are_being_read_may_stay(
    phone: Phone,
    editor: User,
    new_phone: Callable[..., Phone],
    server: ServerThread,
    household: Household,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reading asked about those who were there when it began, and says nothing of others."""
    phone.online()
    wait_until_listening(server)
    is_reading, may_end = threading.Event(), threading.Event()
    real = fanout.run_in_tenant

    async def held(tenant_id: Any, function: Any, *args: Any, **options: Any) -> Any:
        result = await real(tenant_id, function, *args, **options)
        if function is fanout.head_and_readers:
            is_reading.set()
            await asyncio.to_thread(may_end.wait, 20)
        return result

    monkeypatch.setattr(fanout, "run_in_tenant", held)
    room = server.hub().rooms[household.id]
    reading = asyncio.run_coroutine_threadsafe(server.hub()._refresh(room), server.loop)
    assert is_reading.wait(20)
    late = new_phone(editor).online()
    may_end.set()
    reading.result(20)
    late.ping()
    phone.ping()
