"""What a device keeps: one SQLite file that survives a crash at any step.

Knows tables, decides nothing. Several programs may use one store (an importer beside a
running `watch`), so nothing is cached here: what must hold together is read and written
inside one `transaction()`.

    database.py  transactions, errors in words      schema.py  tables and their versions
    notes.py     identity, clock, cursor             rows.py    base and staging
    queue.py     the outbox                          heal.py    rows for a restored server
"""

from __future__ import annotations

from .heal import HealRow
from .notes import Meta, Notes
from .packing import Key
from .queue import Queue
from .rows import BaseRows


class Store(Notes, BaseRows, Queue):
    """One device's store. Constructor: see `database.Database`."""


__all__ = ["HealRow", "Key", "Meta", "Store"]
