"""Properties of the translator: what goes round is no write, and nothing makes it stumble."""

from __future__ import annotations

import json
import unicodedata
import uuid
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncapp.core.change import EXISTS, Row
from syncapp.core.errors import SyncError
from syncapp.dialects import finwise04 as dialect
from syncapp.dialects.shown import VERSIONS_MAX, Shown
from syncapp.tests.finwise04.rig import KINDS
from syncapp.tests.simulation.household import ACCOUNT_TYPES, HOUSEHOLD

TENANT, ROW = str(uuid.uuid4()), str(uuid.uuid4())
STAMP = "0197000000aa-0000-00000000000000bb"
ENTITY, KIND = HOUSEHOLD["account"], KINDS["account"]

amounts = st.decimals(
    min_value=Decimal("-999999999999999.9999"),
    max_value=Decimal("999999999999999.9999"),
    places=4,
).map(lambda amount: format(amount.normalize() + 0, "f") if amount else "0")
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
accounts = st.fixed_dictionaries(
    {
        "name": texts.filter(str.strip),
        "description": texts,
        "note": texts,
        "accountType": st.sampled_from(ACCOUNT_TYPES),
        "isActive": st.booleans(),
        "isOfflineBudget": st.booleans(),
        "accountGroupId": st.none() | st.uuids().map(str),
        "sortOrder": st.integers(-(2**31), 2**31 - 1),
        "iban": st.just("") | st.just("DE89370400440532013000"),
        "balance": amounts,
        "creditLimit": amounts,
        "offset": amounts,
        "image": st.just("") | st.just("data:image/png;base64,AAAA"),
    }
)


def canonical(values):
    return {
        name: unicodedata.normalize("NFC", value) if isinstance(value, str) else value
        for name, value in values.items()
    }


def through_javascript(record):
    """As the app keeps it and sends it back: every number is a double."""
    plain = json.loads(msgspec.json.encode(record), parse_int=float, parse_float=float)
    plain = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in plain.items()
    }
    return json.dumps(plain)


def translated(record, shown, row, **fields):
    payload = {**json.loads(record), **fields}
    entry = {
        "id": "e", "tenantId": TENANT, "entityType": "Account", "entityId": ROW,
        "operationType": "update", "timestamp": 1_749_830_250_123, "payload": payload,
    }  # fmt: skip
    said = dialect.text_to_said(json.dumps({"type": "process_sync_entry", "payload": entry}))
    if isinstance(said, dialect.BadEntry):  # nested too deep
        return said
    return dialect.entry_to_change(
        said, KIND, ENTITY, current=row, shown=shown, node="00000000000000aa", number=1,
        horizon="", now_ms=1_749_830_260_000,
    )  # fmt: skip


def shown_to_the_app(values):
    row = Row("account", ROW, {**values, EXISTS: True})
    row.stamps = dict.fromkeys(row.fields, STAMP)
    shown = Shown("account", ROW)
    ms = shown.tell(1_749_830_100_000, dialect.held_of_row(ENTITY, row), row.stamps)
    record = through_javascript(dialect.row_to_record(KIND, ENTITY, row, ms))
    return row, shown, record


@given(accounts)
def test_a_record_that_comes_back_as_it_was_told_is_no_write(values):
    row, shown, record = shown_to_the_app(canonical(values))
    translation = translated(record, shown, row)
    assert translation.problems == []
    assert translation.change is None


@given(accounts)
def test_of_a_record_with_one_new_field_only_that_is_written(values):
    row, shown, record = shown_to_the_app(canonical(values))
    change = translated(record, shown, row, isActive=not row.fields["isActive"]).change
    assert change.fields == {"isActive": not row.fields["isActive"]}


@given(accounts)
def test_what_is_remembered_is_stored_and_read_back(values):
    row, shown, record = shown_to_the_app(canonical(values))
    translation = translated(record, shown, row, name="anders")
    shown.hear(1_749_830_100_000, dialect.held_of_row(ENTITY, row), row.stamps)
    assert translation.change is None or translation.change.fields == {"name": "anders"}
    plain = json.loads(msgspec.json.encode(shown.to_plain()))
    again = Shown.from_plain(
        shown.entity, shown.id, shown.told_ms, shown.last_stamp, shown.last_entry_ms, plain
    )
    assert again == shown


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=60))
def test_the_times_that_are_told_only_grow_and_versions_are_few(clocks):
    shown = Shown("account", ROW)
    told = []
    for n, now_ms in enumerate(clocks):
        told.append(shown.tell(now_ms, {"name": str(n % 3)}, {"name": STAMP, EXISTS: STAMP}))
    assert told == sorted(set(told))
    assert len(shown.versions) <= VERSIONS_MAX
    assert [each.ms for each in shown.versions] == sorted({each.ms for each in shown.versions})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


KNOWN_TYPES = ["process_sync_entry", "ping", "request_initial_data", "data_status_request"]
frames = st.fixed_dictionaries(
    {"type": st.sampled_from(KNOWN_TYPES)},
    optional=dict.fromkeys(("payload", "timestamp", "tenant_id"), json_values),
)


@given(json_values | frames)
def test_whatever_is_said_is_read_or_refused_with_a_code(value):
    try:
        said = dialect.text_to_said(json.dumps(value))
    except SyncError as refused:
        assert refused.code == "bad_frame"
    else:
        assert isinstance(said, dialect.Said)


@given(st.text())
def test_an_entry_that_says_which_it_is_is_never_left_without_an_answer(rest):
    begin = '{"type":"process_sync_entry","payload":{"id":"e-1","payload":"'
    for text in (begin + rest, begin + rest + '"}}', begin + "[" * 3000 + rest):
        assert dialect.text_to_said(text).id == "e-1"


@given(st.dictionaries(st.sampled_from([*ENTITY.fields, "id", "updated_at"]), json_values))
def test_whatever_stands_in_a_record_is_taken_or_refused_by_field(payload):
    payload.pop("id", None)
    row, shown, record = shown_to_the_app({"name": "Giro"})
    translation = translated(record, shown, row, **payload)
    if isinstance(translation, dialect.BadEntry):
        assert translation.id == "e"
        return
    for problem in translation.problems:
        assert problem.field in ENTITY.fields


@given(st.integers(0, dialect.LATEST_MS))
def test_a_time_is_written_and_read_back(ms):
    assert dialect.iso_to_ms(dialect.ms_to_iso(ms)) == ms


@pytest.mark.parametrize(
    "text",
    ["2025-06-13T15:40:11.020Z", "2025-06-13T15:40:11.020", "2025-06-13 15:40:11.020999",
     "2025-06-13T17:40:11.020+02:00", "2025-06-13T15:40:11.020456Z"],
)  # fmt: skip
def test_a_time_is_read_in_every_way_in_which_it_may_be_written(text):
    assert dialect.iso_to_ms(text) == 1_749_829_211_020


@given(st.text() | json_values)
def test_what_is_no_time_is_none(value):
    found = dialect.iso_to_ms(value)
    assert found is None or 0 <= found <= dialect.LATEST_MS
