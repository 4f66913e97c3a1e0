"""The log says where something failed, and not what it failed on."""

import sys
from collections.abc import Callable
from io import StringIO

import psycopg
from django import db

from finwise.tracebacks import print_without_values, text_without_values

MARK = "91737.4242"


class Quoting(psycopg.errors.CheckViolation):
    """As PostgreSQL has it."""


def of(failing: Callable[[], None]) -> str:
    try:
        failing()
    except BaseException:
        return text_without_values(sys.exc_info())  # type: ignore[arg-type]
    raise AssertionError("it did not fail")


def refuse() -> None:
    try:
        raise Quoting(f"violates\nDETAIL:  Failing row contains ({MARK}).")
    except psycopg.Error as error:
        raise db.IntegrityError(str(error)) from error


def test_a_database_error_says_its_kind_and_not_the_row() -> None:
    text = of(refuse)
    assert MARK not in text
    assert "IntegrityError: SQLSTATE 23514" in text
    assert "in refuse" in text
    assert text.index("Quoting") < text.index("which led to:") < text.index("IntegrityError")


def test_what_led_to_another_error_is_not_quoted_either() -> None:
    def fail() -> None:
        try:
            refuse()
        except db.Error as error:
            raise RuntimeError("our mistake") from error

    text = of(fail)
    assert MARK not in text
    assert text.endswith("RuntimeError: our mistake")


def test_the_words_of_a_lost_connection_stay() -> None:
    def fail() -> None:
        raise db.OperationalError("connection refused")

    assert of(fail).endswith("OperationalError: connection refused")


def test_local_variables_are_never_printed() -> None:
    def fail() -> None:
        balance = MARK
        raise ValueError(f"{len(balance)} characters")

    stream = StringIO()
    try:
        fail()
    except ValueError:
        print_without_values(stream, sys.exc_info())
    assert MARK not in stream.getvalue()
    assert "ValueError: 10 characters" in stream.getvalue()


def test_groups_are_told_one_by_one_and_circles_end() -> None:
    def fail() -> None:
        one, two = ValueError("one"), ValueError("two")
        one.__cause__, two.__cause__ = two, one
        raise ExceptionGroup("both", [one, two])

    text = of(fail)
    assert "1 of 2:" in text and "ValueError: one" in text


def test_a_database_error_without_a_state_has_only_its_name() -> None:
    def fail() -> None:
        raise db.DataError(MARK)

    assert of(fail).endswith("DataError")


def test_what_a_statement_names_wrongly_is_told() -> None:
    """There is no row in it, and whoever migrates needs it."""

    def fail() -> None:
        try:
            raise psycopg.errors.DuplicateTable('relation "x" already exists')
        except psycopg.Error as error:
            raise db.ProgrammingError(str(error)) from error

    assert "SQLSTATE 42P07" in of(fail)
