"""Pushes that hold anything JSON can: PostgreSQL and the memory repository end alike.

Each change gets a fate or its frame a code, whatever is in it, and what one repository
stores the other does too. Dice are seeded; the seed is the test's parameter.
"""

from __future__ import annotations

import json
import random
import uuid
from typing import Any

import msgspec
import pytest

from syncapp import engine, greetings, registry
from syncapp.core.errors import REFUSAL_CODES, SyncError
from syncapp.core.messages import Hello, Push, text_to_up
from syncapp.tests.household import Household, Speaker, now_ms
from syncapp.tests.simulation.memory import MemoryRepository

PUSHES = 60
VALUES = [
    None, True, False, 0, -1, 2**31, 10**30, 1.5, 1e308, "", "x", "\x00", "\U0001f600", "a\u0308",
    "1.50", "-0", "1e5", "9" * 16, "DE89 3704 0044 0532 0130 00", "data:image/png;base64,AAAA",
    "giro", "0e8dd58a-61c2-4fb8-a22e-6cb0b5f0c7aa", [], {}, [[1]], {"a": "\x00"}, "\u2028",
    "x" * 5_000, "\ufeff", "\x1f", "9" * 5_000,
]  # fmt: skip
NAMES = ["exists", "syncSeq", "colour", "*", "id", "__proto__", "\u2028", "x" * 300, "", "\x00"]
ENTITIES = ["account", "account_group", "account", "account_group", "conflict", "payee", "\u2028"]
KINDS = ["create", "edit", "edit", "delete"]
OFFSETS_MS = [0, 0, 0, -(10**9), 10**12, -(10**12)]


class Sender:
    """Makes odd frames, and sends each to both households."""

    def __init__(self, household: Household, seed: int) -> None:
        self.dice = random.Random(seed)
        self.phone: Speaker = household.device()
        self.household = household
        self.memory = MemoryRepository(registry.entities(), self.phone.user)
        with self.memory.transaction():
            hello = Hello(device=self.phone.id, node=self.phone.node)
            greetings.greet(self.memory, hello, self.phone.user, now_ms())
        self.ids = [str(uuid.UUID(int=self.dice.getrandbits(128), version=4)) for _ in range(5)]
        self.number = 0
        self.now_ms = now_ms()

    def changes(self) -> list[dict[str, Any]]:
        return [self.change(n + 1) for n in range(self.dice.randrange(1, 8))]

    def change(self, n: int) -> dict[str, Any]:
        dice, known = self.dice, registry.entities()
        entity = dice.choice(ENTITIES)
        own = list(known[entity].fields) if entity in known else ["name"]
        names = [
            dice.choice(NAMES if dice.random() < 0.1 else own) for _ in range(dice.randrange(4))
        ]
        fields = {name: dice.choice(VALUES) for name in names}
        if dice.random() < 0.7:
            fields["name"] = dice.choice(["Giro", "Bar"])
        ms = self.now_ms + dice.choice(OFFSETS_MS)
        stamp = f"{ms:012x}-{dice.randrange(65536):04x}-{self.phone.node}"
        return {
            "number": self.number + n,
            "entity": entity,
            "id": dice.choice(self.ids),
            "kind": dice.choice(KINDS),
            "stamp": stamp,
            "fields": fields,
            "seen": dict.fromkeys(names[:1], stamp),
        }

    def send(self, frame: dict[str, Any]) -> Any:
        """The answer, the same from both; None if it is no frame."""
        self.now_ms += 10
        try:
            message = text_to_up(json.dumps(frame))
        except SyncError as error:
            assert error.code == "bad_frame"
            return None
        apply = engine.apply_push if isinstance(message, Push) else engine.apply_rows
        speaker = (self.phone.id, self.phone.user, message, self.now_ms)
        stored = self.household.call(apply, *speaker)
        with self.memory.transaction():
            kept = apply(self.memory, *speaker)
        assert msgspec.structs.replace(stored.ack, anchor="") == msgspec.structs.replace(
            kept.ack, anchor=""
        )
        return stored.ack


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_push_holds_each_change_gets_a_fate_and_both_repositories_end_alike(
    household, seed
):
    sender = Sender(household, seed)
    fates = set()
    for _ in range(PUSHES):
        changes = sender.changes()
        ack = sender.send({"type": "push", "changes": changes})
        if ack is None:
            continue
        sender.number += len(changes)
        assert [each.number for each in ack.results] == [each["number"] for each in changes]
        fates |= {each.code or each.fate for each in ack.results}
        rows = [
            {
                "entity": each["entity"],
                "id": each["id"],
                "fields": {**each["fields"], "exists": sender.dice.choice([True, False, None])},
                "stamp": each["stamp"],
            }
            for each in changes
        ]
        sender.send({"type": "rows", "rows": rows})
    assert fates <= {*REFUSAL_CODES, "applied", "superseded"}
    assert {"applied", "superseded", "type", "unknown", "read_only"} <= fates
    found = household.rows()
    conflicts = {key[1] for key in found if key[0] == "conflict"}
    assert conflicts == {each.id for each in sender.memory.all_conflicts()}
    assert {key: row for key, row in found.items() if key[0] != "conflict"} == (
        sender.memory.all_rows()
    )
