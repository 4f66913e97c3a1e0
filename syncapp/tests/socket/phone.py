"""A device that speaks the protocol over a real socket, and nothing more.

It keeps no rows and decides nothing: a test says what it sends, and looks at every frame.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
import uuid
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from syncapp.core import messages
from syncapp.core.clock import Clock

PATIENCE_S = 20
# The library logs a socket that is cut in the middle of a frame as a fault of its own. Tests that
# look for tracebacks look for the server's.
QUIET = logging.getLogger("phone")
QUIET.disabled = True
Frame = dict[str, Any]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def dial(
    url: str,
    tenant_id: uuid.UUID | str,
    *,
    token: str | None = None,
    query: str = "",
    protocols: list[str] | None = None,
    headers: dict[str, str] | None = None,
    **options: Any,
) -> ClientConnection:
    """Open a socket to a household. Without a token, whatever `headers` say."""
    headers = dict(headers or {})
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return connect(
        f"{url}/ws/sync/{tenant_id}/{query}",
        additional_headers=headers,
        subprotocols=[messages.PROTOCOL] if protocols is None else protocols or None,
        compression=None,
        max_size=None,
        open_timeout=PATIENCE_S,
        legacy=True,
        logger=QUIET,
        **options,
    )


class Phone:
    """One device of one household."""

    def __init__(self, url: str, tenant_id: uuid.UUID | str, token: str) -> None:
        self.url, self.tenant_id, self.token = url, tenant_id, token
        self.id = str(uuid.uuid4())
        self.node = secrets.token_hex(8)
        self.clock = Clock(self.node)
        self.number = 0
        self.acknowledged = 0
        self.cursor: str | None = None
        self.anchor = ""  # of the newest ack
        self.socket: ClientConnection | None = None

    # --- the socket

    def connect(self, **options: Any) -> Phone:
        self.hang_up()
        self.socket = dial(self.url, self.tenant_id, token=self.token, **options)
        return self

    def hang_up(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def say(self, frame: Frame | str | bytes) -> None:
        assert self.socket is not None
        self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    def hear(self, patience_s: float = PATIENCE_S) -> Frame:
        """The next frame, whatever it is."""
        assert self.socket is not None
        return json.loads(self.socket.recv(timeout=patience_s))

    def expect(self, kind: str, **fields: Any) -> Frame:
        """The next frame, which has to be this one."""
        frame = self.hear()
        assert frame["type"] == kind, frame
        assert {name: frame.get(name) for name in fields} == fields, frame
        return frame

    def hear_until(self, kind: str) -> Frame:
        """The next frame of this type; others before it are passed over."""
        while (frame := self.hear())["type"] != kind:
            pass
        return frame

    def hear_close(self) -> tuple[list[Frame], int]:
        """Everything up to the end of the socket, and its close code."""
        frames = []
        try:
            while True:
                frames.append(self.hear())
        except ConnectionClosed as closed:
            return frames, closed.rcvd.code if closed.rcvd else 1006

    def refused(self) -> tuple[str, int]:
        """The code of the error that ends the conversation, and the close code."""
        frames, code = self.hear_close()
        assert [frame["type"] for frame in frames] == ["error"], frames
        return frames[0]["code"], code

    # --- the conversation

    def hello(self, **changes: Any) -> Frame:
        """Say hello and return the welcome."""
        self.say(self.hello_frame(**changes))
        return self.expect("welcome")

    def hello_frame(self, **changes: Any) -> Frame:
        return {
            "type": "hello",
            "device": self.id,
            "node": self.node,
            "cursor": self.cursor,
            "acknowledged": self.acknowledged,
        } | changes

    def online(self, **changes: Any) -> Phone:
        """Connect, greet and read everything."""
        self.connect().hello(**changes)
        self.catch_up()
        return self

    def pull(self, *, ask: bool = True, **changes: Any) -> None:
        self.say({"type": "pull", "cursor": self.cursor, "ask": ask} | changes)

    def take(self) -> Frame:
        """The next frame, which has to bring changes; remembers its cursor."""
        frame = self.expect("changes")
        self.cursor = frame["cursor"]
        return frame

    def catch_up(self) -> list[Frame]:
        """Pull until there is no more, and give credit for the last page; returns the rows.

        What others commit between the greeting and the pull is news first.
        """
        self.pull()
        rows: list[Frame] = []
        while True:
            page = self.hear_until("changes")
            self.cursor = page["cursor"]
            rows += page["rows"]
            if page["rows"] or page["more"]:
                self.pull(ask=False)
            if not page["more"]:
                return rows

    def take_live(self) -> list[Frame]:
        """The rows of the next frame, which comes by itself; gives credit for it."""
        page = self.take()
        self.pull(ask=False)
        return page["rows"]

    def change(
        self, kind: str, entity: str, row_id: str, fields: Frame | None = None, **more: Any
    ) -> Frame:
        self.number += 1
        stamp = self.clock.tick(now_ms())
        return {
            "number": self.number,
            "entity": entity,
            "id": row_id,
            "kind": kind,
            "stamp": stamp,
            "fields": fields or {},
        } | more

    def new_group(self, name: str, row_id: str | None = None) -> Frame:
        return self.change("create", "account_group", row_id or str(uuid.uuid4()), {"name": name})

    def push(self, *changes: Frame) -> None:
        frame = {"type": "push", "changes": list(changes), "acknowledged": self.acknowledged}
        self.say(frame)

    def push_and_settle(self, *changes: Frame) -> list[Frame]:
        """Push, hear the ack (and nothing else), and return the results."""
        self.push(*changes)
        ack = self.hear_until("ack")
        self.anchor = ack["anchor"]
        self.acknowledged = self.number
        return ack["results"]

    def ping(self) -> Frame:
        """A ping and its pong, which has to be the next frame: nothing else was on its way."""
        self.say({"type": "ping"})
        return self.expect("pong")
