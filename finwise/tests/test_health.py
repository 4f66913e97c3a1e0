"""What a load balancer is told, and what it costs."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import AsyncClient, Client

from finwise import health
from syncapp.core.errors import DatabaseAway


@pytest.fixture
def open_database(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The database as a serving process has it: open to every thread."""
    with django_db_blocker.unblock():
        yield
        connection.close()


async def ask(path: str = "/health/ready") -> tuple[int, dict[str, Any]]:
    answer = await AsyncClient().get(path)
    assert answer.headers["Content-Type"] == "application/json"
    assert "no-store" in answer.headers["Cache-Control"]
    return answer.status_code, json.loads(answer.content)


async def test_a_process_that_lives_says_so_without_asking_anybody() -> None:
    assert await ask("/health/live") == (200, {"status": "alive"})


async def test_a_process_that_can_serve_is_ready(open_database: None) -> None:
    code, facts = await ask()
    assert (code, facts["status"]) == (200, "ready"), facts
    assert facts["database"]["ok"] and facts["layer"]["ok"]
    assert facts["migrations"]["behind"] == 0
    assert facts["database"]["ms"] < 2000


async def test_without_the_database_nobody_is_sent_here(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any) -> Any:
        raise DatabaseAway

    monkeypatch.setattr(health, "run_in_public", away)
    code, facts = await ask()
    assert (code, facts["status"]) == (503, "not ready")
    # Nothing that helps a stranger: no address, no name, no sentence of a driver.
    assert facts["database"] == {"ok": False}


async def test_a_database_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(health, "PATIENCE_S", 0.05)
    monkeypatch.setattr(health, "run_in_public", hang)
    assert (await ask())[0] == 503


class Layer:
    """A channel layer that fails, or delivers something old first."""

    def __init__(self, is_away: bool) -> None:
        self._is_away = is_away
        self._sent: list[dict[str, Any]] = [{"type": "health", "at": -1}]

    async def new_channel(self) -> str:
        if self._is_away:
            raise ConnectionRefusedError("redis://:secret@somewhere")
        return "x"

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        self._sent.append(message)

    async def receive(self, channel: str) -> dict[str, Any]:
        return self._sent.pop(0)


@pytest.mark.parametrize("is_away", [True, False])
async def test_without_the_layer_devices_are_served_by_the_beat(
    open_database: None, monkeypatch: pytest.MonkeyPatch, is_away: bool
) -> None:
    layer = Layer(is_away)
    monkeypatch.setattr(health, "get_channel_layer", lambda: layer)
    code, facts = await ask()
    assert code == 200
    assert facts["status"] == ("degraded" if is_away else "ready")
    assert facts["layer"]["ok"] is not is_away
    assert "secret" not in json.dumps(facts)


async def test_a_missing_migration_is_no_state_to_serve_in(
    open_database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = health._wanted() | {("tenants", "9999_from_tomorrow")}
    monkeypatch.setattr(health, "_wanted", lambda: wanted)
    code, facts = await ask()
    assert (code, facts["migrations"]["behind"]) == (503, 1)


async def test_however_often_it_is_asked_the_database_is_asked_once(
    open_database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    look = health._what_is_behind

    def counted() -> tuple[int, int]:
        nonlocal looks
        looks += 1
        return look()

    monkeypatch.setattr(health, "_what_is_behind", counted)
    monkeypatch.setattr(health, "FRESH_FOR_S", 60.0)
    answers = await asyncio.gather(*(ask() for _ in range(50)))
    assert {code for code, _ in answers} == {200}
    assert looks == 1


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_is_asked_not_told(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405
