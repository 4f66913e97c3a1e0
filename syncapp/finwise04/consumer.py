"""The edge for FinWise 0.4 apps: ASGI messages in, their frames out. Decides nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.http import parse_cookie

from tenants.authentication import Refusal, Visitor
from tenants.browsers import browser_of

from .. import fanout, metrics
from ..consumers import BAD_FRAMES_MAX, SyncConsumer
from ..core.errors import (
    BadFrame,
    HostileFrame,
    Internal,
    NotYours,
    Restarting,
    SignIn,
    SyncError,
)
from ..dialects import finwise04 as dialect
from ..haste import TokenBucket
from .conversation import AppConversation

log = logging.getLogger(__name__)

# A household may be announced later, but nobody waits for ever.
WAIT_S = 600
# A load costs the server the whole household.
LOADS_PER_SECOND, LOADS_BURST = 1, 10
_FAMILIES = (("Firefox/", "Firefox"), ("Edg/", "Edge"), ("OPR/", "Opera"), ("Chrome/", "Chrome"),
             ("Safari/", "Safari"))  # fmt: skip


class AppConsumer(SyncConsumer):
    """One socket of an app, from its handshake to its end."""

    def __init__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        super().__init__(scope, receive, send)
        self.is_ended = False  # by us: then nothing more is taken
        self._loads = TokenBucket(LOADS_PER_SECOND, LOADS_BURST)
        self._heard_s = 0.0
        self._first_look: asyncio.Task[None] | None = None

    async def run(self) -> None:
        if (await self._receive())["type"] != "websocket.connect":
            return
        if not settings.FINWISE04_ENABLED:
            await self._asgi_send({"type": "websocket.close"})
            return
        conversation = await self._open_app()
        if conversation is None:
            return
        self._conversation = conversation
        try:
            fanout.hub().wait(conversation)
        except SyncError as error:
            await self.fail(error)
            return
        self._first_look = conversation.spawn(conversation.look())
        wait_timer = asyncio.get_running_loop().call_later(
            WAIT_S, lambda: conversation.spawn(conversation.end_unless_greeted())
        )
        try:
            # To the last frame that has arrived, also if the app has gone meanwhile.
            while (event := await self._receive())["type"] == "websocket.receive":
                # Not closed for haste: what the app has sent after a week offline would be lost.
                await self._bucket.wait()
                async with self.busy:
                    self._heard_s = asyncio.get_running_loop().time()
                    if not self.is_ended:
                        await self._app_frame(conversation, event.get("text"))
                    self._heard_s = asyncio.get_running_loop().time()
        finally:
            self._is_open, self.is_ended = False, True
            wait_timer.cancel()
            conversation.leave()

    async def _open_app(self) -> AppConversation | None:
        """Accept; a browser cannot read a refused handshake."""
        visitor = await self._visitor(also=settings.FINWISE04_ORIGINS)
        if isinstance(visitor, Refusal) and visitor.is_outright:
            log.info("a socket was refused: %s", visitor.reason)
            await self._asgi_send({"type": "websocket.close", "code": 4403})
            return None
        await self._asgi_send({"type": "websocket.accept", "subprotocol": None})
        self._is_open = True
        if isinstance(visitor, SyncError):
            await self.fail(visitor, close_code=Restarting.close_code)
            return None
        if isinstance(visitor, Refusal):
            await self.fail(SignIn())
            return None
        tenant_id: UUID = self._scope["url_route"]["kwargs"]["tenant_id"]
        headers = {name.lower(): value.decode("latin-1") for name, value in self._scope["headers"]}
        browser = _browser(headers, visitor)
        return AppConversation(self, tenant_id, visitor, browser, _name(headers))

    async def _app_frame(self, conversation: AppConversation, text: str | None) -> None:
        try:
            await self._until_looked()
            if not conversation.is_greeted:
                # An app says nothing before it is told `online`.
                raise NotYours()
            await conversation.hear(dialect.text_to_said(text))
            self._bad_frames = 0
        except BadFrame as error:
            # No entry, or one that does not say which: nobody waits for an answer. What is bad
            # in an entry is told by its nack, and does not count.
            metrics.note_refused_frame(error.code)
            self._bad_frames += 1
            await self.fail(error if self._bad_frames <= BAD_FRAMES_MAX else HostileFrame())
        except SyncError as error:
            await self.fail(error)
        except ConnectionError:
            self._is_open = False
        except Exception:
            # Neither the frame itself, which holds people's money, nor a nack, which is final.
            log.exception("handling a frame of an app failed")
            metrics.note_refused_frame(Internal.code)
            await self.fail(Internal())

    async def _until_looked(self) -> None:
        """The household is looked for while the app already sends (which it should not)."""
        if self._first_look is not None:
            await asyncio.wait([self._first_look])
            self._first_look = None

    async def fail(self, error: SyncError, of: str = "", *, close_code: int | None = None) -> None:
        await self.tell(dialect.error(error.message))
        code = error.close_code or close_code
        if code is not None:
            await self.close(code)

    async def tell(self, frame: dialect.Told) -> None:
        """Send a frame; waits while the peer does not read. Quiet when closed."""
        await self.send_text(msgspec.json.encode(frame).decode())

    async def close(self, code: int) -> None:
        self.is_ended = True
        await super().close(code)

    async def may_load(self) -> None:
        await self._loads.wait()

    async def until_quiet(self, quiet_s: float, at_most_s: float) -> None:
        """Return when no frame has come for so long, and none is in hand."""
        loop = asyncio.get_running_loop()
        started_s = self._heard_s = max(loop.time(), self._heard_s)
        while self._is_open and loop.time() < started_s + at_most_s:
            left_s = self._heard_s + quiet_s - loop.time()
            if left_s <= 0 and not self.busy.locked():
                return
            await asyncio.sleep(max(left_s, 0.05))


def _browser(headers: Mapping[bytes, str], visitor: Visitor) -> str:
    cookies = parse_cookie(headers.get(b"cookie", ""))
    key = visitor.session_key or f"token {visitor.token_id}"
    return browser_of(cookies.get(settings.FINWISE04_BROWSER_COOKIE), key)


def _name(headers: Mapping[bytes, str]) -> str:
    """As the device is listed: the app, and the kind of browser."""
    agent = headers.get(b"user-agent", "")
    family = next((name for sign, name in _FAMILIES if sign in agent), "")
    return f"{dialect.APP} ({family})" if family else dialect.APP
