"""What a device was shown of a row, for devices that tell neither stamps nor fields written.

Such a device always sends the whole row, with the time of the version that was edited. So
each version that may still be edited is remembered: a field that is as it was shown was not
written. Values are kept as digests; nothing here is an amount or a name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.change import EXISTS, pack_stamps, unpack_stamps
from ..core.clock import NO_STAMP

# Of one row. The oldest is what the edits of a device that has not been answered yet build on:
# it stays. Of those after it the oldest go first; the one before stands for one that is gone.
VERSIONS_MAX = 16


def digest_of(text: str) -> str:
    """16 hex digits that stand for a value."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


@dataclass(slots=True)
class Version:
    """A row as the device holds it from `ms` on, in the times that the device is told.

    held: digest by field; empty: the row is gone there. stamps: of the same fields and of
    `exists`, as the server has them for what is held.
    """

    ms: int
    held: dict[str, str] = field(default_factory=dict)
    stamps: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Shown:
    """All that is remembered of one row for one device.

    told_ms: the newest time that the device was told, or has said, of this row; whatever
    it is told next is later. last_stamp: the newest stamp that was minted for its changes;
    last_entry_ms: the newest time at which, by its own clock, they were made.
    """

    entity: str
    id: str
    told_ms: int = 0
    last_stamp: str = NO_STAMP
    last_entry_ms: int = 0
    versions: list[Version] = field(default_factory=list)

    def version_at(self, ms: int) -> Version | None:
        """The version that was the newest at that time, or else the oldest that is known."""
        found = None
        for version in self.versions:
            if found is not None and version.ms > ms:
                break
            found = version
        return found

    def tell(
        self, now_ms: int, held: Mapping[str, str], stamps: Mapping[str, str], after_ms: int = 0
    ) -> int:
        """Note that the device is shown this now; returns the time to tell it, a fresh one.

        after_ms: the time must be later than this, too.
        """
        self.told_ms = max(now_ms, self.told_ms + 1, after_ms + 1)
        last = self.versions[-1] if self.versions else None
        version = _version(self.told_ms, held, stamps)
        if last is None or last.held != version.held or last.stamps != version.stamps:
            self._put(version)
        return self.told_ms

    def hear(self, ms: int, held: Mapping[str, str], stamps: Mapping[str, str]) -> None:
        """Note that the device itself has made this of the version of `ms`.

        What it was told after that version, it may hold instead: that stays.
        """
        before = self.version_at(ms)
        later = [each for each in self.versions if each.ms > ms]
        if before is not None and before.ms <= ms and not (later and later[0].ms == ms + 1):
            # The same row may have been told again since, under a later time.
            later.insert(0, Version(ms + 1, before.held, before.stamps))
        # Entries come in the order in which they were made: none builds on an older one any more.
        # What comes twice is known by its id.
        self.versions = [_version(ms, held, stamps), *later[-VERSIONS_MAX + 1 :]]
        self.told_ms = max(self.told_ms, ms)

    def _put(self, version: Version) -> None:
        self.versions.append(version)
        if len(self.versions) > VERSIONS_MAX:
            del self.versions[1]

    # --- as it is stored

    def to_plain(self) -> list[list[Any]]:
        """The versions as plain JSON, their stamps packed."""
        return [[each.ms, each.held, *pack_stamps(each.stamps)] for each in self.versions]

    @classmethod
    def from_plain(
        cls,
        entity: str,
        row_id: str,
        told_ms: int,
        last_stamp: str,
        last_entry_ms: int,
        plain: list[list[Any]],
    ) -> Shown:
        versions = [
            Version(ms, held, unpack_stamps({**held, EXISTS: ""}, common, exceptions))
            for ms, held, common, exceptions in plain
        ]
        return cls(entity, row_id, told_ms, last_stamp, last_entry_ms, versions)


def _version(ms: int, held: Mapping[str, str], stamps: Mapping[str, str]) -> Version:
    names = (*held, EXISTS)
    return Version(ms, dict(held), {name: stamps.get(name, NO_STAMP) for name in names})
