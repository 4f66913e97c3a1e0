"""docs/protocol/vectors/values.json, answered by Python."""

from __future__ import annotations

import typing

import pytest

from syncapp.core.change import canonical_text
from syncapp.core.entity import Kind, canonical, canonical_fields, describe
from syncapp.core.errors import REFUSAL_CODES, Refused
from syncapp.registry import entities

from .vectors import cases, entities_of, field_of, title, vectors

KINDS = cases("values", "kinds")
ACCEPTED = [(group, case) for group in KINDS for case in group["accepted"]]
REFUSED = [(group, case) for group in KINDS for case in group["refused"]]


def name_of(value: object) -> str:
    if isinstance(value, dict) and "name" in value:
        return value["name"]
    return ascii(value["value"])[:40] if isinstance(value, dict) else ""


@pytest.mark.parametrize(("group", "case"), ACCEPTED, ids=name_of)
def test_a_value_has_one_canonical_form(group, case):
    spec = field_of(group["name"], group["field"])
    found = canonical(spec, case["value"])
    assert (type(found), found) == (type(case["canonical"]), case["canonical"])
    assert canonical(spec, found) == found


@pytest.mark.parametrize(("group", "case"), REFUSED, ids=name_of)
def test_a_value_that_cannot_be_accepted_is_refused_with_its_code(group, case):
    with pytest.raises(Refused) as caught:
        canonical(field_of(group["name"], group["field"]), case["value"])
    assert (caught.value.code, caught.value.field) == (case["code"], group["name"])
    assert case["code"] in REFUSAL_CODES


def test_every_kind_of_field_is_told_with_what_it_takes_and_refuses():
    kinds = {group["field"]["kind"] for group in KINDS if group["accepted"] and group["refused"]}
    assert kinds == set(typing.get_args(Kind))


@pytest.mark.parametrize(
    ("name", "field"), [("iban", "iban"), ("image", "image"), ("amount", "balance")]
)
def test_the_fields_of_the_vectors_are_those_of_an_account(name, field):
    (group,) = [each for each in KINDS if each["name"] == name]
    told = describe({"account": entities()["account"]})["account"]["fields"]
    assert group["field"] == told[field]


@pytest.mark.parametrize("case", cases("values", "writes"), ids=title)
def test_what_a_change_writes(case):
    entity = entities_of(vectors("values")["entities"])[case["entity"]]
    if "refused" in case:
        with pytest.raises(Refused) as caught:
            canonical_fields(entity, case["fields"], is_create=case["create"])
        refused = {"code": caught.value.code, "field": caught.value.field or ""}
        assert refused == case["refused"]
    else:
        found = canonical_fields(entity, case["fields"], is_create=case["create"])
        assert found == (case["canonical"], case["unknown"])


def test_canonical_texts_and_their_order():
    listed = cases("values", "ascending")
    texts = [canonical_text(case["value"]) for case in listed]
    assert texts == [case["text"] for case in listed]
    assert texts == sorted(set(texts))
