"""Households hammered through one process: does any statement ever run in the wrong one?

A small run is a test; `manage.py check_isolation --operations 100000` is one of any size.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connections, transaction

from tenants.context import WrongSchema, in_tenant, run_in_public, run_in_tenant
from tenants.names import schema_name

IN_FLIGHT = 40  # tasks at a time; five for each worker
CANCELLED_PERCENT = 15


class Crossing(AssertionError):
    """A statement ran in another schema than its own."""


class OnPurpose(Exception):
    """The failure that an operation was made to have."""


def check(connection: Any, expected: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        (found,) = cursor.fetchone()
    if found != expected:
        raise Crossing(f"expected {expected}, found {found}")


def write(connection: Any, tenant_id: UUID, number: int) -> None:
    """The table is named without its schema, so that only the path decides where it is."""
    check(connection, schema_name(tenant_id))
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO probe VALUES (%s, %s)", [schema_name(tenant_id), str(number)])


def commits(connection: Any, tenant_id: UUID, number: int) -> None:
    write(connection, tenant_id, number)
    write(connection, tenant_id, number)


def fails(connection: Any, tenant_id: UUID, number: int) -> None:
    write(connection, tenant_id, number)
    raise OnPurpose


def fails_in_sql(connection: Any, tenant_id: UUID, number: int) -> None:
    write(connection, tenant_id, number)
    connection.cursor().execute("SELECT 1 / 0")


def swallows_an_error(connection: Any, tenant_id: UUID, number: int) -> None:
    write(connection, tenant_id, number)
    try:
        connection.cursor().execute("SELECT 1 / 0")
    except DatabaseError:
        return


def rolls_back_to_a_savepoint(connection: Any, tenant_id: UUID, number: int) -> None:
    write(connection, tenant_id, number)
    try:
        with transaction.atomic():
            write(connection, tenant_id, number)
            raise OnPurpose
    except OnPurpose:
        write(connection, tenant_id, number)


def fails_in_sql_inside_a_savepoint(connection: Any, tenant_id: UUID, number: int) -> None:
    write(connection, tenant_id, number)
    try:
        with transaction.atomic():
            connection.cursor().execute("SELECT 1 / 0")
    except DatabaseError:
        write(connection, tenant_id, number)


def joins(connection: Any, tenant_id: UUID, number: int) -> None:
    write(connection, tenant_id, number)
    with in_tenant(tenant_id) as same:
        write(same, tenant_id, number)


def moves_the_path(connection: Any, tenant_id: UUID, number: int) -> None:
    write(connection, tenant_id, number)
    connection.cursor().execute("SET search_path = public")


def closes_the_connection(connection: Any, tenant_id: UUID, number: int) -> None:
    write(connection, tenant_id, number)
    connection.close()
    raise OnPurpose


# What each may end with; everything else is a failure of the run.
KINDS: dict[Callable[[Any, UUID, int], None], tuple[type[BaseException], ...]] = {
    commits: (),
    fails: (OnPurpose,),
    fails_in_sql: (DatabaseError,),
    swallows_an_error: (DatabaseError,),
    rolls_back_to_a_savepoint: (),
    fails_in_sql_inside_a_savepoint: (),
    joins: (),
    moves_the_path: (WrongSchema,),
    closes_the_connection: (OnPurpose,),
}


def public_is_public() -> None:
    connection = connections["default"]
    check(connection, "public")


async def hammer(
    tenants: Sequence[UUID], operations: int, seed: int, on_done: Callable[[], object] = int
) -> Counter[str]:
    """Run that many operations; return how many of each kind ended in which way.

    Raises Crossing, or whatever else an operation may not end with.
    """
    dice = random.Random(seed)
    outcomes: Counter[str] = Counter()
    places = asyncio.Semaphore(IN_FLIGHT)

    async def operate(number: int, tenant_id: UUID, work: Any, is_write: bool) -> str:
        try:
            await run_in_tenant(tenant_id, work, tenant_id, number, write=is_write)
        except KINDS[work] as error:
            return f"{work.__name__}: {type(error).__name__}"
        if number % 10 == 0:
            await run_in_public(public_is_public)
        return work.__name__

    async def one(number: int, turns_until_cancelled: int | None, *how: Any) -> None:
        async with places:
            task = asyncio.ensure_future(operate(number, *how))
            if turns_until_cancelled is not None:
                for _ in range(turns_until_cancelled):
                    await asyncio.sleep(0)
                task.cancel()
            try:
                outcomes[await task] += 1
            except asyncio.CancelledError:
                outcomes["cancelled"] += 1
            on_done()

    async with asyncio.TaskGroup() as group:
        for number in range(operations):
            is_cancelled = dice.randrange(100) < CANCELLED_PERCENT
            group.create_task(
                one(
                    number,
                    dice.randrange(60) if is_cancelled else None,
                    dice.choice(tenants),
                    dice.choice(list(KINDS)),
                    dice.random() < 0.7,
                )
            )
            if number % IN_FLIGHT == 0:
                await asyncio.sleep(0)
    for tenant_id in tenants:  # until the cancelled ones are really done, too
        for is_write in (True, False):
            await run_in_tenant(tenant_id, nothing, write=is_write)
    return outcomes


def nothing(connection: Any) -> None:
    pass


def refuse_crossings(tenants: Sequence[UUID]) -> int:
    """Look at every row that was written; return how many there are.

    Raises Crossing if one lies in the wrong schema, or an operation counts half.
    """
    rows = 0
    for tenant_id in tenants:
        schema = schema_name(tenant_id)
        with connections["default"].cursor() as cursor:
            cursor.execute(f"SELECT note, array_agg(schema) FROM {schema}.probe GROUP BY note")
            for number, schemas in cursor:
                if schemas != [schema, schema]:
                    raise Crossing(f"operation {number} left {schemas} in {schema}")
                rows += 2
    return rows


@contextmanager
def two_households() -> Iterator[list[UUID]]:
    from tenants.models import User
    from tenants.provisioning import delete_household, provision

    owner = User.objects.create_user(f"crossings-{uuid.uuid4().hex}@example.org")
    tenants = [uuid.uuid4(), uuid.uuid4()]
    try:
        for tenant_id in tenants:
            provision(tenant_id, "Crossings", owner.id, by_operator=True)
            with connections["default"].cursor() as cursor:
                cursor.execute(
                    f"CREATE TABLE {schema_name(tenant_id)}.probe (schema text, note text)"
                )
        yield tenants
    finally:
        for tenant_id in tenants:
            delete_household(tenant_id)
        owner.delete()
