"""The same conversation on the other server, daphne, which `manage.py runserver` uses."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress

import psycopg
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone, dial
from syncapp.tests.socket.processes import DAPHNE, ServerProcess

MIB = 1024 * 1024


@pytest.fixture
def daphne(household: Household) -> Iterator[ServerProcess]:
    running = ServerProcess(DAPHNE)
    yield running
    said = running.stop()
    assert "Traceback" not in said, said


def test_the_conversation_is_the_same_on_daphne(
    daphne: ServerProcess,
    household: Household,
    new_phone: Callable[..., Phone],
    psql: psycopg.Connection,
) -> None:
    phone, other = (new_phone(url=daphne.url) for _ in range(2))
    phone.online()
    other.online()
    # Push, ack, and everybody's frame.
    change = phone.new_group("Bank")
    assert phone.push_and_settle(change)[0]["fate"] == "applied"
    assert other.take_live() == phone.take_live()
    phone.ping()
    # A write from psql.
    psql.execute(f"UPDATE {household.schema}.account_group SET name = 'Banks'")
    assert phone.take_live()[0]["fields"]["name"] == "Banks"
    # Errors that leave the socket open, and such that close it.
    phone.say('{"type":"nonsense"}')
    phone.expect("error", code="bad_frame")
    phone.say(b"\x00")
    assert phone.refused() == ("bad_frame", 4400)
    phone.connect().hello()
    with suppress(ConnectionClosed):
        phone.say(json.dumps({"type": "ping"}) + " " * (MIB + 1))
    assert phone.hear_close() == ([], 1006)  # it drops the connection without a word
    assert phone.connect().hello()["resume"] is True
    # Who may not come in.
    phone.tenant_id = uuid.uuid4()
    phone.connect().say(phone.hello_frame())
    assert phone.refused() == ("not_yours", 4403)
    phone.hang_up()
    phone.tenant_id = household.id
    phone.socket = dial(daphne.url, household.id)
    assert phone.refused() == ("sign_in", 4401)
    phone.hang_up()
    phone.socket = dial(daphne.url, household.id, token=phone.token, protocols=["other"])
    assert phone.refused() == ("upgrade_needed", 4426)
    with pytest.raises(InvalidStatus) as refused:
        phone.connect(origin="https://evil.example")
    assert refused.value.response.status_code == 403
    # All the while the other one heard of everything, and nobody disturbed it.
    assert other.take_live()[0]["fields"]["name"] == "Banks"
    other.ping()
