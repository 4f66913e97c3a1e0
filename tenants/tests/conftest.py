"""Real households on the test database. What a test makes is taken away again, so the
template's text and everybody else's rows stay."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.core.cache import cache
from django.db import connection, connections
from django.test import Client

from tenants import template
from tenants.context import in_tenant
from tenants.models import Tenant, User
from tenants.provisioning import delete_household, provision


@pytest.fixture(scope="session")
def ready_database(django_db_setup: None, django_db_blocker: object) -> Iterator[None]:
    """The test database, with a current template, open to every thread."""
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        assert template.prepare() is None
        yield
        connections.close_all()


@pytest.fixture
def database(ready_database: None) -> Iterator[None]:
    """The database; what the test left in `public` is removed afterwards."""
    people = set(User.objects.values_list("pk", flat=True))
    households = set(Tenant.objects.values_list("pk", flat=True))
    yield
    made = Tenant.objects.exclude(pk__in=households)
    for tenant in made.exclude(status=Tenant.Status.DELETED):
        delete_household(tenant.pk)
    made.delete()
    User.objects.exclude(pk__in=people).delete()


@pytest.fixture
def new_person(database: None) -> Callable[..., User]:
    def make(name: str = "anna", **fields: object) -> User:
        address = f"{name}-{uuid.uuid4().hex[:8]}@example.org"
        # Hashing a password takes a quarter of a second, and few tests sign in with one.
        password = fields.pop("password", None)
        return User.objects.create_user(address, password, email_verified=True, **fields)

    return make


@pytest.fixture
def anna(new_person: Callable[..., User]) -> User:
    return new_person("anna")


@pytest.fixture
def new_household(anna: User) -> Callable[..., UUID]:
    """Makes a household of Anna's with an extra table `probe` that names its schema."""

    def make(name: str = "Home", owner: User = anna) -> UUID:
        tenant = provision(uuid.uuid4(), name, owner.id, by_operator=True)
        with in_tenant(tenant.pk) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {tenant.schema_name}.probe (schema text, note text)")
        return tenant.pk

    return make


@pytest.fixture
def home(new_household: Callable[..., UUID]) -> UUID:
    return new_household("Home")


@pytest.fixture
def other_home(new_household: Callable[..., UUID]) -> UUID:
    return new_household("Other home")


@pytest.fixture
def pooled(database: None) -> Iterator[None]:
    """The default connection takes its sessions from a pool, as in a process that serves."""
    connection.close()
    options = connections.databases["default"]["OPTIONS"]
    options["pool"] = {"min_size": 3, "max_size": 12, "timeout": 2, "reconnect_timeout": 1}
    connection.pool.open(wait=True)
    yield
    connection.close()
    connection.close_pool()
    del options["pool"]


@pytest.fixture
def browse(database: None) -> Callable[..., Client]:
    """Makes browsers; with a person, signed in there with everything asked again just now."""

    def make(person: User | None = None, **options: Any) -> Client:
        client = Client(**options)
        if person is not None:
            client.force_login(person)
            session = client.session
            session["account_authentication_methods"] = [
                {"method": "password", "at": time.time(), "reauthenticated": True}
            ]
            session["account_authentication_methods_user"] = str(person.pk)
            session.save()
        return client

    return make


@pytest.fixture(autouse=True)
def fresh_limits() -> None:
    """What one test tried too often is not counted against the next."""
    cache.clear()
