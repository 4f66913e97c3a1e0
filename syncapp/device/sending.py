"""What this device says: each frame is made from what is durable at that moment."""

from __future__ import annotations

from math import ceil

import msgspec

from syncapp.core.messages import Hello, Household, Ping, Pull, Push, Report, Rows
from syncapp.core.outbox import cut, settled_up_to, size_of, to_change
from syncapp.core.session import Facts

from .hearing import Hearing
from .store import HealRow, Meta

PORTION_MIN = 1e-6  # one row, whatever its size
PORTION_GROWTH = 1.25  # slower than it shrinks: what fits is found, and kept


class Sending(Hearing):
    portion_min = PORTION_MIN

    def facts(self) -> Facts:
        """What the session decides by."""
        meta = self.meta
        return Facts(
            read_seq=meta.read_seq,
            # Without a cursor nothing was read, not even that there is nothing: what an ack puts
            # into the base must have a cursor beside it, or no reset would ever be found due.
            is_walking=meta.is_walking or meta.cursor is None,
            has_rows=meta.is_heal_open or self.store.has_heal_rows(),
            has_changes=self.store.has_changes(),
            may_write=meta.role != "viewer",
        )

    def hello(self) -> Hello:
        """The frame that begins a conversation. Rows in flight in the one before were not heard."""
        meta = self.meta
        self._rows_in_flight = None
        self._hello_sent_ms = self.wall_ms()
        return Hello(
            device=meta.device,
            node=meta.node,
            former_nodes=meta.former_nodes,
            name=meta.name,
            app=meta.app,
            cursor=meta.cursor or meta.cursor_before,
            pending=self.pending,
            acknowledged=self._acknowledged(meta),
            clock_ms=max(self._hello_sent_ms, 0),
            household=None if meta.household_name is None else Household(meta.household_name),
            reset=meta.reset or ("restored" if meta.is_heal_open else None),  # type: ignore[arg-type]
            anchor=meta.anchor,
        )

    def pull(self, *, ask: bool) -> Pull:
        return Pull(cursor=self.meta.cursor, limit=self._batch_rows, ask=ask)

    def push(self) -> Push:
        """The next changes, perhaps none; their numbers are durable before they leave."""
        with self.store.transaction():
            meta = self.meta
            entries = self.store.entries_to_send(self._batch_rows)
            batch = cut(entries, size_of, self._batch_rows, self._batch_bytes)
            numbers: dict[int, int] = {}
            for entry in batch:
                if entry.number is None:
                    entry.number = numbers[entry.local] = meta.next_number
                    meta.next_number += 1
            if numbers:
                self.store.put_numbers(numbers)
                self.store.put_meta(meta)
            changes = [to_change(entry, entry.number or 0) for entry in batch]
            return Push(changes=changes, acknowledged=self._acknowledged(meta))

    def rows_to_heal(self) -> Rows:
        """The next rows of the heal list, perhaps none: then it only reports that it is empty."""
        waiting = self.store.heal_rows(limit=self._batch_rows + 1)
        batch = cut(waiting, _row_size, self._batch_rows, self._batch_bytes)
        is_last = len(batch) == len(waiting)
        self._rows_in_flight = frozenset(each.version for each in batch), is_last
        return Rows(rows=[each.wire for each in batch], last=is_last)

    def ping(self) -> Ping:
        """How this device is: the server shows it to operators."""
        meta, counts = self.meta, self.store.counts()
        oldest_ms = self.store.oldest_made_ms()
        self._ping_sent_ms = self.wall_ms()
        age_ms = 0 if oldest_ms is None else max(self.corrected_ms(meta) - oldest_ms, 0)
        return Ping(
            pending=counts.get("open", 0) + counts.get("healing", 0),
            oldest_pending_ms=age_ms,
            refused=counts.get("refused", 0),
            parked=self.parked_count,
            cursor=meta.cursor,
            clock_ms=max(self._ping_sent_ms, 0),
        )

    def report(self, request_id: str, outcome: str) -> Report:
        """The answer to a sync request. What is parked is not done: it waits for a newer server."""
        counts = self.store.counts()
        if outcome == "done" and self.parked_count:
            outcome = "pending"
        return Report(
            id=request_id,
            sent=self.sent,
            received=self.received,
            pending=self.pending,
            refused=counts.get("refused", 0),
            parked=self.parked_count,
            cursor=self.meta.cursor,
            outcome=outcome,  # type: ignore[arg-type]
        )

    @property
    def pending(self) -> int:
        """Changes that the server has not decided yet."""
        counts = self.store.counts()
        return counts.get("open", 0) + counts.get("healing", 0)

    @property
    def refused_count(self) -> int:
        return self.store.counts().get("refused", 0)

    @property
    def parked_count(self) -> int:
        return self.store.counts().get("parked", 0) + self.store.count_parked_rows()

    def carry_less(self, *, is_limit: bool = False) -> None:
        """What was on its way did not get through: the next frames, both ways, are much smaller,
        or the same one would be tried for ever where the network is slow.

        is_limit: somebody on the way takes no larger ones; then they stay so.
        """
        self.portion = max(self.portion / (2 if is_limit else 4), self.portion_min)
        if is_limit:
            self.portion_max = self.portion

    def carry_more(self) -> None:
        """Something got through: the next may be larger again."""
        self.portion = min(self.portion * PORTION_GROWTH, self.portion_max)

    @property
    def _batch_rows(self) -> int:
        return ceil(self.limits.batch_rows * self.portion)

    @property
    def _batch_bytes(self) -> int:
        return ceil(self.limits.batch_bytes * self.portion)

    def _acknowledged(self, meta: Meta) -> int:
        least = self.store.least_open_number()
        return settled_up_to([] if least is None else [least], meta.next_number)


def _row_size(heal: HealRow) -> int:
    return len(msgspec.json.encode(heal.wire))
