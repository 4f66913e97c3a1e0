"""The only way into a household: the one file that knows search paths.

Django keeps a connection per thread, and django-tenants keeps the schema on the connection.
So a schema that is set and not taken back meets the next, unrelated caller of the thread.
`in_tenant` enters and leaves within one call on one thread; what else could be used
(`with tenant:`, `schema_context`, `set_tenant`) is banned elsewhere by a test.

Coroutines come in through `run_in_tenant` and `run_in_public`: a bounded number of threads,
each of which does one call as a guest of a household and leaves it again before the next.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from django.db import (
    DEFAULT_DB_ALIAS,
    DataError,
    close_old_connections,
    connections,
    transaction,
)
from django_tenants.postgresql_backend.base import DatabaseWrapper

from syncapp.core.errors import NotYours, SyncError
from tenants.faults import (
    DATABASE_ERRORS,
    Fault,
    fault_of,
    sqlstate_of,
    telling_faults,
    told,
)
from tenants.metrics import EXECUTOR_WAIT
from tenants.names import PUBLIC_SCHEMA, TEMPLATE_SCHEMA, checked_schema_name, schema_name
from tenants.reach import connect_or_fail_fast, replace_dead_connections, revive
from tenants.turns import turns_of

log = logging.getLogger(__name__)
Result = TypeVar("Result")

ATTEMPTS = 5  # of a transaction that PostgreSQL keeps undoing for the sake of others
FIRST_PAUSE_S = 0.005

# What a statement hears whose table or schema was dropped while it waited for it.
_DROPPED = ("42P01", "3F000")

# The pool of database connections is this and four more, for pages.
WORKERS = 8
_workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="tenant-worker")

# One round trip sets the path and proves it. LOCAL (`true`): the database itself takes it
# back at the end of the transaction, whatever happens to us.
_ENTER = "SELECT set_config('search_path', '{schema}, public', true), current_schema()"
# Must be the first statement of its transaction, before any snapshot is taken.
_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; "
# Proves the path once more. In another schema the cast fails and takes the transaction, and
# what follows in the same message, with it.
_PROVE = (
    "SELECT CASE WHEN current_schema() = '{schema}' THEN 0"
    " ELSE ('found ' || coalesce(current_schema(), 'none'))::int END"
)


class WrongSchema(RuntimeError):
    """A transaction found itself in another schema than its own. It was rolled back."""


class NestedTenant(RuntimeError):
    """A household was entered from inside another one."""


@contextmanager
def in_tenant(tenant_id: UUID, *, read_only: bool = False) -> Iterator[DatabaseWrapper]:
    """Enter a household's schema for one transaction, and yield the connection.

    The transaction commits at the end of the block and rolls back on an exception. Inside
    the same household a block joins the transaction, as a savepoint; inside another one it
    raises NestedTenant. With `read_only` all statements see one snapshot.

    A connection that proves dead at the first statement is replaced once. Costs three round
    trips besides the block's own: BEGIN; enter and prove; prove and COMMIT.

    Raises NotYours if the household has no schema (it is unknown, or was deleted), and
    DatabaseAway if there is no connection to be had.
    """
    schema = schema_name(tenant_id)
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.schema_name != PUBLIC_SCHEMA:
        with _joined(connection, schema):
            yield connection
        return
    connection.set_schema(schema)
    try:
        with _entered(connection, schema, read_only):
            yield connection
            _leave(connection, schema)
    finally:
        connection.set_schema_to_public()


def call_in_tenant(
    tenant_id: UUID,
    function: Callable[..., Result],
    *args: Any,
    read_only: bool = False,
) -> Result:
    """Return `function(connection, *args)`, run inside the household.

    A transaction that PostgreSQL undid for another's sake (deadlock, serialisation) is run
    again, so `function` may change nothing but the database.

    Raises Busy if the database cannot do it now, DatabaseAway if it cannot be reached; then
    it is unknown whether a COMMIT under way succeeded. NotYours also if the household was
    deleted while the call was inside.
    """
    # Inside a transaction nothing can be repeated; the outermost call does it.
    attempts = 1 if connections[DEFAULT_DB_ALIAS].in_atomic_block else ATTEMPTS
    for attempt in range(1, attempts + 1):
        try:
            with in_tenant(tenant_id, read_only=read_only) as connection:
                return function(connection, *args)
        except DATABASE_ERRORS as error:
            if attempts > 1 and sqlstate_of(error) in _DROPPED and not _is_there(tenant_id):
                raise NotYours from error
            answer = told(error)
            if attempts == 1 or answer is None or _wrote_in_a_snapshot(error, read_only):
                raise
            if fault_of(error) is not Fault.REPEAT or attempt == attempts:
                raise answer from error
        time.sleep(random.uniform(0, FIRST_PAUSE_S * 2**attempt))
    raise AssertionError("unreachable")


async def run_in_tenant(
    tenant_id: UUID,
    function: Callable[..., Result],
    *args: Any,
    write: bool = False,
    read_only: bool = False,
) -> Result:
    """Return `function(connection, *args)`, run inside the household on a worker thread.

    With `write`, one call per household and process occupies a worker; the others of that
    household wait here. If the awaiting task is cancelled before a worker took the call,
    nothing happens; after that the worker finishes, commits or rolls back as if nobody had
    left, and only then gives up the household's turn.

    Raises what `function` raises, and Busy and DatabaseAway as `call_in_tenant` does.
    """
    turn = turns_of(tenant_id, write=write)
    await turn.acquire()
    job = partial(call_in_tenant, tenant_id, function, *args, read_only=read_only)
    return await _on_a_worker(job, turn.release)


async def run_in_public(function: Callable[..., Result], *args: Any) -> Result:
    """Return `function(*args)`, run on a worker thread, outside of every household.

    Raises what `function` raises; a failure of the database as Busy or DatabaseAway.
    """
    return await _on_a_worker(partial(_call_in_public, function, *args))


@contextmanager
def migrating(schema: str) -> Iterator[DatabaseWrapper]:
    """Point the connection at a schema whose tables are being made, without a transaction.

    For migrations only: they bring transactions of their own. `public` is out of sight, so
    that its table of applied migrations is not taken for the schema's.
    """
    if schema != TEMPLATE_SCHEMA:
        checked_schema_name(schema)
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.schema_name != PUBLIC_SCHEMA:
        raise NestedTenant(f"Cannot migrate {schema} from inside {connection.schema_name}.")
    connection.set_schema(schema, include_public=False)
    try:
        yield connection
    finally:
        connection.set_schema_to_public()


@contextmanager
def _joined(connection: DatabaseWrapper, schema: str) -> Iterator[None]:
    if connection.schema_name != schema or not connection.in_atomic_block:
        raise NestedTenant(f"Cannot enter {schema} from inside {connection.schema_name}.")
    with transaction.atomic():
        yield
        _leave(connection, schema)


def _entered(connection: DatabaseWrapper, schema: str, read_only: bool) -> ExitStack:
    """Open a transaction inside the schema; on a dead connection, once more on a live one."""
    if connection.in_atomic_block:
        return _open(connection, schema, read_only)
    connect_or_fail_fast(connection)
    try:
        return _open(connection, schema, read_only)
    except DATABASE_ERRORS as error:
        if fault_of(error) is not Fault.AWAY:
            raise
        log.info("replacing dead database connections: %s", error)
    replace_dead_connections(connection)
    return _open(connection, schema, read_only)


def _open(connection: DatabaseWrapper, schema: str, read_only: bool) -> ExitStack:
    with ExitStack() as stack:
        outermost = not connection.in_atomic_block
        stack.enter_context(transaction.atomic())
        stack.push(partial(_drop_if_lost, connection))
        # Tells django-tenants that the path is set. After a rollback to a savepoint it
        # forgets that and sets the same path again; after the transaction, we make it forget.
        connection.search_path_set_schemas = [schema, PUBLIC_SCHEMA]
        with connection.cursor() as cursor:
            # A savepoint of somebody's transaction has that one's snapshot.
            prefix = _SNAPSHOT if read_only and outermost else ""
            cursor.execute(prefix + _ENTER.format(schema=schema))
            if prefix:
                cursor.nextset()
            found = cursor.fetchone()[1]
        if found == PUBLIC_SCHEMA:
            raise NotYours
        if found != schema:
            raise WrongSchema(f"Entered {schema} and found {found}.")
        return stack.pop_all()


def _leave(connection: DatabaseWrapper, schema: str) -> None:
    """Prove that the transaction is still where it began, and commit it if it is the outermost.

    Both travel in one message; Django's own COMMIT then finds nothing to do.
    """
    if connection.schema_name != schema:
        raise WrongSchema(f"Entered {schema} and left {connection.schema_name}.")
    if connection.needs_rollback:
        return  # Django rolls back at the end of the block
    commits = len(connection.savepoint_ids) == 0 and connection.commit_on_exit
    try:
        with connection.cursor() as cursor:
            cursor.execute(_PROVE.format(schema=schema) + ("; COMMIT" if commits else ""))
    except DataError as error:
        log.critical("a transaction of %s ended in another schema", schema)
        raise WrongSchema(f"Entered {schema} and left another schema.") from error
    if commits:
        # The path went with the transaction, and hooks that run after the commit may query.
        connection.search_path_set_schemas = None


def _drop_if_lost(
    connection: DatabaseWrapper, kind: object, error: BaseException | None, trace: object
) -> None:
    """Give up a dead connection, before Django connects anew in order to roll back on it."""
    if error is not None and fault_of(error) is Fault.AWAY:
        connection.close()


def _is_there(tenant_id: UUID) -> bool:
    try:
        with in_tenant(tenant_id):
            return True
    except NotYours:
        return False


def _wrote_in_a_snapshot(error: BaseException, read_only: bool) -> bool:
    """A write inside a read-only transaction is our mistake, not a standby's answer."""
    return read_only and getattr(error.__cause__, "sqlstate", None) == "25006"


