"""What a database error means for whoever waits for an answer.

A device may lose nothing and be blamed for nothing when the database has a bad moment:
each of these becomes an error that says "try again", and settles no change.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

import psycopg
from django import db

from syncapp.core.errors import Busy, DatabaseAway, SyncError

DATABASE_ERRORS = (db.Error, psycopg.Error)


class Fault(Enum):
    REPEAT = auto()  # PostgreSQL undid the transaction to help another one: run it again
    BUSY = auto()  # the database answers, but cannot do this now
    AWAY = auto()  # the connection is gone; whether a COMMIT under way succeeded is unknown


_BY_SQLSTATE = {
    "40001": Fault.REPEAT,  # serialisation failure
    "40P01": Fault.REPEAT,  # deadlock
    "25006": Fault.BUSY,  # the server went read-only: a standby, or a failover under way
    "25P03": Fault.BUSY,  # idle in transaction for too long
    "25P04": Fault.BUSY,  # transaction timeout
    "55P03": Fault.BUSY,  # lock timeout
    "57014": Fault.BUSY,  # statement timeout, or cancelled by the operator
    "57P01": Fault.AWAY,  # this backend was terminated
    "57P02": Fault.AWAY,  # another backend crashed
    "57P03": Fault.AWAY,  # starting up or shutting down
    "57P04": Fault.AWAY,  # the database was dropped
    "57P05": Fault.AWAY,  # idle session timeout
}
_BY_CLASS = {
    "08": Fault.AWAY,  # connection
    "53": Fault.BUSY,  # resources: disk full, out of memory, too many connections
}


def fault_of(error: BaseException) -> Fault | None:
    """Return what a database error means, or None if it is a mistake of ours or no such error."""
    if not isinstance(error, DATABASE_ERRORS):
        return None
    if state := sqlstate_of(error):
        return _BY_SQLSTATE.get(state) or _BY_CLASS.get(state[:2])
    # libpq's own words ("server closed the connection unexpectedly"), a refused connection
    # and an empty pool come without a state.
    lost = (db.OperationalError, db.InterfaceError, psycopg.OperationalError)
    return Fault.AWAY if isinstance(error, (*lost, psycopg.InterfaceError)) else None


def sqlstate_of(error: BaseException) -> str:
    """Return PostgreSQL's code for an error, or "" if it gave none."""
    states = (getattr(link, "sqlstate", None) for link in _chain(error))
    return next((state for state in states if state), "")


def told(error: BaseException) -> SyncError | None:
    """Return the error that a peer is told, or None if `error` is not the database's fault."""
    match fault_of(error):
        case Fault.REPEAT | Fault.BUSY:
            return Busy()
        case Fault.AWAY:
            return DatabaseAway()
    return None


def without_values(error: BaseException) -> str:
    """What an error says, without the row that a database error quotes.

    Only the connection's own troubles keep their words: there is no row in those.
    """
    name = type(error).__name__
    if not isinstance(error, DATABASE_ERRORS) or fault_of(error) is Fault.AWAY:
        return f"{name}: {error}".rstrip(": ")
    for link in _chain(error):
        state = getattr(link, "sqlstate", None)
        if state:
            found = getattr(link, "diag", None)
            about = [getattr(found, each, None) for each in ("table_name", "constraint_name")]
            if state.startswith("42"):  # about names in SQL, never about what is in a row
                about = [getattr(found, "message_primary", None)]
            return " ".join([f"{name}: SQLSTATE {state}", *(each for each in about if each)])
    return name


@contextmanager
def telling_faults() -> Iterator[None]:
    """Raise Busy or DatabaseAway in place of a database error that is not our mistake."""
    try:
        yield
    except DATABASE_ERRORS as error:
        if (answer := told(error)) is not None:
            raise answer from error
        raise


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Django wraps psycopg's error and keeps it as the cause."""
    link: BaseException | None = error
    while isinstance(link, DATABASE_ERRORS):
        yield link
        link = link.__cause__
