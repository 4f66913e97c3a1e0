"""Errors are a family: a code for machines, a sentence for people, an answer to "again?"."""

from __future__ import annotations

import re

import pytest

from syncapp.core.errors import FRAME_ERRORS, REFUSAL_CODES, Busy, HostileFrame, SyncError


def all_errors(family: type[SyncError] = SyncError) -> list[type[SyncError]]:
    return [family, *(each for child in family.__subclasses__() for each in all_errors(child))]


def test_every_error_of_the_family_is_listed():
    listed = {each.code for each in FRAME_ERRORS}
    assert {each.code for each in all_errors() if each.__module__.endswith("errors")} == listed
    assert len(listed) == len(FRAME_ERRORS)


@pytest.mark.parametrize("error", FRAME_ERRORS, ids=lambda each: each.code)
def test_an_error_tells_its_code_and_a_sentence(error):
    assert re.fullmatch(r"[a-z_]+", error.code)
    assert re.fullmatch(r"[A-Z].+\.", error.sentence)
    assert str(error()) == error.sentence
    assert error().retry_after_ms is None


@pytest.mark.parametrize("error", FRAME_ERRORS, ids=lambda each: each.code)
def test_an_error_either_keeps_the_socket_or_closes_it_with_a_code_of_the_protocol(error):
    assert error.close_code in (None, 1012, 4400, 4401, 4403, 4408, 4413, 4426, 4429)


def test_a_hostile_frame_is_a_bad_frame_that_closes():
    assert (HostileFrame.code, HostileFrame.close_code) == ("bad_frame", 4400)


def test_an_error_may_say_when_to_come_again():
    assert Busy(retry_after_ms=250).retry_after_ms == 250
    assert Busy("Not now.").message == "Not now."


def test_no_refusal_code_is_an_error_code():
    assert len(set(REFUSAL_CODES)) == len(REFUSAL_CODES)
    assert not set(REFUSAL_CODES) & {each.code for each in FRAME_ERRORS}
