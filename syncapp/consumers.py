"""The edge: ASGI messages in, frames out. Decides nothing about households.

A plain ASGI application rather than a Channels consumer class: those wait on the channel
layer for every socket, and ours hears from it once per process (`fanout.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from tenants.authentication import Refusal, Visitor, claim_of, visitor_of
from tenants.context import run_in_public
from tenants.doors import note_turned_away

from . import haste, metrics
from .conversation import TOO_FAST_PAUSE_MS, Conversation
from .core import messages
from .core.errors import (
    HostileFrame,
    Internal,
    Restarting,
    SignIn,
    SyncError,
    TooFast,
    UpgradeNeeded,
)

log = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

# A client that sends nothing but nonsense is not one of ours.
BAD_FRAMES_MAX = 20


class SyncConsumer:
    """One socket, from its handshake to its end."""

    def __init__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._asgi_send = send
        self._is_open = False
        self._conversation: Conversation | None = None
        self._bucket = haste.TokenBucket(messages.FRAMES_PER_SECOND, messages.FRAMES_BURST)
        self._bad_frames = 0
        # Held while a frame is being handled: whoever closes waits for the batch in hand.
        self.busy = asyncio.Lock()

    @classmethod
    def as_asgi(cls) -> Callable[[dict[str, Any], Receive, Send], Awaitable[None]]:
        async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
            await cls(scope, receive, send).run()

        return application

    async def run(self) -> None:
        if (await self._receive())["type"] != "websocket.connect":
            return
        conversation = self._conversation = await self._open()
        if conversation is None:
            return
        hello_timer = asyncio.get_running_loop().call_later(
            messages.HELLO_TIMEOUT_S,
            lambda: conversation.spawn(conversation.end_unless_greeted()),
        )
        try:
            while (event := await self._receive())["type"] == "websocket.receive":
                async with self.busy:
                    # Closed by us, perhaps while this frame waited: it settles nothing.
                    if self._is_open:
                        await self._frame(conversation, event.get("text"))
        finally:
            self._is_open = False
            hello_timer.cancel()
            conversation.leave()

    async def _open(self) -> Conversation | None:
        """Accept and begin, or say why not. A browser cannot read a refused handshake."""
        visitor = await self._visitor()
        if isinstance(visitor, Refusal) and visitor.is_outright:
            log.info("a socket was refused: %s", visitor.reason)
            await self._asgi_send({"type": "websocket.close", "code": 4403})
            return None
        speaks = messages.PROTOCOL in self._scope.get("subprotocols", ())
        await self._asgi_send(
            {"type": "websocket.accept", "subprotocol": messages.PROTOCOL if speaks else None}
        )
        self._is_open = True
        if isinstance(visitor, SyncError):
            await self.fail(visitor, close_code=Restarting.close_code)
        elif isinstance(visitor, Refusal):
            await self.fail(SignIn())
        elif not speaks:
            error = UpgradeNeeded(f"This server speaks {messages.PROTOCOL}.")
            await self._note_turned_away(visitor, error)
            await self.fail(error)
        if not self._is_open:
            return None
        self._bucket = haste.bucket_for(
            visitor.user_id, messages.FRAMES_PER_SECOND, messages.FRAMES_BURST
        )
        tenant_id: UUID = self._scope["url_route"]["kwargs"]["tenant_id"]
        return Conversation(self, tenant_id, visitor)

    async def _visitor(self, also: Sequence[str] = ()) -> Visitor | Refusal | SyncError:
        """also: origins whose pages may open this socket, besides ours."""
        claim = claim_of(self._scope, also)
        if isinstance(claim, Refusal):
            return claim  # without a worker or the database
        try:
            return await run_in_public(visitor_of, self._scope, also)
        except SyncError as error:
            log.info("a visitor could not be looked up: %s", error.code)
            return error
        except Exception:
            log.exception("looking up a visitor failed")
            return Internal()

    async def _frame(self, conversation: Conversation, text: str | None) -> None:
        """Handle one frame; whatever goes wrong has a code, and the socket its answer."""
        try:
            if not self._bucket.take():
                haste.remember(conversation.visitor.user_id, self._bucket)
                raise TooFast(retry_after_ms=TOO_FAST_PAUSE_MS)
            frame = messages.text_to_up(text)
            await conversation.handle(frame)
            self._bad_frames = 0
        except SyncError as error:
            self._bad_frames += not error.retryable
            if self._bad_frames > BAD_FRAMES_MAX and error.close_code is None:
                error = HostileFrame()
            metrics.note_refused_frame(error.code)
            if not conversation.is_greeted and not error.retryable:
                await self._note_turned_away(conversation.visitor, error)
            await self.fail(error, of=messages.type_of_text(text or ""))
        except ConnectionError:
            self._is_open = False
        except Exception:
            # Never the frame itself: it holds people's money.
            log.exception("handling a frame failed")
            metrics.note_refused_frame(Internal.code)
            await self.fail(Internal(), of=messages.type_of_text(text or ""))

    async def _note_turned_away(self, visitor: Visitor, error: SyncError) -> None:
        """For those who look after the household: it is no device of theirs yet."""
        tenant_id: UUID = self._scope["url_route"]["kwargs"]["tenant_id"]
        try:
            await run_in_public(note_turned_away, tenant_id, visitor.user_id, error.code)
        except SyncError as trouble:
            log.info("who was turned away could not be noted: %s", trouble.code)

    async def fail(self, error: SyncError, of: str = "", *, close_code: int | None = None) -> None:
        """Tell the peer what happened and, if the error ends the conversation, close.

        close_code: close with this one, if the error has none of its own.
        """
        await self.send(
            messages.Error(
                code=error.code,
                message=error.message,
                of=of,
                retryable=error.retryable,
                retry_after_ms=error.retry_after_ms or 0,
            )
        )
        code = error.close_code or close_code
        if code is not None:
            await self.close(code)

    async def send(self, frame: Any) -> None:
        await self.send_text(messages.encode(frame))

    async def send_text(self, text: str) -> None:
        """Send an encoded frame; waits while the peer does not read. Quiet when closed."""
        if not self._is_open:
            return
        try:
            await self._asgi_send({"type": "websocket.send", "text": text})
        except Exception as error:  # each ASGI server has its own for a socket that is gone
            log.debug("a socket went away while sending: %r", error)
            self._is_open = False

    async def close(self, code: int) -> None:
        if not self._is_open:
            return
        self._is_open = False
        if self._conversation is not None:
            self._conversation.leave_room()
        try:
            await self._asgi_send({"type": "websocket.close", "code": code})
        except Exception as error:
            log.debug("a socket went away while closing: %r", error)
