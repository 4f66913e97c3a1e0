"""A client that opens a socket, talks, and never reads again. Its kernel buffers little."""

from __future__ import annotations

import json
import socket
from typing import Any

from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from syncapp.core import messages
from syncapp.tests.socket.phone import Phone


class Deaf:
    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        port = int(phone.url.rpartition(":")[2])
        self._raw = socket.socket()
        self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._raw.settimeout(20)
        self._raw.connect(("127.0.0.1", port))
        uri = parse_uri(f"{phone.url}/ws/sync/{phone.tenant_id}/")
        self._protocol = ClientProtocol(uri, subprotocols=[messages.PROTOCOL])  # type: ignore[list-item]
        request = self._protocol.connect()
        request.headers["Authorization"] = f"Bearer {phone.token}"
        self._protocol.send_request(request)
        self._send()
        while not self._protocol.handshake_exc and self._protocol.state.name == "CONNECTING":
            self._protocol.receive_data(self._raw.recv(1))
            self._protocol.events_received()
        self.say(phone.hello_frame())

    def say(self, frame: dict[str, Any]) -> None:
        self._protocol.send_text(json.dumps(frame).encode())
        self._send()

    def _send(self) -> None:
        for data in self._protocol.data_to_send():
            self._raw.sendall(data)

    def close(self) -> None:
        self._raw.close()
