"""What people do at their devices: everything that the replica lets them do."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

from syncapp.device.errors import DeviceError

from .device import Device
from .typed import FIELDS, NEW_FIELD, choose_fields


class Person:
    """rows: the ids that may come to be; the same ones on all devices, as importers make them.

    bad: the probability of a value that has to be refused.
    """

    def __init__(self, rng: random.Random, rows: dict[str, list[str]], bad: float) -> None:
        self.rng, self.rows, self.bad = rng, rows, bad

    def act(self, device: Device) -> str:
        """Do something; returns what, in words. May raise DeviceCrash."""
        entity = self._entity()
        rows = device.replica.rows(entity, with_deleted=True)
        here = sorted(row.id for row in rows if row.is_here)
        gone = sorted(row.id for row in rows if not row.is_here)
        verbs: list[Any] = [partial(self._create, entity=entity)]
        if here:
            row_id = self.rng.choice(here)
            of_row = [self._edit] * 4 + [self._delete] * 2 + [self._look]
            verbs += [partial(verb, entity=entity, row_id=row_id) for verb in of_row]
        if gone:
            row_id = self.rng.choice(gone)
            verbs += [partial(self._revive, entity=entity, row_id=row_id)]
        if device.replica.conflicts():
            verbs += [self._use_mine] * 2 + [self._dismiss]
        if device.replica.refused():
            verbs += [self._edit_again, self._discard]
        verb = self.rng.choice(verbs)
        before = device.queue()
        words = getattr(verb, "func", verb).__name__[1:]
        try:
            words = verb(device)
        except DeviceError as error:
            words = f"{words} is not possible: {error.code}"
            assert device.queue() == before
        finally:  # also after a crash: the store knows whether it came before the commit
            device.note_made(before)
        return words

    def _names(self, device: Device, entity: str, count: int) -> list[str]:
        names = list(FIELDS[entity])
        knows_more = NEW_FIELD[1] in getattr((device.program or {}).get(NEW_FIELD[0]), "fields", ())
        if entity == NEW_FIELD[0] and knows_more:
            names += [NEW_FIELD[1]] * 3
        return list(dict.fromkeys(self.rng.choices(names, k=count)))

    def _values(self, device: Device, entity: str, count: int) -> dict[str, Any]:
        names = self._names(device, entity, count)
        groups = self.rows["account_group"]
        return dict(choose_fields(self.rng, entity, names, groups, self.bad))

    def _entity(self) -> str:
        return self.rng.choice(["account", "account", "account_group"])

    def _create(self, device: Device, entity: str) -> str:
        row_id = self.rng.choice(self.rows[entity])
        fields = self._values(device, entity, self.rng.randint(0, 4))
        if self.rng.random() < 0.95:
            names = choose_fields(self.rng, entity, ["name"], [], self.bad)
            fields.update(names)
        device.replica.create(entity, fields, row_id)
        return f"creates {entity} {row_id[:4]} {fields}"

    def _edit(self, device: Device, entity: str, row_id: str) -> str:
        fields = self._values(device, entity, self.rng.choice([1, 1, 1, 2, 3]))
        shown = device.shown.get((entity, row_id)) if self.rng.random() < 0.3 else None
        device.replica.edit(entity, row_id, fields, shown=shown)
        late = " as he saw it before" if shown else ""
        return f"edits {entity} {row_id[:4]} {fields}{late}"

    def _delete(self, device: Device, entity: str, row_id: str) -> str:
        device.replica.delete(entity, row_id)
        return f"deletes {entity} {row_id[:4]}"

    def _revive(self, device: Device, entity: str, row_id: str) -> str:
        fields = self._values(device, entity, self.rng.choice([0, 1, 2]))
        if self.rng.random() < 0.5:
            device.replica.edit(entity, row_id, fields, revives=True)
            return f"revives {entity} {row_id[:4]} {fields}"
        fields.setdefault("name", "Giro")
        device.replica.create(entity, fields, row_id)
        return f"creates again {entity} {row_id[:4]} {fields}"

    def _look(self, device: Device, entity: str, row_id: str) -> str:
        row = device.replica.row(entity, row_id)
        if row is not None:
            device.shown[entity, row_id] = dict(row.stamps)
        return f"looks at {entity} {row_id[:4]}"

    def _use_mine(self, device: Device) -> str:
        conflict = self.rng.choice(device.replica.conflicts())
        device.replica.use_mine(conflict.id)
        return f"takes back {conflict.field}"

    def _dismiss(self, device: Device) -> str:
        conflict = self.rng.choice(device.replica.conflicts())
        device.replica.dismiss(conflict.id)
        return f"dismisses a conflict about {conflict.field}"

    def _edit_again(self, device: Device) -> str:
        entry = self.rng.choice(device.replica.refused())
        fields = self._values(device, entry.entity, 1) if self.rng.random() < 0.7 else {}
        if entry.kind != "delete" and entry.entity in FIELDS:
            fields = {name: value for name, value in fields.items() if name in entry.fields} or {
                "name": "Giro"
            }
        device.replica.edit_again(entry.local, fields)
        return f"edits again what was refused ({entry.code}) {fields}"

    def _discard(self, device: Device) -> str:
        entry = self.rng.choice(device.replica.refused())
        device.replica.discard(entry.local)
        return f"discards what was refused ({entry.code})"
