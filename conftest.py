"""Tests run on the embedded PostgreSQL, in a data directory of their own.

It is started when the first test asks for a database, shared with test runs at the same time, and
ends with the last of them. DATABASE_URL names another server.
"""

import fcntl
import os
from collections.abc import Iterator

import hypothesis
import pytest
from pytest_django import DjangoDbBlocker

from finwise import places

# How long an example takes is the machine's doing: a busy one would fail a test that is right.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cheap tests first: most mistakes then show within seconds."""
    items.sort(key=cost)


def cost(item: pytest.Item) -> int:
    fixtures = set(getattr(item, "fixturenames", ()))
    if "/e2e/" in item.path.as_posix():
        return 5  # one after the other: a browser keeps asyncio busy while it is open
    if item.get_closest_marker("slow"):
        return 4
    if "/simulation/" in item.path.as_posix():
        return 3
    if "transactional_db" in fixtures or "/socket/" in item.path.as_posix():
        return 2
    return 1 if fixtures & {"django_db_setup", "database_url"} else 0


@pytest.fixture(scope="session", autouse=True)
def _no_list_of_static_files(django_test_environment: None) -> Iterator[None]:
    """Every test client would look at every static file first, longer than the test itself takes.

    Servers serve them, also those on a thread of this process.
    """
    from django.test import override_settings
    from django.test.client import ClientHandler

    load = ClientHandler.load_middleware

    def load_without_files(handler: ClientHandler, is_async: bool = False) -> None:
        with override_settings(SERVESTATIC_USE_FINDERS=False, SERVESTATIC_USE_STATIC_ROOT=False):
            load(handler, is_async)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClientHandler, "load_middleware", load_without_files)
        yield


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """A server on which tests may make databases."""
    if os.environ.get("DATABASE_URL"):
        yield os.environ["DATABASE_URL"]
        return
    from finwise.postgres import running

    with running(places.state_dir() / "test", durable=False) as lease:
        os.environ["DATABASE_URL"] = lease.url
        yield lease.url
        del os.environ["DATABASE_URL"]


@pytest.fixture(scope="session")
def free_database_name() -> Iterator[str]:
    """A name for the test database that no test run of the same moment uses."""
    folder = places.state_dir() / "test"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(100):
        lock = (folder / f"database-{number}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        with lock:
            yield f"test_finwise_{number}"
            return
    raise RuntimeError("a hundred test runs at the same time")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    database_url: str, free_database_name: str, request: pytest.FixtureRequest
) -> None:
    """Overrides pytest-django's hook: called once, before it makes the test database."""
    from django.conf import settings
    from django.db import connections

    from finwise.configuration import database

    target = connections["default"].settings_dict
    target.update(database(database_url))
    target["TEST"]["NAME"] = free_database_name
    # Servers on threads share this process with the tests: where other programs keep both cores
    # busy, a connection that is not in trouble can take seconds.
    target["OPTIONS"]["connect_timeout"] = 20
    assert settings.DATABASES["default"] is target


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest,
    django_test_environment: None,
    django_db_blocker: DjangoDbBlocker,
    django_db_modify_db_settings: None,
) -> Iterator[None]:
    """Overrides pytest-django's, which makes a database only for tests with its own marks.

    Those marks roll back or flush; our households commit on other threads and clean up
    after themselves (syncapp/tests/conftest.py, tenants/tests/conftest.py).
    """
    from django.test.utils import setup_databases, teardown_databases

    verbosity = request.config.option.verbose
    with django_db_blocker.unblock():
        made = setup_databases(verbosity, interactive=False, aliases={"default"})
    yield
    with django_db_blocker.unblock():
        end_other_sessions()
        teardown_databases(made, verbosity)


def end_other_sessions() -> None:
    """What a thread left open, or opens again, must not keep the database from being removed."""
    from django.db import connection

    name = connection.settings_dict["NAME"]
    connection.close()
    with connection._nodb_cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = %s AND usename = current_user AND backend_type = 'client backend'",
            [name],
        )
