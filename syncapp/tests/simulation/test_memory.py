"""The repository in memory behaves as the engine expects of a database."""

from __future__ import annotations

import uuid

import pytest

from syncapp import engine, greetings, upkeep
from syncapp.core.cursor import text_to_cursor
from syncapp.core.messages import Change, Hello, Push

from .household import HOUSEHOLD
from .memory import MemoryRepository

NOW = 1_700_000_000_000
USER = "11111111-1111-4111-8111-111111111111"
PHONE = "22222222-2222-4222-8222-222222222222"
NODE = "00000000000000aa"


@pytest.fixture
def household() -> MemoryRepository:
    repository = MemoryRepository(HOUSEHOLD, USER)
    with repository.transaction():
        greetings.greet(repository, Hello(device=PHONE, node=NODE), USER, NOW)
    return repository


def push(household: MemoryRepository, *changes: Change, acknowledged: int = 0) -> engine.Outcome:
    with household.transaction():
        message = Push(changes=list(changes), acknowledged=acknowledged)
        return engine.apply_push(household, PHONE, USER, message, NOW)


def new_group(number: int, name: str) -> Change:
    stamp = f"{NOW + number:012x}-0000-{NODE}"
    return Change(number, "account_group", str(uuid.uuid4()), "create", stamp, {"name": name})


def test_a_push_is_applied_numbered_and_read_back_page_by_page(household):
    push(household, *(new_group(n, f"Gruppe {n}") for n in range(1, 6)))
    page = engine.changes_since(household, None, USER, limit=2)
    names = [row.fields["name"] for row in page.rows]
    while page.more:
        cursor = text_to_cursor(page.cursor.to_text())
        page = engine.changes_since(household, cursor, USER, limit=2)
        names += [row.fields["name"] for row in page.rows]
    assert sorted(names) == [f"Gruppe {n}" for n in range(1, 6)]
    assert household.read_head().seq == 1


def test_a_failed_commit_leaves_everything_as_it_was(household):
    change = new_group(1, "Sparen")

    def disk_full() -> None:
        raise OSError("disk full")

    household.before_commit = disk_full
    with pytest.raises(OSError, match="disk full"):
        push(household, change)
    assert (household.all_rows(), household.read_head().seq) == ({}, 0)
    household.before_commit = None
    assert push(household, change).seq == 1


def test_a_repeat_gets_the_stored_answer_until_its_number_is_acknowledged(household):
    change = new_group(1, "Sparen")
    first = push(household, change)
    assert push(household, change).ack == first.ack
    assert push(household, acknowledged=1).seq is None
    assert push(household, change, acknowledged=1).ack.results[0].fate == "settled"


def test_a_restored_household_is_noticed_by_its_cursor(household):
    backup = household.dump()
    push(household, new_group(1, "Sparen"))
    cursor = engine.changes_since(household, None, USER).cursor
    household.restore(backup)
    assert engine.why_lost(household, household.read_head(), cursor) == "restored"


def test_a_write_by_hand_is_stamped_and_numbered(household):
    change = new_group(1, "Sparen")
    push(household, change)
    assert household.write_by_hand("account_group", change.id, NOW, {"name": "Sparen"}) is None
    assert household.write_by_hand("account_group", change.id, NOW, {"name": "Giro"}) == 2
    assert household.write_by_hand("account_group", change.id, NOW, None) == 3
    row = household.all_rows()["account_group", change.id]
    assert (row.is_here, row.fields["name"]) == (False, "Giro")
    assert row.stamps["exists"] > row.stamps["name"] > change.stamp


def test_compaction_takes_only_tombstones_that_everybody_has_read(household):
    change = new_group(1, "Sparen")
    push(household, change)
    household.write_by_hand("account_group", change.id, NOW, None)
    later = NOW + upkeep.RETENTION_MS + 1000
    with household.transaction():
        assert upkeep.compact(household, later) == 1
    assert household.all_rows() == {}
    assert household.read_head().horizon != ""
