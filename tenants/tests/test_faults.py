import psycopg
import pytest
from django import db

from syncapp.core.errors import Busy, DatabaseAway
from tenants.faults import Fault, fault_of, telling_faults, told


def as_django_raises(state: str) -> db.Error:
    error = db.DatabaseError("from Django")
    error.__cause__ = psycopg.errors.lookup(state)("from psycopg")
    return error


@pytest.mark.parametrize(
    ("state", "fault", "answer"),
    [
        ("40001", Fault.REPEAT, Busy),
        ("40P01", Fault.REPEAT, Busy),
        ("25006", Fault.BUSY, Busy),
        ("25P03", Fault.BUSY, Busy),
        ("53100", Fault.BUSY, Busy),
        ("53200", Fault.BUSY, Busy),
        ("53300", Fault.BUSY, Busy),
        ("55P03", Fault.BUSY, Busy),
        ("57014", Fault.BUSY, Busy),
        ("08006", Fault.AWAY, DatabaseAway),
        ("57P01", Fault.AWAY, DatabaseAway),
        ("57P02", Fault.AWAY, DatabaseAway),
        ("57P03", Fault.AWAY, DatabaseAway),
    ],
)
def test_a_bad_moment_of_the_database_means_try_again(
    state: str, fault: Fault, answer: type[Exception]
) -> None:
    """Q03"""
    error = as_django_raises(state)
    assert fault_of(error) is fault
    told_as = told(error)
    assert isinstance(told_as, answer)
    assert told_as.retryable


@pytest.mark.parametrize("state", ["22001", "23505", "42601", "42P01", "25P02"])
def test_a_mistake_of_ours_is_not_blamed_on_the_database(state: str) -> None:
    error = as_django_raises(state)
    assert fault_of(error) is None
    with pytest.raises(db.DatabaseError) as raised, telling_faults():
        raise error
    assert raised.value is error


def test_a_connection_that_broke_without_a_state_is_away() -> None:
    assert fault_of(db.OperationalError("server closed the connection")) is Fault.AWAY
    assert fault_of(psycopg.OperationalError("connection refused")) is Fault.AWAY
    assert fault_of(db.InterfaceError("connection already closed")) is Fault.AWAY


def test_an_error_that_only_came_from_a_database_error_is_left_alone() -> None:
    error = ValueError("our own")
    error.__cause__ = as_django_raises("40001")
    assert fault_of(error) is None


def test_the_cause_is_kept() -> None:
    error = as_django_raises("55P03")
    with pytest.raises(Busy) as raised, telling_faults():
        raise error
    assert raised.value.__cause__ is error
