"""What a synced row may hold: canonical values, and a code for everything else."""

from __future__ import annotations

import string
import unicodedata
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from syncapp.core.change import EXISTS
from syncapp.core.entity import (
    INT_MAX,
    INT_MIN,
    ROW_MAX_BYTES,
    Entity,
    Field,
    canonical,
    canonical_fields,
    describe,
    version_of,
)
from syncapp.core.errors import REFUSAL_CODES, Refused

from .strategies import json_values

UUID = "33333333-3333-4333-8333-333333333333"
KINDS = {
    "text": Field("text", "text", max_length=5),
    "bool": Field("bool", "bool"),
    "int": Field("int", "int", minimum=-10, maximum=10),
    "decimal": Field("decimal", "decimal"),
    "choice": Field("choice", "choice", choices=("giro", "bar")),
    "reference": Field("reference", "reference"),
    "iban": Field("iban", "iban", max_length=34),
    "image": Field("image", "image", max_length=100),
}
ACCOUNT = Entity(
    "account",
    {
        "name": Field("name", "text", is_required=True, max_length=120),
        "note": Field("note", "text", "", max_length=300_000),
        "balance": Field("balance", "decimal", "0"),
        "groupId": Field("groupId", "reference", None, is_nullable=True),
    },
)

specs = some.sampled_from(list(KINDS.values()))
amounts = some.decimals(
    min_value=Decimal("-999999999999999.9999"),
    max_value=Decimal("999999999999999.9999"),
    places=4,
)
# Text that is likely to be accepted by one kind or another, or just not.
likely = (
    json_values
    | amounts.map(str)
    | some.text(string.digits + ".-+eE _", max_size=12)
    | some.sampled_from(["giro", "bar", "", UUID, UUID.upper(), "de89 3704 0044", "a\u0301" * 5])
    | some.text(max_size=8)
)


def refusal(spec: Field, value: object) -> str:
    with pytest.raises(Refused) as caught:
        canonical(spec, value)
    assert caught.value.field == spec.name
    assert caught.value.message
    return caught.value.code


@given(specs, likely)
def test_a_value_becomes_canonical_or_is_refused_with_a_known_code(spec, value):
    try:
        result = canonical(spec, value)
    except Refused as refused:
        assert refused.code in REFUSAL_CODES
        assert refused.field == spec.name
    else:
        assert canonical(spec, result) == result
        assert type(canonical(spec, result)) is type(result)


@given(amounts)
def test_equal_amounts_have_one_text(amount):
    text = canonical(KINDS["decimal"], format(amount, "f"))
    assert Decimal(text) == amount
    assert not text.startswith(("-0", "+")) or text.startswith("-0.")
    assert not ("." in text and text.endswith("0"))
    assert text == canonical(KINDS["decimal"], f"{amount:f}00"[:64])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1.50", "1.5"),
        ("-0", "0"),
        ("-0.000", "0"),
        ("0001", "1"),
        ("00.10", "0.1"),
        ("-12.0", "-12"),
        ("999999999999999.9999", "999999999999999.9999"),
        ("1.23450000", "1.2345"),
    ],
)
def test_an_amount_is_written_without_needless_zeros(value, text):
    assert canonical(KINDS["decimal"], value) == text


@pytest.mark.parametrize(
    "value",
    ["", "1e5", "1E+1000000", "NaN", "Infinity", "-inf", " 1", "1 ", "1_000", "1,5", "+1", ".5",
     "1.", "\u0661\u0662", "0x10", "--1", "1.2.3", "1\n", 1, 1.5, True, [], {}, "9" * 65],
)  # fmt: skip
def test_what_is_not_a_plain_amount_is_refused(value):
    assert refusal(KINDS["decimal"], value) == "type"


@pytest.mark.parametrize("value", ["1234567890123456", "1.23456", "-" + "9" * 30])
def test_an_amount_is_refused_rather_than_rounded(value):
    assert refusal(KINDS["decimal"], value) == "digits"


def test_an_amount_of_five_thousand_digits_costs_nothing():
    assert refusal(KINDS["decimal"], "9" * 5_000) == "type"


@given(some.text(max_size=5))
def test_text_is_kept_in_one_normal_form(value):
    if len(unicodedata.normalize("NFC", value)) <= 5 and "\x00" not in value:
        decomposed = unicodedata.normalize("NFD", value)
        assert canonical(KINDS["text"], decomposed) == unicodedata.normalize("NFC", value)


def test_the_length_of_text_is_counted_in_characters_after_normalisation():
    assert canonical(KINDS["text"], "u\u0308" * 5) == "\u00fc" * 5
    assert canonical(KINDS["text"], "\U0001f600" * 5) == "\U0001f600" * 5
    assert refusal(KINDS["text"], "\U0001f600" * 6) == "too_long"


