"""How many workers one household may occupy at a time; the rest of it waits in the event loop.

Without this, a household that imports ten thousand rows would fill every worker, and
everybody else would wait behind it.
"""

from __future__ import annotations

import asyncio
from uuid import UUID
from weakref import WeakKeyDictionary, WeakValueDictionary

# The head's lock lets only one write of a household proceed anyway; a second worker would
# just sleep in PostgreSQL.
WRITES_AT_ONCE = 1
# Half of the workers: ten devices that load for the first time leave room for others.
READS_AT_ONCE = 4

_Key = tuple[UUID, bool]
# A semaphore belongs to one event loop, and lives as long as somebody holds or awaits it.
_by_loop: WeakKeyDictionary[
    asyncio.AbstractEventLoop, WeakValueDictionary[_Key, asyncio.Semaphore]
] = WeakKeyDictionary()


def turns_of(tenant_id: UUID, *, write: bool) -> asyncio.Semaphore:
    """Return what to acquire, in the running loop, before a household's call takes a worker."""
    turns = _by_loop.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    key = (tenant_id, write)
    turn = turns.get(key)
    if turn is None:
        turns[key] = turn = asyncio.Semaphore(WRITES_AT_ONCE if write else READS_AT_ONCE)
    return turn
