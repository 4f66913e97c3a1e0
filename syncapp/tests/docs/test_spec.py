"""The specification holds: every rule has tests that exist, every frame and code is true."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from syncapp.core.errors import FRAME_ERRORS, REFUSAL_CODES
from syncapp.core.messages import DOWN_FRAMES, UP_FRAMES
from syncapp.protocol import shapes

from .page import ROOT, blocks
from .spec import SPEC, Rule, names_of_tests, rules, table, text
from .vectors import cases

RULES = rules()


def test_there_are_rules_and_no_number_is_given_twice():
    assert len(RULES) >= 90
    assert [number for number, n in Counter(each.number for each in RULES).items() if n > 1] == []


def test_the_rules_of_an_area_are_numbered_from_one_without_a_hole():
    areas: dict[str, list[int]] = {}
    for each in RULES:
        areas.setdefault(each.area, []).append(int(each.number.split("-")[2]))
    assert {area: numbers for area, numbers in areas.items()
            if numbers != list(range(1, len(numbers) + 1))} == {}  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.number)
def test_a_rule_says_something_and_names_tests_that_exist(rule: Rule):
    assert len(rule.text) > 25
    assert rule.tests, f"{rule.number} has no test"
    for path, name in rule.tests:
        assert name.startswith("test_")
        assert (ROOT / path).is_file(), f"{rule.number}: there is no {path}"
        assert name in names_of_tests(ROOT / path), f"{rule.number}: no {name} in {path}"


def test_every_bold_number_is_a_rule():
    # A rule that is written another way would not be looked at.
    assert set(re.findall(r"\*\*(R-\w+-\w+)", text())) == {each.number for each in RULES}


def test_every_page_that_names_a_rule_names_one_that_exists():
    numbers = {each.number for each in RULES}
    for page in (ROOT / "docs").rglob("*.md"):
        named = set(re.findall(r"\bR-[A-Z]+-\d+\b", page.read_text(encoding="utf-8")))
        assert named <= numbers, page


def test_every_frame_is_shown_as_a_vector_has_it():
    vectors = {case["name"]: case["frame"] for group in ("up", "down") for case in cases("frames", group)}  # noqa: E501  # fmt: skip
    shown = [block for block in blocks(SPEC) if block.use.startswith("vector: ")]
    for block in shown:
        name = block.use.removeprefix("vector: ")
        assert json.loads(block.code) == vectors[name], name
    types = {json.loads(block.code)["type"] for block in shown}
    assert types == {*UP_FRAMES, *DOWN_FRAMES}


@pytest.mark.parametrize("struct", [*shapes.UP, *shapes.DOWN], ids=shapes.tag)
def test_every_key_of_a_frame_is_explained_below_it(struct):
    part = text().split(f"\n### {shapes.tag(struct)}\n", 1)[1].split("\n#", 1)[0]
    missing = [each.name for each in shapes.fields(struct) if f"`{each.name}`" not in part]
    assert missing == []


@pytest.mark.parametrize("struct", shapes.PARTS, ids=lambda each: each.__name__)
def test_every_key_inside_of_frames_is_explained_somewhere(struct):
    if struct not in (shapes.FieldDescription, shapes.EntityDescription):  # told by R-VALUE-5
        for field in shapes.fields(struct):
            assert f"`{field.name}`" in text(), field.name


def test_the_table_of_errors_is_that_of_the_code():
    assert [row[:4] for row in table("### Errors")] == [
        [
            each.code,
            str(each.close_code or "no"),
            "yes" if each.retryable else "no",
            each.sentence,
        ]
        for each in FRAME_ERRORS
    ]
    assert all(row[4] for row in table("### Errors"))


def test_the_table_of_refusals_is_that_of_the_code():
    assert [row[0] for row in table("### Refusals")] == list(REFUSAL_CODES)
    assert all(len(row) == 3 and row[1] and row[2] for row in table("### Refusals"))


def test_the_table_of_close_codes_is_that_of_the_code():
    told = {int(row[0]): re.findall(r"\w+", row[1]) for row in table("### Close codes")}
    assert told == shapes.close_codes()


def test_the_table_of_limits_is_that_of_the_code():
    assert {row[0]: int(row[1].replace(",", "")) for row in table("### Limits")} == {
        name: value for name, value in shapes.constants().items() if isinstance(value, int)
    }
