"""Whether the database can be reached: dead connections are replaced, an absence is remembered."""

from __future__ import annotations

import logging
import time

from django.db.backends.base.base import BaseDatabaseWrapper

from syncapp.core.errors import DatabaseAway
from tenants.faults import DATABASE_ERRORS, without_values

log = logging.getLogger(__name__)

# While nothing answers, a worker would wait for its connection as long as the pool's time
# limit, and hundreds of sockets would queue behind eight workers. So a failed attempt speaks
# for everybody for this long.
AWAY_FOR_S = 1.0

_away_until_s = 0.0  # by time.monotonic


def connect_or_fail_fast(connection: BaseDatabaseWrapper) -> None:
    """Make sure that the thread has a connection, which may still prove dead.

    Raises DatabaseAway if there is none to be had, or was none a moment ago.
    """
    global _away_until_s
    if connection.connection is not None:
        return
    if time.monotonic() < _away_until_s:
        raise DatabaseAway(retry_after_ms=int(AWAY_FOR_S * 1000))
    try:
        connection.ensure_connection()
    except DATABASE_ERRORS as error:
        _away_until_s = time.monotonic() + AWAY_FOR_S
        log.warning("the database cannot be reached: %s", without_values(error))
        raise DatabaseAway(retry_after_ms=int(AWAY_FOR_S * 1000)) from error


def replace_dead_connections(connection: BaseDatabaseWrapper) -> None:
    """Give this thread a live connection after one proved dead.

    After a restart of PostgreSQL every connection in the pool is dead, so all are tested.
    """
    connection.close()
    pool = getattr(connection, "pool", None)
    if pool is not None:
        pool.check()
    connect_or_fail_fast(connection)


def revive(connection: BaseDatabaseWrapper) -> None:
    """Make sure that the thread has a connection that answers; costs one round trip."""
    connect_or_fail_fast(connection)
    if not connection.is_usable():
        replace_dead_connections(connection)
