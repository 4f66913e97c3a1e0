"""Who may open a socket, on a real handshake."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable

import pytest
from django.conf import settings
from django.test import Client
from websockets.exceptions import InvalidStatus

from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone, dial
from syncapp.tests.socket.server import ServerThread
from tenants.models import User
from tenants.tokens import create_token


@pytest.fixture
def cookie(household: Household) -> str:
    """The owner is signed in on a page of ours."""
    client = Client()
    client.force_login(User.objects.get(pk=household.owner))
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


def browser(phone: Phone, cookie: str, origin: str | None) -> Phone:
    phone.hang_up()
    phone.socket = dial(phone.url, phone.tenant_id, headers={"Cookie": cookie}, origin=origin)
    return phone


def test_a_signed_in_page_of_ours_may_sync(phone: Phone, cookie: str) -> None:
    browser(phone, cookie, phone.url.replace("ws", "http")).hello()
    phone.push_and_settle(phone.new_group("Bank"))


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "file://",
        "https://127.0.0.1",
        "http://127.0.0.1:1",
        "http://good@127.0.0.1",
        "https://[::1",
        "http://127.0.0.1.evil.example",
    ],
)
def test_a_foreign_page_is_refused_outright(
    phone: Phone, cookie: str, origin: str, caplog: pytest.LogCaptureFixture
) -> None:
    """S01-S05"""
    with caplog.at_level(logging.INFO), pytest.raises(InvalidStatus) as refused:
        browser(phone, cookie, origin)
    assert refused.value.response.status_code == 403
    assert "origin: not one of ours" in caplog.text
    assert cookie.partition("=")[2] not in caplog.text


def test_a_foreign_page_is_refused_even_with_a_token(phone: Phone) -> None:
    with pytest.raises(InvalidStatus):
        phone.connect(origin="https://evil.example")


def test_a_token_needs_no_origin_and_cookies_beside_it_count_for_nothing(
    phone: Phone, cookie: str, new_person: Callable[[], User]
) -> None:
    phone.connect(headers={"Cookie": cookie}).hello()
    stranger = Phone(phone.url, phone.tenant_id, create_token(new_person(), "phone"))
    stranger.connect(headers={"Cookie": cookie}).say(stranger.hello_frame())
    assert stranger.refused() == ("not_yours", 4403)


def test_a_cookie_without_an_origin_is_no_sign_in(phone: Phone, cookie: str) -> None:
    """S08"""
    assert browser(phone, cookie, None).refused() == ("sign_in", 4401)


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic YTpi"}]
)
def test_who_is_not_signed_in_is_told_so_and_let_go(phone: Phone, headers: dict[str, str]) -> None:
    """S08: accepted first, because a browser cannot read a refused handshake."""
    phone.socket = dial(phone.url, phone.tenant_id, headers=headers)
    frames, code = phone.hear_close()
    assert code == 4401
    assert frames == [
        {
            "type": "error",
            "code": "sign_in",
            "message": "Sign in to sync. Your changes are safe on this device.",
        }
    ]


def test_a_token_in_the_address_is_refused_and_not_logged(
    phone: Phone, caplog: pytest.LogCaptureFixture
) -> None:
    """S07"""
    with caplog.at_level(logging.INFO), pytest.raises(InvalidStatus):
        dial(phone.url, phone.tenant_id, query=f"?token={phone.token}")
    assert phone.token not in caplog.text


def test_a_token_in_the_address_is_in_no_line_that_we_really_write(
    phone: Phone, capfd: pytest.CaptureFixture[str]
) -> None:
    """S07: the ASGI server's own lines included, at the level that people run with."""
    with pytest.raises(InvalidStatus):
        dial(phone.url, phone.tenant_id, query=f"?token={phone.token}")
    out, err = capfd.readouterr()
    assert phone.token not in out + err


@pytest.mark.parametrize("protocols", [["finwise.sync.v0"], []])
def test_a_client_that_does_not_speak_our_protocol_is_told_to_update(
    phone: Phone, protocols: list[str]
) -> None:
    phone.socket = dial(phone.url, phone.tenant_id, token=phone.token, protocols=protocols)
    assert phone.refused() == ("upgrade_needed", 4426)


def test_unknown_households_and_other_peoples_answer_alike(
    server: ServerThread,
    households: Callable[[], Household],
    new_phone: Callable[..., Phone],
) -> None:
    """S12, L07"""
    ours, theirs = households(), households()
    answers = []
    for tenant_id in (theirs.id, uuid.uuid4()):
        phone = new_phone(at=ours)
        phone.tenant_id = tenant_id
        phone.connect().say(phone.hello_frame())
        answers.append(phone.hear_close())
    assert answers[0] == answers[1]
    frames, code = answers[0]
    assert ([frame["code"] for frame in frames], code) == (["not_yours"], 4403)


@pytest.mark.parametrize(
    "path", ["/", "/ws/", "/ws/sync/", "/ws/sync/public/", "/ws/sync/t_00/", "/ws/sync/%00/"]
)
def test_a_path_that_leads_nowhere_is_refused_without_a_traceback(
    server: ServerThread, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    from websockets.sync.client import connect

    with pytest.raises(InvalidStatus) as refused:
        connect(server.url + path, legacy=True)
    assert refused.value.response.status_code == 403
    assert not [record for record in caplog.records if record.exc_info]
