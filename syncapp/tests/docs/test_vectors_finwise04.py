"""The vectors of the FinWise 0.4 dialect: entries to changes, rows to records, frames."""

from __future__ import annotations

import json

import msgspec
import pytest

from syncapp.core.change import Row
from syncapp.core.entity import Entity
from syncapp.core.errors import BadFrame
from syncapp.core.messages import Result
from syncapp.dialects import finwise04 as dialect
from syncapp.dialects.shown import Shown
from syncapp.finwise04.kinds import kinds
from syncapp.tests.docs.vectors import cases, field_of, title, vectors

NAME = "finwise04"


def entities():
    return {
        name: Entity(
            name, {each: field_of(each, told) for each, told in described["fields"].items()}
        )
        for name, described in vectors(NAME)["entities"].items()
    }


def row_of(told):
    return Row(told["entity"], told["id"], dict(told["fields"]), dict(told["stamps"]))


def kind_named(name):
    return next(each for each in kinds().values() if each.name == name)


def plain(frame):
    return json.loads(msgspec.json.encode(frame))


@pytest.mark.parametrize("case", cases(NAME, "identities"), ids=title)
def test_a_device_is_derived_from_person_household_and_browser(case):
    found = dialect.identity_of(case["user"], case["tenant"], case["browser"])
    assert (found.device, found.node) == (case["device"], case["node"])


def test_no_two_of_them_are_the_same_device():
    found = cases(NAME, "identities")
    assert len({each["device"] for each in found}) == len(found)
    assert len({each["node"] for each in found}) == len(found)


@pytest.mark.parametrize("case", cases(NAME, "records"), ids=title)
def test_a_row_becomes_a_record(case):
    row = row_of(case["row"])
    record = dialect.row_to_record(
        kinds()[row.entity], entities()[row.entity], row, case["updatedMs"]
    )
    assert plain(record) == case["record"]
    assert dialect.iso_to_ms(case["record"]["updated_at"]) == case["updatedMs"]


@pytest.mark.parametrize("case", cases(NAME, "entries"), ids=title)
def test_an_entry_becomes_a_change(case):
    entry = said(case["entry"])
    kind = kind_named(entry.entity_type)
    entity = entities()[kind.entity]
    shown = Shown(kind.entity, entry.entity_id)
    if case["told"] is not None:
        told = row_of(case["told"]["row"])
        shown.tell(case["told"]["ms"], dialect.held_of_row(entity, told), told.stamps)
    translation = None
    for each in [*case["before"], case["entry"]]:
        entry = said(each)
        translation = dialect.entry_to_change(
            entry,
            kind,
            entity,
            current=row_of(case["current"]) if case["current"] else None,
            shown=shown,
            node=vectors(NAME)["node"],
            number=1,
            horizon=case["horizon"],
            now_ms=vectors(NAME)["nowMs"],
        )
        translation.note(entry, shown, Result(1, "applied") if translation.change else None)
    change = translation.change
    found = change and {
        "kind": change.kind, "stamp": change.stamp, "fields": change.fields, "seen": change.seen
    }  # fmt: skip
    assert found == case["change"]
    refused = [{"field": each.field, "code": each.code} for each in translation.problems]
    assert refused == case["refused"]
    assert translation.is_gone is case["gone"]


def said(entry):
    found = dialect.text_to_said(json.dumps({"type": "process_sync_entry", "payload": entry}))
    assert isinstance(found, dialect.Entry)
    return found


@pytest.mark.parametrize("case", cases(NAME, "said"), ids=title)
def test_what_the_app_says_is_read(case):
    text = case["text"] if "text" in case else json.dumps(case["frame"])
    assert type(dialect.text_to_said(text)).__name__ == case["is"]


@pytest.mark.parametrize("case", cases(NAME, "saidRefused"), ids=title)
def test_what_the_app_never_says_is_refused(case):
    with pytest.raises(BadFrame):
        dialect.text_to_said(case["text"])


@pytest.mark.parametrize("case", cases(NAME, "told"), ids=title)
def test_what_the_app_is_told(case):
    kind = kind_named("AccountGroup")
    tenant_id = case["frame"].get("tenant_id", "")
    entry = said(cases(NAME, "entries")[1]["entry"])
    group = next(each for each in cases(NAME, "records") if each["row"]["entity"] == kind.entity)
    answers = {
        "status": lambda: dialect.status("online"),
        "initial_data_load": lambda: dialect.initial_data_load(
            tenant_id, {"accounts": [], "account_groups": [group["record"]]}
        ),
        "data_update": lambda: dialect.data_update(
            tenant_id, kind, "delete", {"id": group["row"]["id"]}
        ),
        "sync_ack": lambda: dialect.sync_ack(entry),
        "sync_nack": lambda: dialect.sync_nack(entry, "name: At most 120 characters."),
        "pong": lambda: dialect.pong(dialect.Ping(1749830250123)),
        "connection_status_response": lambda: dialect.connection_status_response(tenant_id),
        "data_status_response": lambda: dialect.data_status_response(tenant_id, 1749830250000),
        "error": lambda: dialect.error("This frame is not part of the FinWise 0.4 protocol."),
    }
    assert plain(answers[case["why"]]()) == case["frame"]
