"""What the server's decisions need of whatever keeps a household's rows.

One on PostgreSQL serves (`syncapp/repository.py`); one in memory is what the simulation and
the tests of the engine decide over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from .change import Row
from .cursor import Position
from .entity import Entity
from .records import Conflict, Device, Head, Located, NodeOwner, StoredFate


class Repository(Protocol):
    """Rows in, rows out: one household, inside one transaction."""

    entities: Mapping[str, Entity]

    def lock_head(self) -> Head:
        """Wait for the head, hold it until the transaction ends, and return it."""

    def read_head(self) -> Head:
        """The head, for whoever only reads."""

    def fingerprint_of(self, seq: int) -> str | None:
        """Of that transaction; None if it never was, or is forgotten."""

    def visitor(self, device_id: str, user_id: str) -> tuple[Device | None, str | None]:
        """The device, if it is known, and the role of the user, if they are a member."""

    def fates(self, device_id: str, keys: Sequence[str]) -> dict[str, StoredFate]:
        """How changes of this device were answered before, by their keys."""

    def owners_of(self, nodes: Iterable[str]) -> dict[str, NodeOwner]:
        """Whose nodes these are: the one who has it now, before one who had it."""

    def rows(self, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Row]:
        """The rows of these (entity, id) that there are, tombstones included."""

    def page(self, after: Position, limit: int) -> tuple[list[Located], bool]:
        """Rows behind `after` in reading order, and whether there are more behind them."""

    def new_conflicts(self, conflicts: Sequence[Conflict]) -> list[Conflict]:
        """Those of them that are not kept yet."""

    def write(
        self,
        head: Head,
        now_ms: int,
        *,
        is_new_seq: bool = False,
        rows: Sequence[Row] = (),
        conflicts: Sequence[Conflict] = (),
        device: Device | None = None,
        fates: Sequence[StoredFate] = (),
    ) -> None:
        """Write all effects of one call. is_new_seq: the head counts a transaction more."""

    def count_devices(self) -> int:
        """How many devices the household remembers."""

    def forget_stalest_device(self) -> None:
        """Forget the device that has been silent longest, and the answers kept for it."""

    def compact(self, before_stamp: str, up_to_seq: int) -> tuple[int, str, int]:
        """Remove old tombstones; returns (how many, their newest stamp, their greatest seq)."""

    def least_read_seq(self, seen_since_ms: int) -> int | None:
        """Up to where all devices heard since then have read; 0 while one of them has to heal.

        None: there is no such device.
        """

    def prune(self, before_ms: int) -> None:
        """Forget transactions, conflicts and fates from before that time."""
