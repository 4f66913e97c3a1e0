"""The two actions that speak with a server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from syncapp.core.change import EXISTS

from ..client import DeviceClient, Look, SyncReport
from ..ground import CONFLICT
from ..replica import Replica
from ..store import Key, Store
from . import showing

REACH_S = 5.0  # how long to try when no server answers
TOLD_SINGLY_MAX = 20  # catching up after a week is one line, not a thousand


def client(url: str, token: str, store: Store, replica: Replica) -> Callable[[], DeviceClient]:
    """How to make the client, once there is an event loop."""
    return lambda: DeviceClient(url, token, store, entities=replica.program_entities, compress=True)


def sync(make: Callable[[], DeviceClient], patience_s: float) -> SyncReport:
    """Sync once, with a bar on a terminal."""

    async def work() -> SyncReport:
        async with make() as device:
            replica = device.replica
            with tqdm(desc="syncing", unit=" rows", disable=None, leave=False) as bar:

                def progress() -> None:
                    bar.total = replica.pending + replica.sent + replica.received
                    bar.update(replica.sent + replica.received - bar.n)

                return await device.sync(patience_s=patience_s, reach_s=REACH_S, progress=progress)

    return asyncio.run(work())


def watch(
    make: Callable[[], DeviceClient], say: Callable[[str, Any], None], *, is_json: bool
) -> None:
    """Tell what changes, until the person has seen enough.

    say: takes a line for people and a value for scripts.
    """

    async def work() -> None:
        async with make() as device:
            replica = device.replica
            known = {
                (row.entity, row.id): dict(row.fields)
                for entity in replica.entities or ("account", "account_group")
                for row in replica.rows(entity, with_deleted=True)
            }
            last = ""
            async for look in device.watch():
                told = []
                for key in sorted(look.changed):
                    row = replica.row(*key)
                    line = showing.difference(known.get(key), row, key[0])
                    known[key] = dict(row.fields) if row is not None else {}
                    if line and key[0] != CONFLICT:
                        told.append((line, showing.row_to_json(row) if row else _gone(key)))
                if len(told) > TOLD_SINGLY_MAX and not is_json:
                    say(f"  {len(told)} rows changed", None)
                else:
                    for line, value in told:
                        say(line, value)
                standing = _standing(look)
                if standing != last:
                    last = standing
                    state = {"status": look.phase, "upToDate": look.is_up_to_date}
                    counts = {"pending": look.pending, "refused": look.refused}
                    say(f"  {standing}", {**state, **counts, "reason": look.reason})

    asyncio.run(work())


def _gone(key: Key) -> dict[str, Any]:
    return {"entity": key[0], "id": key[1], EXISTS: False}


def _standing(look: Look) -> str:
    if look.phase == "stopped":
        return f"stopped: {showing.reason_in_words(look.reason)}"
    if look.phase in ("offline", "connecting"):
        waiting = f"; {showing.plural(look.pending, 'change')} kept" if look.pending else ""
        return f"offline, trying again by itself{waiting}"
    if look.is_up_to_date:
        refused = f"; {showing.plural(look.refused, 'change')} refused" if look.refused else ""
        return f"up to date{refused}"
    return "syncing"
