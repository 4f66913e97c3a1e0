"""frontend/src/sync/core/vectors/*.json, answered by Python: what every device does alike."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from typing import Any

import msgspec
import pytest

from syncapp.core import session
from syncapp.core.clock import Clock
from syncapp.core.entity import canonical
from syncapp.core.errors import Refused
from syncapp.core.messages import Result
from syncapp.core.outbox import (
    Entry,
    Settled,
    cut,
    fold,
    lower,
    overlay,
    restamp_ahead,
    restamp_behind,
    seen_for,
    settle,
    settled_up_to,
    size_of,
)

from .vectors import FOLDER, field_of, row_of, title

DEVICES = FOLDER.parents[2] / "frontend" / "src" / "sync" / "core" / "vectors"


def cases(name: str, group: str) -> list[Any]:
    return json.loads((DEVICES / f"{name}.json").read_text(encoding="ascii"))[group]


def snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), name)


def python(told: dict[str, Any]) -> dict[str, Any]:
    return {snake(name): value for name, value in told.items()}


def entry_of(told: dict[str, Any] | None) -> Entry | None:
    return None if told is None else Entry(**python(told))


def entries_of(told: list[dict[str, Any]]) -> list[Entry]:
    return [Entry(**python(each)) for each in told]


def clock_of(told: dict[str, Any]) -> Clock:
    return Clock(told["node"], told["last"])


# --- fields.json -------------------------------------------------------------------------


@pytest.mark.parametrize("group", cases("fields", "kinds"), ids=title)
def test_values_that_languages_judge_differently(group):
    spec = field_of(group["name"], group["field"])
    for case in group["accepted"]:
        assert canonical(spec, case["value"]) == case["canonical"]
    for case in group["refused"]:
        with pytest.raises(Refused) as caught:
            canonical(spec, case["value"])
        assert caught.value.code == case["code"], case


# --- outbox.json -------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases("outbox", "folding"), ids=title)
def test_what_a_later_entry_rewrites_is_gone(case):
    entries = entries_of(case["entries"])
    folded = fold(entries, entry_of(case["added"]))
    assert [each.local for each in folded.gone] == case["gone"]
    assert folded.entry == entry_of(case["entry"])


@pytest.mark.parametrize("case", cases("outbox", "overlays"), ids=title)
def test_what_is_shown(case):
    assert overlay(row_of(case["base"]), entries_of(case["entries"])) == row_of(case["row"])


@pytest.mark.parametrize("case", cases("outbox", "seen"), ids=title)
def test_what_its_author_has_seen(case):
    entries = entries_of(case["entries"])
    found = seen_for(row_of(case["base"]), entries, case["written"], case["shown"])
    assert found == case["seen"]


@pytest.mark.parametrize("case", cases("outbox", "ahead"), ids=title)
def test_stamps_ahead_come_down(case):
    clock = clock_of(case["clock"])
    floors = {("account", row_id): stamp for row_id, stamp in case["floors"].items()}
    stamps = restamp_ahead(entries_of(case["entries"]), floors, case["nowMs"], clock)
    assert {str(local): stamp for local, stamp in stamps.items()} == case["stamps"]
    assert clock.last == case["last"]


@pytest.mark.parametrize("case", cases("outbox", "behind"), ids=title)
def test_stamps_behind_are_lifted(case):
    clock = clock_of(case["clock"])
    entries = entries_of(case["entries"])
    stamps = restamp_behind(entries, case["own"], case["effective"], case["nowMs"], clock)
    assert {str(local): stamp for local, stamp in stamps.items()} == case["stamps"]
    assert clock.last == case["last"]


@pytest.mark.parametrize("case", cases("outbox", "lowered"), ids=title)
def test_a_clock_is_lowered(case):
    clock = clock_of(case["clock"])
    assert lower(clock, case["nowMs"]) == (case["last"] != case["clock"]["last"])
    assert clock.last == case["last"]


@pytest.mark.parametrize("case", cases("outbox", "sizes"), ids=title)
def test_the_size_of_an_entry(case):
    assert size_of(entry_of(case["entry"])) == case["bytes"]


@pytest.mark.parametrize("case", cases("outbox", "cuts"), ids=title)
def test_where_a_batch_ends(case):
    batch = cut(case["bytes"], lambda size: size, case["maxRows"], case["maxBytes"])
    assert batch == case["bytes"][: case["count"]]


@pytest.mark.parametrize("case", cases("outbox", "settledUpTo"))
def test_up_to_where_all_is_settled(case):
    assert settled_up_to(case["openNumbers"], case["nextNumber"]) == case["upTo"]


@pytest.mark.parametrize("case", cases("outbox", "answers"), ids=title)
def test_what_an_answer_means(case):
    result = msgspec.convert(case["result"], Result)
    told = case["settled"]
    assert settle(entry_of(case["entry"]), result, row_of(case["base"])) == Settled(
        won=row_of(told["won"]),
        effective=told["effective"],
        remains=entry_of(told["remains"]),
        healing=row_of(told["healing"]),
    )


# --- session.json ------------------------------------------------------------------------


def named(told: dict[str, Any]) -> Any:
    """An event or an action: its class is its type, beginning with a capital."""
    kind = told["type"][0].upper() + told["type"][1:]
    return getattr(session, kind)(**python({k: v for k, v in told.items() if k != "type"}))


@pytest.mark.parametrize("case", cases("session", "walks"), ids=title)
def test_a_conversation_step_by_step(case):
    now = session.Session()
    for moment in case["moments"]:
        changed = python(moment["changed"])
        if "requests" in changed:
            changed["requests"] = tuple(changed["requests"])
        after = replace(now, **changed)
        found = session.step(
            now,
            named(moment["event"]),
            session.Facts(**python(moment["facts"])),
            moment["nowMs"],
            moment["chance"],
        )
        assert found == (after, [named(each) for each in moment["actions"]]), moment
        assert session.wake_at(after) == moment["wakeAt"]
        assert asdict(after).keys() >= changed.keys()
        now = after


@pytest.mark.parametrize("case", cases("session", "backoff"))
def test_how_long_a_device_waits(case):
    assert session.backoff_ms(case["attempt"], case["chance"], case["baseMs"]) == case["ms"]


@pytest.mark.parametrize("case", cases("session", "evidence"), ids=title)
def test_evidence_before_green(case):
    assert session.is_up_to_date(**python(case["evidence"])) is case["isUpToDate"]
