"""A model says how it travels, and a program that could not keep its promises does not start."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from hypothesis import given
from hypothesis import strategies as some
from localflavor.generic.validators import IBANValidator

from accounts.models import IbanCheck
from syncapp import registry
from syncapp.core.entity import canonical
from syncapp.core.errors import REFUSAL_CODES, Refused
from syncapp.models import SyncedModel
from syncapp.tests.core.strategies import json_values

ACCOUNT = registry.entities()["account"]


@pytest.fixture
def make() -> Iterator[Any]:
    """Registers a model with the given fields, for one test; returns its entity."""
    from django.apps import apps

    def make(table: str = "thing", **fields: models.Field) -> Any:
        meta = type("Meta", (), {"app_label": "things", "db_table": table, "abstract": False})
        members = {"__module__": __name__, "Meta": meta, **fields}
        registry.sync(type("Thing", (SyncedModel,), members))
        return registry.entities()[table]

    yield make
    registry.forget("thing")
    apps.all_models.pop("things", None)
    apps.clear_cache()


def test_an_account_travels_as_its_model_says():
    fields = ACCOUNT.fields
    assert list(fields)[:3] == ["name", "description", "note"]
    assert (fields["name"].is_required, fields["name"].max_length) == (True, 120)
    assert (fields["accountGroupId"].kind, fields["accountGroupId"].target) == (
        "reference",
        "account_group",
    )
    assert fields["accountGroupId"].is_nullable
    assert (fields["balance"].digits, fields["balance"].places) == (15, 4)
    assert (fields["balance"].default, fields["isActive"].default) == ("0", True)
    assert fields["accountType"].choices[:2] == ("giro", "tagesgeld")
    assert len(fields["accountType"].choices) == 14


def test_no_table_refers_to_itself():
    """F03: no circle of references can be made by two devices, because there is none to be made."""
    for name, entity in registry.entities().items():
        assert all(field.target != name for field in entity.fields.values()), name


def test_an_image_of_a_hundred_kibibytes_fits():
    import base64

    url = "data:image/jpeg;base64," + base64.b64encode(b"x" * 100 * 1024).decode()
    assert canonical(ACCOUNT.fields["image"], url) == url


def test_conflicts_travel_and_nobody_writes_them():
    assert registry.entities()["conflict"].is_read_only


@pytest.mark.parametrize(
    ("column", "wire"),
    [("name", "name"), ("account_group_id", "accountGroupId"), ("line_2_text", "line2Text")],
)
def test_wire_names_are_column_names_in_camel_case(column, wire):
    assert registry.wire_name(column) == wire


def test_bounds_of_whole_numbers_come_from_the_column_and_its_validators(make):
    entity = make(
        small=models.SmallIntegerField(default=0),
        day=models.IntegerField(
            default=1, validators=[MinValueValidator(1), MaxValueValidator(31)]
        ),
    )
    bounds = {name: (each.minimum, each.maximum) for name, each in entity.fields.items()}
    assert bounds == {"small": (-32768, 32767), "day": (1, 31)}


def test_a_default_is_told_in_its_canonical_form(make):
    amount = models.DecimalField(max_digits=5, decimal_places=2, default=Decimal("1.50"))
    assert make(amount=amount).fields["amount"].default == "1.5"


def test_a_row_that_could_be_too_large_is_refused_at_start(make):
    with pytest.raises(ImproperlyConfigured, match="262,144 is the limit"):
        make(note=models.TextField(default="", max_length=70_000))


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("note", models.TextField(default="")),
        ("day", models.DateField(null=True)),
        ("rate", models.FloatField(default=0)),
        ("parts", models.JSONField(default=dict)),
        ("exists", models.BooleanField(default=True)),
        ("a" * 41, models.BooleanField(default=True)),
        ("owner", models.UUIDField()),
        ("size", models.IntegerField(default=1, choices=[(1, "small"), (2, "large")])),
        ("kind", models.CharField(max_length=9, default="x", choices=[("a", "A")])),
    ],
    ids=[
        "text without a length",
        "date",
        "float",
        "JSON",
        "a reserved name",
        "a long name",
        "a reference that cannot be empty",
        "numbers to choose from",
        "a default that is no choice",
    ],
)
def test_what_cannot_travel_is_refused_at_start(make, name, field):
    """D15: what two people could change different parts of is no field."""
    with pytest.raises(ImproperlyConfigured):
        make(**{name: field})


def test_a_number_without_a_default_is_required_even_where_a_form_may_leave_it_blank(make):
    assert make(size=models.IntegerField(blank=True)).fields["size"].is_required


@pytest.mark.parametrize("table", ["Thing", "conflict", "z", "thing2", "t" * 41])
def test_what_cannot_name_an_entity_is_refused_at_start(make, table):
    with pytest.raises(ImproperlyConfigured):
        make(table, name=models.CharField(max_length=9))


@given(some.sampled_from(list(ACCOUNT.fields.values())), json_values | some.text(max_size=40))
def test_whatever_is_sent_for_an_account_is_canonical_or_refused_with_a_code(spec, value):
    try:
        found = canonical(spec, value)
    except Refused as refused:
        assert (refused.code in REFUSAL_CODES, refused.field) == (True, spec.name)
        assert refused.message
    else:
        assert canonical(spec, found) == found


@given(some.text("DEGBFR0123456789 -abz", max_size=36))
def test_whatever_looks_like_an_iban_is_canonical_or_refused(value):
    try:
        found = canonical(ACCOUNT.fields["iban"], value)
    except Refused as refused:
        assert refused.code in ("iban", "too_long")
    else:
        assert " " not in found and found == found.upper()


@given(some.from_regex(r"[0-9]{18}", fullmatch=True), some.integers(0, 99), some.booleans())
def test_an_iban_is_judged_as_the_library_does(account, check, is_right):
    if is_right:
        check = 98 - int(f"{account}131400") % 97
    value = f"DE{check:02d}{account}"
    verdicts = []
    for judge in (IBANValidator(), IbanCheck()):
        try:
            judge(value)
            verdicts.append("")
        except ValidationError as error:
            verdicts.append(" ".join(error.messages))
    assert verdicts[0] == verdicts[1]
    assert not (is_right and verdicts[1])
