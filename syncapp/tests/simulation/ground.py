"""What the simulated server stands on: the household in memory, or a real PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from syncapp.core.change import Row
from syncapp.core.entity import Entity
from syncapp.core.records import Conflict, Head

from .household import HOUSEHOLD, entity
from .memory import MemoryRepository
from .oracle import Cell, Cells, Dispute, Key
from .typed import NEW_FIELD

from syncapp.core.entity import Field  # isort: skip


class ServerDied(BaseException):
    """The process that held a transaction is gone; the transaction, too, if it was open."""


class Ground(Protocol):
    """One household. `call` runs an engine function in one transaction of its own."""

    entities: Mapping[str, Entity]
    columns: Mapping[str, Iterable[str]]  # what a write by hand knows, by entity

    def call(
        self, function: Callable[..., Any], *args: Any, dies_before_commit: bool = False
    ) -> Any: ...
    def read(self, function: Callable[..., Any], *args: Any) -> Any: ...
    def head(self) -> Head: ...
    def rows(self) -> dict[Key, Cells]: ...
    def conflicts(self) -> dict[Dispute, tuple[Any, Any, int]]: ...
    def dump(self) -> object: ...
    def restore(self, backup: object) -> None: ...
    def new_epoch(self) -> None: ...
    def set_role(self, user_id: str, role: str) -> None: ...
    def insert(self, key: Key, fields: Mapping[str, Any], now_ms: int) -> None: ...
    def update(self, key: Key, fields: Mapping[str, Any], now_ms: int) -> None: ...
    def delete(self, key: Key, now_ms: int) -> None: ...


def versions(full: Mapping[str, Entity]) -> list[dict[str, Entity]]:
    """What a server knows, older ones first: one lacks an entity, one lacks fields."""
    account = full["account"]
    fewer = {name: each for name, each in account.fields.items() if name not in ("note", "offset")}
    return [
        {name: each for name, each in full.items() if name != "account_group"},
        {**full, "account": replace(account, fields=fewer)},
        dict(full),
    ]


def newest_version() -> dict[str, Entity]:
    """The household with one more field, as only a newer program knows it."""
    name, field = NEW_FIELD
    fields = [*HOUSEHOLD[name].fields.values(), Field(field, "text", "", max_length=20)]
    return {**HOUSEHOLD, name: entity(name, *fields)}


def cells_of(row: Row) -> dict[str, Cell]:
    return {name: Cell(stamp, row.fields.get(name)) for name, stamp in row.stamps.items()}


def dispute_of(each: Conflict) -> tuple[Dispute, tuple[Any, Any, int]]:
    dispute = Dispute(each.entity, each.row_id, each.field, each.winning_stamp, each.losing_stamp)
    return dispute, (each.winning_value, each.losing_value, each.at_ms)


class MemoryGround:
    def __init__(self, rng: random.Random, owner: str, now_ms: int) -> None:
        self.repository = MemoryRepository(
            HOUSEHOLD, owner, token=lambda n: f"{rng.getrandbits(8 * n):0{2 * n}x}", now_ms=now_ms
        )

    @property
    def entities(self) -> Mapping[str, Entity]:
        return self.repository.entities

    @entities.setter
    def entities(self, known: Mapping[str, Entity]) -> None:
        self.repository.entities = known

    @property
    def columns(self) -> Mapping[str, Iterable[str]]:
        return {name: list(each.fields) for name, each in self.entities.items()}

    def call(
        self, function: Callable[..., Any], *args: Any, dies_before_commit: bool = False
    ) -> Any:
        with self.repository.transaction():
            result = function(self.repository, *args)
            if dies_before_commit:
                raise ServerDied
            return result

    def read(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(self.repository, *args)

    def head(self) -> Head:
        return self.repository.read_head()

    def rows(self) -> dict[Key, Cells]:
        return {key: cells_of(row) for key, row in self.repository.all_rows().items()}

    def conflicts(self) -> dict[Dispute, tuple[Any, Any, int]]:
        return dict(dispute_of(each) for each in self.repository.all_conflicts())

    def dump(self) -> object:
        return self.repository.dump()

    def restore(self, backup: object) -> None:
        self.repository.restore(backup)

    def import_rows(self, backup: object, now_ms: int) -> None:
        self.repository.import_rows(backup, now_ms)

    def new_epoch(self) -> None:
        self.repository.new_epoch()

    def set_role(self, user_id: str, role: str) -> None:
        self.repository.set_role(user_id, role)

    def insert(self, key: Key, fields: Mapping[str, Any], now_ms: int) -> None:
        self.repository.write_by_hand(*key, now_ms, fields)

    update = insert

    def delete(self, key: Key, now_ms: int) -> None:
        self.repository.write_by_hand(*key, now_ms, None)