def _call_in_public(function: Callable[..., Result], *args: Any) -> Result:
    revive(connections[DEFAULT_DB_ALIAS])
    with telling_faults():
        return function(*args)


async def _on_a_worker(
    job: Callable[[], Result], when_done: Callable[[], None] | None = None
) -> Result:
    """Await `job` on a thread; `when_done` runs in the loop once the thread is really done."""
    loop = asyncio.get_running_loop()
    try:
        context = contextvars.copy_context()
        future = _workers.submit(context.run, _as_a_guest, job, time.monotonic())
    except BaseException:
        if when_done is not None:
            when_done()
        raise
    answer = asyncio.wrap_future(future)

    def settle() -> None:
        if when_done is not None:
            when_done()
        if answer.cancelled() and not future.cancelled():
            _log_unheard(future.exception())

    future.add_done_callback(lambda _: _call_soon(loop, settle))
    return await answer


def _as_a_guest(job: Callable[[], Result], asked_s: float) -> Result:
    EXECUTOR_WAIT.observe(time.monotonic() - asked_s)
    close_old_connections()
    try:
        return job()
    finally:
        _leave_no_trace()
        close_old_connections()


def _leave_no_trace() -> None:
    """Make sure that a worker's connection is outside of every household and transaction.

    A net: `in_tenant` leaves nothing behind, but a block that was entered by hand and never
    left would. The connection object goes as well, because whoever holds that block could
    still act on it. Logs at CRITICAL when it caught something.
    """
    for connection in connections.all(initialized_only=True):
        if connection.schema_name == PUBLIC_SCHEMA and not connection.in_atomic_block:
            continue
        log.critical("a call ended inside %s; its connection is dropped", connection.schema_name)
        connection.savepoint_ids.clear()
        connection.atomic_blocks.clear()
        connection.in_atomic_block = False
        connection.run_on_commit.clear()
        connection.close()
        del connections[connection.alias]


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        log.debug("the event loop ended before its last database call")


def _log_unheard(error: BaseException | None) -> None:
    """Whoever waited for this call has left; what it died of must not vanish with him."""
    if error is not None and not isinstance(error, SyncError):
        log.error("a database call failed after its caller had left", exc_info=error)
