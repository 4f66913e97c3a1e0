"""Who the device is and how far it has come, and other single notes."""

from __future__ import annotations

from typing import Any

import msgspec

from .database import Database
from .packing import to_json


class Meta(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Who this device is and how far it has come.

    household_name: until a server has acknowledged a household that was born here.
    import_space: names of imported rows are made from it; outlives a move of the household.
    clock: the newest stamp given or heard. offset_ms: server's clock minus this one's;
    offset_samples: what it is the median of, newest last.
    cursor, read_seq: how far the server has been read; with is_walking, what was read last
    lies in the staging. cursor_before: how far it had been when a reset was noted, until the
    snapshot's first page. anchor: of the newest ack. reset: a reset that is not complete.
    is_heal_open: the server waits for the end of the heal list. role, version, url: as last
    told.
    """

    household: str
    household_name: str | None = None
    import_space: str
    device: str
    node: str
    former_nodes: list[str] = []
    name: str = ""
    app: str = ""
    clock: str = ""
    offset_ms: int = 0
    offset_samples: list[int] = []
    next_number: int = 1
    cursor: str | None = None
    cursor_before: str | None = None
    read_seq: int = 0
    is_walking: bool = False
    anchor: str = ""
    reset: str | None = None
    is_heal_open: bool = False
    role: str = "owner"
    version: str = ""
    url: str = ""


_decode_meta = msgspec.json.Decoder(Meta).decode


class Notes(Database):
    def meta(self) -> Meta | None:
        """None in a store that nobody has used yet."""
        found = self.run("SELECT value FROM meta WHERE key = 'device'").fetchone()
        return None if found is None else _decode_meta(found[0])

    def put_meta(self, meta: Meta) -> None:
        self.put_note("device", meta)

    def note(self, key: str) -> Any:
        """Any JSON value that is kept beside the meta; None if there is none."""
        found = self.run("SELECT value FROM meta WHERE key = ?", key).fetchone()
        return None if found is None else msgspec.json.decode(found[0])

    def put_note(self, key: str, value: Any) -> None:
        self.run("REPLACE INTO meta (key, value) VALUES (?, ?)", key, to_json(value).decode())
