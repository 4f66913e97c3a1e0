"""Devices on real sockets, people with rights, households to meet in."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

from syncapp import haste
from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.server import ServerThread
from tenants.memberships import set_role
from tenants.models import Tenant, User
from tenants.tokens import create_token


@pytest.fixture(scope="session")
def _running_server(_template: None, django_db_blocker: Any) -> Iterator[ServerThread]:
    running = ServerThread()
    yield running
    with django_db_blocker.unblock():
        running.stop()


@pytest.fixture
def server(
    _running_server: ServerThread, households: Callable[[], Household]
) -> Iterator[ServerThread]:
    """The server that all tests share; when one is over, nobody is connected."""
    yield _running_server
    _running_server.wait_until_idle()
    haste._emptied.clear()  # what one test sends too fast is not counted against the next


@pytest.fixture
def own_server(households: Callable[[], Household]) -> Iterator[ServerThread]:
    """A server that the test may stop."""
    running = ServerThread()
    yield running
    running.stop()


@pytest.fixture
def new_person(households: Callable[[], Household]) -> Callable[[], User]:
    return lambda: User.objects.create_user(email=f"{secrets.token_hex(6)}@example.org")


@pytest.fixture
def new_member(new_person: Callable[[], User]) -> Callable[[Household, str], User]:
    """Makes a person with a role in a household."""

    def make(household: Household, role: str) -> User:
        person = new_person()
        set_role(Tenant.objects.get(pk=household.id), person, role)
        return person

    return make


@pytest.fixture
def new_phone(server: ServerThread, household: Household) -> Iterator[Callable[..., Phone]]:
    """Makes devices, of the household's owner unless somebody else is named; not connected."""
    made: list[Phone] = []
    tokens: dict[Any, str] = {}

    def make(
        user: User | None = None, at: Household | None = None, url: str | None = None
    ) -> Phone:
        place = at or household
        user_id = user.id if user else place.owner
        if user_id not in tokens:
            tokens[user_id] = create_token(User.objects.get(pk=user_id), "phone")
        made.append(Phone(url or server.url, place.id, tokens[user_id]))
        return made[-1]

    yield make
    for phone in made:
        phone.hang_up()


@pytest.fixture
def phone(new_phone: Callable[..., Phone]) -> Phone:
    return new_phone()


@pytest.fixture
def raw_connection(households: Callable[[], Household]) -> Iterator[psycopg.Connection]:
    """A connection of its own, outside of every household, without autocommit."""
    keep = ("host", "port", "dbname", "user", "password")
    parameters = connection.get_connection_params()
    values = {key: parameters[key] for key in keep if parameters.get(key)}
    with psycopg.connect(**values) as raw:
        yield raw
        raw.rollback()
