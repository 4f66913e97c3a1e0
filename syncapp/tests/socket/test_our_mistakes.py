"""A fault of ours is logged with its traceback and told without it, and the socket goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from syncapp import consumers, conversation, engine, rooms
from syncapp.tests.faults.nonsense import MARKER
from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone


def broken(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("our mistake")


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.get_records("call") if record.exc_info]


def test_a_frame_that_we_cannot_handle_settles_nothing_and_may_come_again(
    phone: Phone,
    household: Household,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """S52"""
    phone.online()
    change = phone.new_group(MARKER)
    with monkeypatch.context() as patch, caplog.at_level(logging.INFO):
        patch.setattr(engine, "apply_push", broken)
        phone.push(change)
        error = phone.expect("error", code="internal", of="push", retryable=True)
    assert "our mistake" not in error["message"]
    assert tracebacks(caplog) == ["handling a frame failed"]
    assert MARKER not in caplog.text
    assert household.rows() == {}
    phone.push(change)
    assert phone.expect("ack")["results"] == [{"number": 1, "fate": "applied"}]


def test_a_page_that_we_cannot_read_sends_its_readers_back_to_hello(
    phone: Phone,
    new_phone: Callable[[], Phone],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    phone.online()
    with monkeypatch.context() as patch:
        patch.setattr(rooms.engine, "page_after", broken)
        phone.pull()
        assert phone.refused() == ("restarting", 1012)
    assert tracebacks(caplog) == ["reading changes failed"]
    phone.online()
    phone.ping()


def test_a_visitor_that_we_cannot_look_up_comes_again(
    phone: Phone, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(consumers, "visitor_of", broken)
        phone.connect()
        assert phone.refused() == ("internal", 1012)
    assert tracebacks(caplog) == ["looking up a visitor failed"]
    phone.online()


def test_a_heartbeat_that_fails_is_followed_by_the_next(
    phone: Phone,
    household: Household,
    psql: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from syncapp import fanout, listening
    from syncapp.core import messages
    from syncapp.tests.socket.test_live import _unreachable

    monkeypatch.setattr(messages, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(listening, "_parameters", _unreachable)
    beats = []
    check = fanout.Hub.check_access

    async def fails_first(hub: fanout.Hub, *args: Any) -> None:
        beats.append(True)
        if len(beats) == 1:
            broken()
        await check(hub, *args)

    monkeypatch.setattr(fanout.Hub, "check_access", fails_first)
    phone.online()
    for _ in range(3):
        psql.execute(
            f"INSERT INTO {household.schema}.account_group (id, name)"
            " VALUES (gen_random_uuid(), 'x')"
        )
        assert len(phone.take_live()) == 1
    assert tracebacks(caplog) == ["a heartbeat failed"]


def test_provisioning_that_fails_is_told_and_may_be_tried_again(
    new_phone: Callable[..., Phone],
    new_person: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import uuid

    phone = new_phone(new_person())
    phone.tenant_id = uuid.uuid4()
    monkeypatch.setattr(conversation, "provision", broken)
    phone.connect().say(phone.hello_frame(household={"name": "Zuhause"}))
    phone.expect("error", code="internal", of="hello", retryable=True)
    assert tracebacks(caplog) == ["handling a frame failed"]
