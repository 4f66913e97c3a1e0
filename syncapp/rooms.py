"""One household's sockets in this process: who is due a page or news, and when.

A page is read and encoded once for all sockets that stand at the same place.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from tenants.context import run_in_tenant
from tenants.names import schema_name

from . import engine
from .core import messages
from .core.cursor import Cursor, end_of
from .core.errors import NotYours, Restarting, SyncError
from .core.records import Head
from .deliveries import Deliveries
from .repository import PostgresRepository, WirePages

if TYPE_CHECKING:
    from .conversation import Conversation

log = logging.getLogger(__name__)

Place = tuple[Cursor | None, int]  # where a socket stands, and how many rows it takes at once


class Belief(NamedTuple):
    """What a room takes for true at a moment: the newest seq heard, the head last read."""

    seq: int
    head: Head | None


class Room:
    """The sockets of one household in this process, and the newest seq heard."""

    def __init__(self, tenant_id: UUID) -> None:
        self.tenant_id = tenant_id
        self.head = 0
        self.sockets: set[Conversation] = set()
        self.delivery: asyncio.Task[None] | None = None
        self.deliveries = Deliveries()
        self._is_awake = False
        self._has_begun = False
        self._read_head: Head | None = None

    # --- what is heard

    def heard(self, seq: int) -> None:
        """The household is at least at this seq."""
        if seq > self.head:
            if self._has_begun:  # the first is where the household stood, not news
                self.deliveries.committed(seq)
            self.head = seq
            self.wake()
        self._has_begun = True

    def belief(self) -> Belief:
        return Belief(self.head, self._read_head)

    def learn(self, head: Head, before: Belief) -> None:
        """Take a head from a read that began when `before` was believed.

        Such a read sees all that was committed before it began. If it does not, the database
        was restored under us, or somebody told of a seq that never was.
        """
        if before.head is not None and _is_another_past(before.head, head):
            log.warning("the household %s was restored", schema_name(self.tenant_id))
            self.head, self._read_head = head.seq, head
            for socket in tuple(self.sockets):
                socket.end_soon(Restarting("The household was restored; connect again."))
            return
        if self._read_head is None or head.seq >= self._read_head.seq:
            self._read_head = head
        if head.seq < self.head == before.seq:
            self.head = head.seq
        self.heard(head.seq)

    # --- what is told

    def wake(self) -> None:
        """Look whether any socket is due something."""
        self._is_awake = True
        if self.delivery is None or self.delivery.done():
            self.delivery = asyncio.ensure_future(self._deliver())

    async def _deliver(self) -> None:
        # Looks once more before it ends: a head may be heard while pages are being sent.
        while self._is_awake:
            self._is_awake = False
            for (cursor, limit), group in self._due().items():
                await self._give(cursor, limit, group)
            for socket in self.sockets:
                if not socket.may_get_rows and socket.position < end_of(self.head):
                    socket.give_news(self.head)

    def _due(self) -> dict[Place, list[tuple[Conversation, int]]]:
        """Sockets that get a page, together where they stand at the same place.

        Each with its number of pulls: one that pulls again meanwhile stands elsewhere.
        """
        head = end_of(self.head)
        groups: dict[Place, list[tuple[Conversation, int]]] = defaultdict(list)
        for socket in self.sockets:
            if socket.may_get_rows and (socket.is_asked or socket.position < head):
                # The whole cursor: one whose anchor does not hold must neither be carried
                # along by the others nor take them with it.
                groups[(socket.cursor, socket.limit)].append((socket, socket.pulls))
        return groups

    async def _give(
        self, cursor: Cursor | None, limit: int, group: list[tuple[Conversation, int]]
    ) -> None:
        """Read and encode the page behind `cursor` for all who (still) stand there."""
        users = {socket.user_id for socket, _ in group}
        anchors = {socket.anchor for socket, _ in group}
        before = self.belief()
        page: engine.Page | None = None
        members: dict[str, str] = {}
        lost: set[str] = set()
        error: SyncError = Restarting()
        try:
            page, members, lost = await run_in_tenant(
                self.tenant_id,
                _read,
                self.tenant_id,
                cursor,
                limit,
                users,
                anchors,
                read_only=True,
            )
        except engine.CursorLost:
            error = Restarting("Connect again: what you have read does not hold.")
        except SyncError as failure:
            error = failure
        except Exception:
            log.exception("reading changes failed")
        text = messages.encode(frame_of(page)) if page is not None else ""
        for socket, pulls in group:
            if socket not in self.sockets:
                continue
            if socket.pulls != pulls:
                self._is_awake = True
            elif page is None:
                socket.lose_page(error)
            elif socket.user_id not in members:
                socket.lose_page(NotYours())
            elif socket.anchor in lost:
                socket.lose_page(Restarting("The household was restored; connect again."))
            else:
                socket.give_page(page, text)
        if page is not None:
            self.learn(page.head, before)


def frame_of(page: engine.Page) -> messages.Changes:
    """The page as it is told."""
    return messages.Changes(
        rows=page.rows,
        start=page.start,
        to=page.to,
        cursor=page.cursor.to_text(),
        more=page.more,
        head=page.head.seq,
    )


def head_and_readers(
    connection: Any, tenant_id: UUID, users: set[str], devices: set[str]
) -> tuple[Head, dict[str, str], set[str]]:
    """The head, the roles of those of these users who may read, and which of these devices
    are revoked."""
    repository = PostgresRepository(connection, schema_name(tenant_id))
    return repository.read_head(), repository.members(users), repository.revoked(devices)


def _read(
    connection: Any,
    tenant_id: UUID,
    cursor: Cursor | None,
    limit: int,
    users: set[str],
    anchors: set[str],
) -> tuple[engine.Page, dict[str, str], set[str]]:
    """One page, who of those waiting for it is still a member, and which of their acks were
    given in another past, in one snapshot."""
    repository = WirePages(connection, schema_name(tenant_id))
    head = repository.read_head()
    page = engine.page_after(repository, head, cursor, limit)
    lost = {each for each in anchors if engine.is_lost(repository, head, each)}
    return page, repository.members(users), lost


def _is_another_past(known: Head, read: Head) -> bool:
    """Whether a household at `read` cannot have been at `known`, as far as both tell."""
    if read.epoch != known.epoch or read.seq < known.seq:
        return True
    return read.seq == known.seq and read.fingerprint != known.fingerprint
