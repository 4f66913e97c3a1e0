"""docs/protocol/vectors/frames.json, answered by Python: the parser and the engine."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from syncapp.core.errors import FRAME_ERRORS, REFUSAL_CODES, BadFrame, SyncError
from syncapp.core.messages import (
    DOWN_FRAMES,
    UP_FRAMES,
    encode,
    text_to_down,
    text_to_up,
    type_of_text,
)

from .conversation import Household
from .vectors import FOLDER, NAMES, cases, title, vectors


@pytest.mark.parametrize("case", cases("frames", "up"), ids=title)
def test_a_frame_of_a_device_is_accepted(case):
    frame = text_to_up(json.dumps(case["frame"]))
    assert type(frame) is UP_FRAMES[case["frame"]["type"]]
    read = json.loads(encode(frame))
    assert {**read, **case["frame"]} == read


@pytest.mark.parametrize("case", cases("frames", "upRefused"), ids=title)
def test_a_frame_of_a_device_is_refused_with_its_code(case):
    with pytest.raises(SyncError) as caught:
        text_to_up(case["text"])
    assert (caught.value.code, caught.value.close_code) == (case["code"], case["closeCode"])
    assert type_of_text(case["text"]) == case["of"]


@pytest.mark.parametrize("case", cases("frames", "down"), ids=title)
def test_a_frame_of_the_server_is_read_and_says_no_more_than_it_must(case):
    assert json.loads(encode(text_to_down(json.dumps(case["frame"])))) == case["frame"]


@pytest.mark.parametrize("case", cases("frames", "downNewer"), ids=title)
def test_a_frame_of_a_newer_server_is_read_as_far_as_it_is_known(case):
    assert json.loads(encode(text_to_down(json.dumps(case["frame"])))) == case["read"]


@pytest.mark.parametrize("case", cases("frames", "downRefused"), ids=title)
def test_what_no_server_says_is_refused(case):
    with pytest.raises(BadFrame):
        text_to_down(case["text"])


@pytest.mark.parametrize("case", cases("frames", "conversations"), ids=title)
def test_what_a_server_answers(case):
    household = Household(case, vectors("frames")["entities"])
    for each in case["frames"]:
        assert without_sentences(household.answer(each["send"])) == each["answer"]
    assert household.rows() == case["after"]


def without_sentences(answer: dict[str, Any]) -> dict[str, Any]:
    """Every refusal has a sentence; how it is worded is not part of the protocol.

    Nor is where this very household stands, and which anchor it gives.
    """
    assert answer.pop("anchor").startswith(f"{answer.pop('head', 0)}.")
    for refused in [*answer.get("results", []), *answer.get("refusedRows", [])]:
        is_told = bool(refused.pop("message", ""))
        assert is_told == ("code" in refused)
    return answer


def frames_of(value: Any) -> list[dict[str, Any]]:
    """Every JSON object inside the vectors that says its type."""
    if isinstance(value, dict):
        own = [value] if isinstance(value.get("type"), str) else []
        return own + [frame for each in value.values() for frame in frames_of(each)]
    if isinstance(value, list):
        return [frame for each in value for frame in frames_of(each)]
    return []


def codes_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["code"]} if isinstance(value.get("code"), str) else set()
        return own.union(*map(codes_of, value.values()))
    return set().union(*map(codes_of, value)) if isinstance(value, list) else set()


def test_every_type_of_frame_occurs_in_the_vectors():
    accepted = [case["frame"] for group in ("up", "down") for case in cases("frames", group)]
    assert {frame["type"] for frame in accepted} == {*UP_FRAMES, *DOWN_FRAMES}


def test_every_error_code_occurs_in_the_vectors_as_the_server_tells_it():
    errors = {case["frame"]["code"]: case["frame"] for case in cases("frames", "down")
              if case["frame"]["type"] == "error"}  # fmt: skip
    assert errors.keys() == {each.code for each in FRAME_ERRORS}
    for each in FRAME_ERRORS:
        assert errors[each.code].get("retryable", False) == each.retryable
        assert errors[each.code]["message"] == each.sentence


def test_every_error_that_a_frame_by_itself_can_cause_occurs_with_such_a_frame():
    assert codes_of(cases("frames", "upRefused")) == {"bad_frame", "too_many", "too_large"}


def test_every_refusal_code_occurs_with_a_change_that_causes_it():
    # `invalid` comes from a validator of a model, which no device is told of.
    caused = codes_of([case["frames"] for case in cases("frames", "conversations")])
    assert caused == set(REFUSAL_CODES) - {"invalid"}
    assert codes_of(cases("frames", "down")) >= {"invalid"}


def test_every_fate_and_reason_occurs():
    frames = frames_of(vectors("frames"))
    fates = {result["fate"] for frame in frames for result in frame.get("results", [])}
    assert fates == {"applied", "superseded", "refused", "settled"}
    assert {frame.get("reset") for frame in frames} >= {"horizon", "restored", "operator"}


def test_the_vectors_are_plain_ascii_so_that_no_editor_can_normalise_them():
    for name in NAMES:
        assert vectors(name)["about"].isascii()


def test_the_readme_explains_every_group_of_every_file():
    text = (FOLDER / "README.md").read_text()
    found = re.split(r"^## (\w+)\.json$", text, flags=re.MULTILINE)
    parts = dict(zip(found[1::2], found[2::2], strict=True))
    assert parts.keys() == set(NAMES)
    for name, part in parts.items():
        assert set(re.findall(r"^\| `(\w+)`", part, re.MULTILINE)) == vectors(name).keys() - {
            "about"
        }