@pytest.mark.parametrize("value", ["a\x00b", "\ud800", "a\udfffb"])
def test_text_that_no_database_stores_is_refused(value):
    assert refusal(KINDS["text"], value) == "text"


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("text", 1, "type"),
        ("bool", 1, "type"),
        ("bool", "true", "type"),
        ("int", True, "type"),
        ("int", 1.0, "type"),
        ("int", "1", "type"),
        ("int", 11, "range"),
        ("int", 10**40, "range"),
        ("choice", "Giro", "choice"),
        ("choice", ["giro"], "type"),
        ("reference", "", "reference"),
        ("reference", UUID + "\n", "reference"),
        ("reference", UUID.replace("-", ""), "reference"),
        ("reference", 7, "reference"),
        ("iban", "D" * 35, "too_long"),
        ("iban", 7, "type"),
        ("image", "https://example.org/cat.png", "image"),
        ("image", "data:image/svg+xml;base64,AAAA", "image"),
        ("image", "data:image/png;base64,AA AA", "image"),
        ("image", "data:image/png;base64,", "image"),
        ("image", "data:image/png;base64," + "A" * 100, "too_long"),
        ("image", None, "required"),
        ("text", None, "required"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_with_its_code(kind, value, code):
    assert refusal(KINDS[kind], value) == code


def test_ids_are_lower_case_and_ibans_upper_case_without_blanks():
    assert canonical(KINDS["reference"], UUID.upper()) == UUID
    assert canonical(KINDS["iban"], " de89 3704\t0044\u00a0053 ") == "DE8937040044053"


def test_only_a_nullable_field_may_be_empty():
    assert canonical(ACCOUNT.fields["groupId"], None) is None


def test_a_name_of_blanks_is_no_name():
    assert refusal(ACCOUNT.fields["name"], " \t ") == "required"


def test_a_rule_of_the_model_refuses_under_the_fields_name():
    def is_not_odd(value: int) -> None:
        if value % 2:
            raise Refused("invalid", "Only even numbers.")

    spec = Field("seats", "int", checks=(is_not_odd,))
    assert canonical(spec, 2) == 2
    assert refusal(spec, 3) == "invalid"


def test_a_new_row_is_completed_with_defaults():
    known, unknown = canonical_fields(ACCOUNT, {"name": "Giro"}, is_create=True)
    assert known == {"name": "Giro", "note": "", "balance": "0", "groupId": None}
    assert unknown == []


def test_an_edit_holds_only_what_it_names():
    assert canonical_fields(ACCOUNT, {"balance": "1.50"}, is_create=False) == (
        {"balance": "1.5"},
        [],
    )


def test_a_new_row_needs_what_is_required():
    with pytest.raises(Refused) as caught:
        canonical_fields(ACCOUNT, {"note": "x"}, is_create=True)
    assert (caught.value.code, caught.value.field) == ("required", "name")


def test_fields_the_server_does_not_know_are_listed_and_stop_nothing():
    fields = {"name": "Giro", "colour": "red", "age": {"deep": []}}
    known, unknown = canonical_fields(ACCOUNT, fields, is_create=False)
    assert (known, unknown) == ({"name": "Giro"}, ["age", "colour"])


@pytest.mark.parametrize("name", [EXISTS, "syncSeq", "sync_stamps"])
def test_what_only_the_server_writes_is_refused(name):
    with pytest.raises(Refused) as caught:
        canonical_fields(ACCOUNT, {name: True}, is_create=False)
    assert (caught.value.code, caught.value.field) == ("read_only", name)


def test_a_row_has_a_limit_in_bytes():
    fits = "x" * (ROW_MAX_BYTES - len('{"note":""}'))
    canonical_fields(ACCOUNT, {"note": fits}, is_create=False)
    with pytest.raises(Refused) as caught:
        canonical_fields(ACCOUNT, {"note": fits + "x"}, is_create=False)
    assert (caught.value.code, caught.value.field) == ("row_too_large", None)


def test_the_range_of_whole_numbers_is_that_of_the_database():
    assert (INT_MIN, INT_MAX) == (-2147483648, 2147483647)


def test_a_description_is_plain_json_and_names_every_field():
    told = msgspec.json.decode(msgspec.json.encode(describe({"account": ACCOUNT})))
    assert told == describe({"account": ACCOUNT})
    assert list(told["account"]["fields"]) == list(ACCOUNT.fields)


def test_the_version_changes_with_a_field_and_not_with_the_order():
    more = Entity("account", {**ACCOUNT.fields, "iban": KINDS["iban"]})
    backwards = Entity("account", dict(reversed(ACCOUNT.fields.items())))
    assert version_of({"account": ACCOUNT}) == version_of({"account": backwards})
    assert version_of({"account": ACCOUNT}) != version_of({"account": more})
