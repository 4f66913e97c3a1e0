"""Marked values go through everything, failures included, and none of them is in a log."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from http.client import HTTPConnection

import psycopg
import pytest
from django.db import connection

from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.processes import ServerProcess

NAME = "Marked-Name-5417"
AMOUNT = "91737.4242"
IBAN = "DE02120300000000202051"
MARKS = ("Marked", "91737", "4242", "20205")
FIELDS = {"name": NAME, "note": NAME, "balance": AMOUNT, "iban": IBAN}
# As a site logs, with the password of its own; and as chatty as can be.
ENVIRONMENT = {
    "FINWISE_ENV": "production",
    "FINWISE_SECRET_KEY": "b9cUqYz3_7hVtM2sKx0wPfR8dLnE5gJaQ1oWyTiHkZ6mXv4CrSuBpNjFeGlDAO-I",
    "FINWISE_HOSTS": "127.0.0.1",
    "FINWISE_REDIRECT_TO_TLS": "0",
    "FINWISE_EMAIL_URL": "dummymail://",
}


@pytest.fixture(params=["INFO", "DEBUG"])
def running(request: pytest.FixtureRequest, households: object) -> Iterator[ServerProcess]:
    server = ServerProcess(environment={**ENVIRONMENT, "FINWISE_LOG_LEVEL": request.param})
    yield server
    if server.process.poll() is None:
        server.stop()


def account(phone: Phone, **changes: object) -> dict[str, object]:
    return phone.change("create", "account", str(uuid.uuid4()), {**FIELDS, **changes})


def test_no_value_of_a_row_is_ever_logged(
    running: ServerProcess,
    household: Household,
    new_phone: Callable[..., Phone],
    psql: psycopg.Connection,
) -> None:
    phone, tablet = (new_phone(url=running.url).online() for _ in range(2))
    # What is fine, what loses, what is refused for each of its fields.
    first = account(phone)
    assert phone.push_and_settle(first)[0]["fate"] == "applied"
    tablet.take_live()
    tablet.push_and_settle(tablet.change("edit", "account", str(first["id"]), {"note": NAME * 2}))
    phone.take_live()
    for bad in (
        {"balance": f"{AMOUNT}9"},
        {"iban": IBAN[:-1]},
        {"name": NAME * 50},
        {NAME: AMOUNT},
    ):
        phone.push_and_settle(account(phone, **bad))
    # What is no frame, and what the frame's own check refuses.
    for text in (f'{{"type":"{NAME}"}}', f"{NAME}", f'{{"type":"push","changes":["{AMOUNT}"]}}'):
        phone.say(text)
        frame = phone.hear_until("error") if phone.socket else {}
        assert frame["code"] == "bad_frame"
        if text == NAME:
            phone.online()
    # What the database refuses, and quotes: a constraint of its own, a function that fails.
    table = f'"{household.schema}".account'
    psql.execute(f"ALTER TABLE {table} ADD CONSTRAINT odd CHECK (name <> 'x{NAME}')")
    psql.execute(
        f"""CREATE FUNCTION "{household.schema}".odd() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no % and no %', NEW.name, NEW.balance; END $$"""
    )
    try:
        phone.push(account(phone, name=f"x{NAME}"))
        assert phone.hear_until("error")["code"] == "internal"
        psql.execute(
            f"CREATE TRIGGER odd BEFORE INSERT ON {table} FOR EACH ROW "
            f'EXECUTE FUNCTION "{household.schema}".odd()'
        )
        phone.push(account(phone))
        assert phone.hear_until("error")["code"] == "internal"
    finally:
        psql.execute(f'DROP FUNCTION "{household.schema}".odd() CASCADE')
        psql.execute(f"ALTER TABLE {table} DROP CONSTRAINT odd")
    # And an end in the middle of it.
    phone.push(account(phone))
    said = running.stop()
    # The failures are there, with their place and their kind …
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    failures = [each["exception"] for each in lines if "exception" in each]
    assert len(failures) >= 2, said
    assert "SQLSTATE 23514 account odd" in failures[0]
    assert "SQLSTATE P0001" in failures[1]
    assert "apply_push" in failures[0]
    # … nothing of what they failed on, and no secret (S50).
    word = connection.settings_dict["PASSWORD"]
    for secret in (ENVIRONMENT["FINWISE_SECRET_KEY"], phone.token, phone.token[-20:], word):
        assert secret and secret not in said
    for mark in MARKS:
        assert mark not in said, said[said.index(mark) - 500 : said.index(mark) + 100]


LINK = "0123456789abcdef0123456789abcdef-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE"
CONFIRMATION, RESET = "MQ:1tXyZa:kq3V0rTcanary", "1a-c2canary-0123456789abcdef"
KEYS = [
    f"/accounts/invitations/{LINK}/",
    f"/accounts/invitations/{LINK}x/",
    f"/accounts//invitations/{LINK}/",
    f"/accounts/confirm-email/{CONFIRMATION}./",
    f"/accounts/confirm-email/{CONFIRMATION}/",
    f"/accounts/password/reset/key/{RESET}/",
    f"/accounts/password/reset/key/{RESET}/x/y",
    f"/nothing/accounts/password/reset/key/{RESET}/",
]


@pytest.mark.parametrize(
    ("environment", "met"),
    [
        ({}, {404: "Not Found", 403: "Forbidden", 405: "Method Not Allowed"}),
        # A site whose static files nobody has collected fails on every page: our own mistake.
        (ENVIRONMENT, {500: "Internal Server Error"}),
    ],
    ids=["lines for people", "JSON"],
)
def test_no_key_in_an_address_is_ever_logged(
    environment: dict[str, str], met: dict[int, str], households: object
) -> None:
    """S07: links that were broken, used, asked in a wrong way, or met a mistake of ours."""
    running = ServerProcess(environment={**environment, "FINWISE_LOG_LEVEL": "DEBUG"})

    def ask(method: str, path: str) -> int:
        connection = HTTPConnection("127.0.0.1", running.port, timeout=20)
        connection.request(method, path)
        return connection.getresponse().status

    try:
        found = {ask(method, path) for method in ("GET", "POST", "HEAD") for path in KEYS}
    finally:
        said = running.stop()
    assert set(met) <= found
    for logged in met.values():
        assert logged in said
    for place in ("invitations", "confirm-email", "reset/key"):
        assert f"/{place}/***" in said
    for secret in (LINK[-20:], LINK[:32], CONFIRMATION[-6:], "c2canary"):
        assert secret not in said, said[said.index(secret) - 300 :][:600]
