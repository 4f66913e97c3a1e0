"""From the event loop into a household and back; no test waits for a time, only for events."""

import asyncio
import contextvars
import threading
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from tenants import context
from tenants.context import in_tenant, run_in_public, run_in_tenant
from tenants.names import schema_name
from tenants.turns import READS_AT_ONCE

PATIENCE_S = 20  # only a broken test waits this long


class Gate:
    """A call that tells when a worker has begun it, and stays there until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.count = 0
        self._open = threading.Event()

    def __call__(self, inside: Any, text: str = "") -> str:
        self.count += 1
        self.begun.release()
        assert self._open.wait(PATIENCE_S)
        inside.cursor().execute("INSERT INTO probe VALUES (current_schema(), %s)", [text])
        return text

    def let_go(self) -> None:
        self._open.set()

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=PATIENCE_S)


def schema_of(inside: Any) -> str:
    with inside.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        return cursor.fetchone()[0]


def notes(tenant_id: UUID) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT note FROM {schema_name(tenant_id)}.probe ORDER BY note")
        return [note for (note,) in cursor.fetchall()]


def public_schema() -> str:
    return schema_of(connection)


async def settled(tenant_id: UUID) -> None:
    """Everything written so far in the household is done."""
    await run_in_tenant(tenant_id, schema_of, write=True)


async def test_a_call_runs_in_its_household(home: UUID, other_home: UUID) -> None:
    assert await run_in_tenant(home, schema_of) == schema_name(home)
    assert await run_in_tenant(other_home, schema_of, write=True) == schema_name(other_home)
    assert await run_in_tenant(home, schema_of, read_only=True) == schema_name(home)
    assert await run_in_public(public_schema) == "public"


async def test_an_error_comes_back_and_the_thread_is_clean(home: UUID) -> None:
    def fail(inside: Any) -> None:
        raise ZeroDivisionError

    for _ in range(2 * context.WORKERS):
        with pytest.raises(ZeroDivisionError):
            await run_in_tenant(home, fail, write=True)
    for _ in range(2 * context.WORKERS):
        assert await run_in_public(public_schema) == "public"


async def test_one_write_of_a_household_occupies_a_worker(home: UUID, other_home: UUID) -> None:
    """A busy household cannot slow another."""
    gate = Gate()
    writes = [
        asyncio.create_task(run_in_tenant(home, gate, str(number), write=True))
        for number in range(3 * context.WORKERS)
    ]
    await gate.has_begun()
    # With the rest of its writes in the workers, this would wait for the gate.
    assert await run_in_tenant(other_home, schema_of, write=True) == schema_name(other_home)
    assert await run_in_tenant(home, schema_of) == schema_name(home)
    assert gate.count == 1
    gate.let_go()
    assert await asyncio.gather(*writes) == [str(n) for n in range(3 * context.WORKERS)]


async def test_reads_of_a_household_leave_workers_for_others(home: UUID, other_home: UUID) -> None:
    gate = Gate()
    reads = [asyncio.create_task(run_in_tenant(home, gate)) for _ in range(3 * context.WORKERS)]
    for _ in range(READS_AT_ONCE):
        await gate.has_begun()
    assert await run_in_tenant(other_home, schema_of) == schema_name(other_home)
    assert gate.count == READS_AT_ONCE
    gate.let_go()
    await asyncio.gather(*reads)


async def test_who_is_cancelled_in_a_worker_leaves_it_to_finish(home: UUID) -> None:
    """The write counts whole, and the household's turn is kept until the thread is done."""
    gate = Gate()
    first = asyncio.create_task(run_in_tenant(home, gate, "first", write=True))
    await gate.has_begun()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(run_in_tenant(home, notes_inside, write=True))
    # Another call of the same loop goes through, and the second write has still not begun.
    assert await run_in_tenant(home, notes_inside) == []
    assert not second.done()
    gate.let_go()
    assert await second == ["first"]


def notes_inside(inside: Any) -> list[str]:
    with inside.cursor() as cursor:
        cursor.execute("SELECT note FROM probe ORDER BY note")
        return [note for (note,) in cursor.fetchall()]


async def test_who_is_cancelled_in_the_queue_leaves_nothing(home: UUID) -> None:
    gate = Gate()
    first = asyncio.create_task(run_in_tenant(home, gate, "first", write=True))
    await gate.has_begun()
    waiting = [
        asyncio.create_task(run_in_tenant(home, gate, "never", write=True)) for _ in range(3)
    ]
    await run_in_tenant(home, schema_of)  # by now they wait for their turn
    for task in waiting:
        task.cancel()
    gate.let_go()
    assert await first == "first"
    assert all(
        isinstance(outcome, asyncio.CancelledError)
        for outcome in await asyncio.gather(*waiting, return_exceptions=True)
    )
    await settled(home)
    assert await run_in_tenant(home, notes_inside) == ["first"]


async def test_who_is_cancelled_before_a_worker_is_free_gives_back_his_turn(
    home: UUID, new_household: Any
) -> None:
    gate = Gate()
    others = [await run_in_public(new_household) for _ in range(context.WORKERS)]
    busy = [asyncio.create_task(run_in_tenant(other, gate, write=True)) for other in others]
    for _ in others:
        await gate.has_begun()
    queued = asyncio.create_task(run_in_tenant(home, gate, "never", write=True))
    await asyncio.sleep(0)  # one turn of the loop: it is with the executor now, which is full
    queued.cancel()
    with pytest.raises(asyncio.CancelledError):
        await queued
    gate.let_go()
    await asyncio.gather(*busy)
    await settled(home)
    assert await run_in_tenant(home, notes_inside) == []


async def test_a_failure_whose_caller_has_left_is_logged(
    home: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()

    def fail(inside: Any) -> None:
        gate(inside)
        raise ZeroDivisionError

    task = asyncio.create_task(run_in_tenant(home, fail, write=True))
    await gate.has_begun()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.let_go()
    await settled(home)
    assert "failed after its caller had left" in caplog.text


async def test_what_a_call_sets_in_its_context_does_not_stay(home: UUID) -> None:
    household: contextvars.ContextVar[str] = contextvars.ContextVar("household", default="none")

    def remember(inside: Any) -> str:
        seen = household.get()
        household.set("leaked")
        return seen

    seen = [await run_in_tenant(home, remember) for _ in range(2 * context.WORKERS)]
    assert set(seen) == {"none"}
    household.set("the caller's")
    assert await run_in_tenant(home, remember) == "the caller's"
    assert household.get() == "the caller's"


async def test_a_block_that_nobody_left_does_not_meet_the_next_guest(
    home: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    forgotten: list[Any] = []

    def enter_and_forget() -> None:
        forgotten.append(in_tenant(home))
        forgotten[-1].__enter__()

    await run_in_public(enter_and_forget)
    assert "a call ended inside" in caplog.text
    for _ in range(2 * context.WORKERS):
        assert await run_in_public(public_schema) == "public"
    await run_in_public(finish, forgotten[0])


def finish(forgotten: Any) -> None:
    """Not left to the garbage collector, which would do it on any thread."""
    with pytest.raises(RuntimeError):
        forgotten.gen.throw(RuntimeError("finish the generator"))


def test_each_event_loop_has_turns_of_its_own(home: UUID) -> None:
    async def five_writes() -> list[str]:
        return await asyncio.gather(*(run_in_tenant(home, schema_of, write=True) for _ in range(5)))

    for _ in range(2):
        assert asyncio.run(five_writes()) == [schema_name(home)] * 5
