"""A household of the vectors, on the real engine over a repository in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from syncapp import engine, greetings
from syncapp.core.messages import Hello, Push, WireRow, encode, row_to_wire, text_to_up, wire_to_row
from syncapp.tests.simulation.memory import MemoryRepository

from .vectors import entities_of

USER = "aaaaaaaa-0000-4000-8000-000000000001"
PHONE = "22222222-2222-4222-8222-222222222222"


class Household:
    """What one case begins with: rows, a device, the newest compacted delete."""

    def __init__(self, case: Mapping[str, Any], entities: Mapping[str, Any]) -> None:
        self.now_ms: int = case["nowMs"]
        self.repository = MemoryRepository(entities_of(entities), USER, epoch="e" * 32)
        with self.repository.transaction():
            hello = Hello(device=PHONE, node=case["node"], former_nodes=case["formerNodes"])
            greetings.greet(self.repository, hello, USER, self.now_ms)
            rows = [wire_to_row(msgspec.convert(each, WireRow)) for each in case["rows"]]
            head = replace(self.repository.read_head(), horizon=case["horizon"])
            if rows:
                head = replace(head, seq=head.seq + 1, stamp=max(r.newest_stamp for r in rows))
            self.repository.write(head, self.now_ms, is_new_seq=bool(rows), rows=rows)

    def answer(self, frame: Mapping[str, Any]) -> dict[str, Any]:
        """Send a frame as text, and read the answer as a device would."""
        message = text_to_up(json.dumps(frame))
        apply = engine.apply_push if isinstance(message, Push) else engine.apply_rows
        with self.repository.transaction():
            outcome = apply(self.repository, PHONE, USER, message, self.now_ms)
        return json.loads(encode(outcome.ack))

    def rows(self) -> list[dict[str, Any]]:
        """Every row as it travels, in the order of entity and id."""
        stored = self.repository.all_rows()
        return [json.loads(encode(row_to_wire(stored[key]))) for key in sorted(stored)]
