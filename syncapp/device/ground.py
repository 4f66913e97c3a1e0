"""What every part of the replica stands on: the store, the clock, what is known, who we are."""

from __future__ import annotations

import re
import secrets
import time
import uuid
from collections.abc import Callable, Mapping

from syncapp.core.change import Row
from syncapp.core.clock import SERVER_NODE, Clock
from syncapp.core.entity import Entity
from syncapp.core.merge import merge
from syncapp.core.messages import Limits
from syncapp.core.outbox import Entry, overlay

from .errors import StoreMismatch, ValueRefused
from .specs import entities_from, united
from .store import Key, Meta, Store

CONFLICT = "conflict"  # the entity of the server's notes about overruled values


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


def new_uuid() -> str:
    return str(uuid.uuid4())


def _label(text: str) -> str:
    """What the wire takes as a name: no control characters, at most 120."""
    text = text.encode("utf-8", "replace").decode()
    return re.sub(r"[\x00-\x1f\x7f]", "", text).strip()[:120]


def _household_name(text: str | None) -> str | None:
    if text is None:
        return None
    if not _label(text):
        raise ValueRefused("required", "A household needs a name.")
    return _label(text)


class Ground:
    """A device of one household.

    household: its UUID, if the device joins one; with household_name (and no UUID) it is
    born here. Both are only needed for a store that nobody has used yet; a store of another
    household raises StoreMismatch.
    entities: what the program knows (with the rules that do not travel), by name.
    wall_ms, new_id, token: the wall clock (milliseconds since 1970 UTC), a new UUID and n
    random bytes as hex; a simulation passes its own.
    """

    def __init__(
        self,
        store: Store,
        household: str | None = None,
        *,
        household_name: str | None = None,
        entities: Mapping[str, Entity] | None = None,
        name: str = "",
        app: str = "finwise-device",
        wall_ms: Callable[[], int] = wall_clock_ms,
        new_id: Callable[[], str] = new_uuid,
        token: Callable[[int], str] = secrets.token_hex,
    ) -> None:
        self.store = store
        self.wall_ms, self.new_id, self.token = wall_ms, new_id, token
        self.program_entities = dict(entities or {})
        # Rows whose look has changed since somebody last asked (`watch`).
        self.changed: set[Key] = set()
        self.sent = self.received = 0
        self.limits = Limits()
        # How much of what the protocol allows goes into one frame, 0 < portion <= portion_max <= 1:
        # less where the network is slow or breaks, or somebody on the way takes no larger ones.
        self.portion = self.portion_max = 1.0
        with store.transaction():
            self._settle_in(household, household_name, _label(name), _label(app))
        self._known_version: str | None = None
        self._entities: dict[str, Entity] = {}

    def _settle_in(
        self, household: str | None, household_name: str | None, name: str, app: str
    ) -> None:
        meta = self.store.meta()
        if meta is None:
            household = household or self.new_id()
            self.store.put_meta(
                Meta(
                    household=household,
                    household_name=_household_name(household_name),
                    import_space=household,
                    device=self.new_id(),
                    node=self._new_node(),
                    name=name,
                    app=app,
                )
            )
        elif household is not None and household != meta.household:
            raise StoreMismatch(
                f"The store {self.store.path} belongs to the household {meta.household}, not to"
                f" {household}. Use another store for that one; nothing was changed."
            )
        elif (name and name != meta.name) or app != meta.app:
            meta.name, meta.app = name or meta.name, app
            self.store.put_meta(meta)

    def _new_node(self) -> str:
        node = self.token(8)
        return node if node != SERVER_NODE else self._new_node()

    @property
    def meta(self) -> Meta:
        """Read anew: another program may use the same store."""
        meta = self.store.meta()
        assert meta is not None  # noqa: S101  made above
        return meta

    @property
    def entities(self) -> dict[str, Entity]:
        """What the program or the server knows; empty before the first welcome otherwise."""
        version = self.meta.version
        if version != self._known_version:
            told = entities_from(self.store.note("entities") or {})
            self._entities = united(self.program_entities, told)
            self._known_version = version
        return self._entities

    def told_fields(self, entity: str) -> frozenset[str] | None:
        """The fields that the server says it knows; None if it does not know the entity."""
        told = entities_from(self.store.note("entities") or {}).get(entity)
        return None if told is None else frozenset(told.fields)

    def corrected_ms(self, meta: Meta) -> int:
        """The server's time, as far as this device can tell."""
        return self.wall_ms() + meta.offset_ms

    def clock(self, meta: Meta) -> Clock:
        return Clock(meta.node, meta.clock)

    def own_nodes(self, meta: Meta) -> set[str]:
        return {meta.node, *meta.former_nodes}

    # --- rows as their person sees them ----------------------------------------------------

    def _ground_row(self, key: Key) -> Row | None:
        """The base, with what is on its way to a restored server."""
        base, heal = self.store.base_or_kept_row(key), self.store.heal_row(key)
        return base if heal is None else merge(base, heal)

    def row(self, entity: str, row_id: str) -> Row | None:
        """One row with the queue laid over it, tombstone or not; None if unknown."""
        key = (entity, row_id)
        if not self.store.shows(key):
            return None
        return overlay(self._ground_row(key), self.store.entries_of(key))

    def rows(self, entity: str, *, with_deleted: bool = False) -> list[Row]:
        """All rows of an entity with the queue laid over them."""
        rows = {row.id: row for row in self.store.base_rows(entity)}
        for heal in self.store.heal_rows_of(entity):
            rows[heal.id] = merge(rows.get(heal.id), heal)
        queued: dict[str, list[Entry]] = {}
        for entry in self.store.entries_over(entity):
            queued.setdefault(entry.row_id, []).append(entry)
        for row_id, entries in queued.items():
            shown = overlay(rows.get(row_id), entries)
            assert shown is not None  # noqa: S101  there is at least one entry
            rows[row_id] = shown
        return [row for row in rows.values() if with_deleted or row.is_here]

    def drain_changed(self) -> set[Key]:
        """The rows whose look has changed since the last call."""
        changed, self.changed = self.changed, set()
        return changed
