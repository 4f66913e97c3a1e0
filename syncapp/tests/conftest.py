"""Households on a real PostgreSQL.

Transaction rollback does not clean up here: the code under test commits, often on another
thread. So a household is provisioned once for the session, and emptied after each test.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

from syncapp.repository import PostgresRepository
from syncapp.tests.household import Household, empty

_made: dict[str, Any] = {}


@pytest.fixture(scope="session")
def _template(django_db_setup: None, django_db_blocker: Any) -> None:
    from tenants import template

    with django_db_blocker.unblock():
        template.prepare()
        connection.close()


@pytest.fixture
def households(_template: None, django_db_blocker: Any) -> Iterator[Callable[[], Household]]:
    """Gives empty households; they are provisioned once and used again by the next test."""
    used: list[Household] = []
    with django_db_blocker.unblock():

        def give() -> Household:
            number = len(used)
            if number not in _made:
                _made[number] = Household.provision(f"Household {number}")
            used.append(_made[number])
            return _made[number]

        yield give
        for each in used:
            empty(each)
        connection.close()


@pytest.fixture
def household(households: Callable[[], Household]) -> Household:
    return households()


@pytest.fixture
def psql(household: Household) -> Iterator[psycopg.Connection]:
    """A plain connection, as psql has it: autocommit, search path public."""
    parameters = connection.get_connection_params()
    keep = ("host", "port", "dbname", "user", "password")
    values = {key: parameters[key] for key in keep if parameters.get(key)}
    with psycopg.connect(**values, autocommit=True) as raw:
        yield raw


@pytest.fixture
def new_id() -> Callable[[], str]:
    return lambda: str(uuid.uuid4())


__all__ = ["PostgresRepository"]
