"""The status page's socket: tells how a household is whenever something of it may have changed.

The page only reads. What it is sent is what the server would render on a reload; so there is
one template, and nothing to keep alike. News may be lost: it looks by itself, too.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import translation

from tenants.authentication import Refusal, Visitor, claim_of, is_still_valid, visitor_of
from tenants.context import run_in_public

from .. import fanout
from ..consumers import Receive, Send
from ..core.errors import HostileFrame, NotYours, SignIn, SyncError, TooFast
from .picture import people_of, picture_of
from .status import look, may_see

log = logging.getLogger(__name__)

PROTOCOL = "finwise.status.v1"
LOOK_EVERY_S = 5.0
# Two hundred devices that answer within a second are a few pictures, not two hundred.
PAUSE_S = 0.3
INTERNAL_CLOSE = 1011
STILL = "{}"
# Each open page looks every few seconds; a person has a handful.
PAGES_MAX = 20  # of one person in this process

_pages: Counter[UUID] = Counter()


class StatusSocket:
    """One open page."""

    def __init__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._tenant_id: UUID = scope["url_route"]["kwargs"]["tenant_id"]
        self._language = _language(scope)
        self._stirred = asyncio.Event()
        self._told = ""

    @classmethod
    def as_asgi(cls) -> Any:
        async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
            await cls(scope, receive, send).run()

        return application

    async def run(self) -> None:
        if (await self._receive())["type"] != "websocket.connect":
            return
        visitor = await self._open()
        if visitor is None:
            return
        if _pages[visitor.user_id] >= PAGES_MAX:
            await self._close(TooFast.close_code or INTERNAL_CLOSE)
            return
        _pages[visitor.user_id] += 1
        hub = fanout.hub()
        hub.watch(self._tenant_id, self._stirred.set)
        telling = asyncio.ensure_future(self._tell(visitor))
        hearing = asyncio.ensure_future(self._hear())
        try:
            await asyncio.wait({telling, hearing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hub.unwatch(self._tenant_id, self._stirred.set)
            _pages[visitor.user_id] -= 1
            if not _pages[visitor.user_id]:
                del _pages[visitor.user_id]
            for task in (telling, hearing):
                task.cancel()
            await asyncio.gather(telling, hearing, return_exceptions=True)

    async def _open(self) -> Visitor | None:
        """Accept and begin, or say why not. A foreign Origin is refused outright."""
        visitor = await self._visitor()
        if isinstance(visitor, Refusal) and visitor.is_outright:
            log.info("a status socket was refused: %s", visitor.reason)
            await self._close(NotYours.close_code)
            return None
        speaks = PROTOCOL in self._scope.get("subprotocols", ())
        await self._send({"type": "websocket.accept", "subprotocol": PROTOCOL if speaks else None})
        if isinstance(visitor, Visitor):
            return visitor
        code = visitor.close_code if isinstance(visitor, SyncError) else SignIn.close_code
        await self._close(code or INTERNAL_CLOSE)
        return None

    async def _visitor(self) -> Visitor | Refusal | SyncError:
        claim = claim_of(self._scope)
        if isinstance(claim, Refusal):
            return claim  # without a worker or the database
        try:
            return await run_in_public(visitor_of, self._scope)
        except SyncError as error:
            return error

    async def _hear(self) -> None:
        """Return when the page has gone. A page says nothing; whoever does is none of ours."""
        if (await self._receive())["type"] != "websocket.disconnect":
            await self._close(HostileFrame.close_code or INTERNAL_CLOSE)

    async def _tell(self, visitor: Visitor) -> None:
        """Tell until the page may not look any more."""
        try:
            while True:
                self._stirred.clear()
                text = await self._picture(visitor)
                # What has not changed is not sent again, but that is said: silence is no news.
                frame = STILL if text == self._told else text
                self._told = text
                await self._send({"type": "websocket.send", "text": frame})
                await asyncio.sleep(PAUSE_S)
                try:
                    async with asyncio.timeout(LOOK_EVERY_S - PAUSE_S):
                        await self._stirred.wait()
                except TimeoutError:
                    pass
        except SyncError as error:
            if error.close_code is None:
                # The page says that it is not live, and comes again.
                log.info("looking at a household failed: %s", error.code)
            await self._close(error.close_code or INTERNAL_CLOSE)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("telling how a household is failed")
            await self._close(INTERNAL_CLOSE)

    async def _picture(self, visitor: Visitor) -> str:
        """The page's live part. Raises SignIn and NotYours as soon as they are true."""
        newest = fanout.hub().newest(self._tenant_id)
        return await run_in_public(_render, visitor, self._tenant_id, newest, self._language)

    async def _close(self, code: int) -> None:
        try:
            await self._send({"type": "websocket.close", "code": code})
        except Exception as error:  # each ASGI server has its own for a socket that is gone
            log.debug("a status socket went away while closing: %r", error)


def _render(visitor: Visitor, tenant_id: UUID, newest: Any, language: str) -> str:
    if not is_still_valid(visitor):
        raise SignIn()
    is_visible, is_operator = may_see(visitor.user_id, tenant_id)
    if not is_visible:
        raise NotYours()
    overview = look(tenant_id, newest)
    with translation.override(language):
        picture = picture_of(overview, people_of(overview), for_operator=is_operator)
        html = render_to_string("sync/_live.html", picture)
        said = f"{picture['light_name']}. {picture['sentence']}"
        if picture["asked"]:
            said = f"{said} {picture['asked']['sentence']}"
    return json.dumps({"html": html, "said": said})


def _language(scope: dict[str, Any]) -> str:
    """The page's own language, which it names in the address."""
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("lang", [""])[0]
    return asked if asked in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE
