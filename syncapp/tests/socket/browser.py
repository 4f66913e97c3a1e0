"""A browser with a FinWise 0.4 app in it: its cookies, its HTTP requests, its socket.

What the app keeps and how it takes what it is told is `syncapp.tests.finwise04.app`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from http.cookies import SimpleCookie
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from syncapp.tests.finwise04.app import AppStore, Frame

PATIENCE_S = 20
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Browser:
    """One browser profile. `origin` is the page's; None sends none, as no browser does."""

    def __init__(self, port: int, origin: str | None = "") -> None:
        self.port = port
        self.origin = f"http://127.0.0.1:{port}" if origin == "" else origin
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of one request, as the app's `fetch` makes it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        sent = {"Content-Type": "application/json", "User-Agent": AGENT}
        if self.origin is not None and method != "GET":
            sent["Origin"] = self.origin
        sent |= self.cookie_header() | headers
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, sent)
        response = connection.getresponse()
        content = response.read()
        for value in response.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(value).items():
                self.cookies[name] = morsel.value
        connection.close()
        return response.status, json.loads(content) if content else None

    def cookie_header(self) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": cookies} if cookies else {}

    def register(self, name: str, email: str, password: str = "ein geheimes Wort") -> Any:
        status, person = self.ask(
            "POST", "/register", {"name": name, "email": email, "password": password}
        )
        assert status == 201, person
        return person

    def log_in(self, who: str, password: str = "ein geheimes Wort") -> Any:
        body = {"username_or_email": who.lower(), "password": password}
        status, person = self.ask("POST", "/login", body)
        assert status == 200, person
        return person

    def announce(self, tenant_id: str, name: str, user_id: str) -> Any:
        body = {"uuid": tenant_id, "name": name, "user_id": user_id}
        status, tenant = self.ask("POST", "/tenants", body)
        assert status == 200, tenant
        return tenant

    def open_socket(self, tenant_id: str) -> ClientConnection:
        return connect(
            f"ws://127.0.0.1:{self.port}/ws_finwise/ws/{tenant_id}",
            origin=self.origin,
            additional_headers=self.cookie_header(),
            user_agent_header=AGENT,
            compression=None,
            max_size=None,
            open_timeout=PATIENCE_S,
            legacy=True,
        )


class App(AppStore):
    """The app in a browser, with one household open. Its clock may be off."""

    def __init__(self, browser: Browser, tenant_id: str, clock_ms: int = 0) -> None:
        super().__init__(tenant_id, lambda: now_ms() + self.clock_ms)
        self.browser = browser
        self.clock_ms = clock_ms
        self.socket: ClientConnection | None = None
        self.heard: list[Frame] = []
        self.close_code = 0

    # --- the connection

    def connect(self) -> None:
        self.socket = self.browser.open_socket(self.tenant_id)

    def come_online(self) -> None:
        """Connect, be told `online`, ask for everything, send what waits."""
        self.connect()
        self.hear_until("status")
        assert self.status == "online", self.heard[-1]
        self.say(self.connected())
        self.send_pending()

    def hang_up(self) -> None:
        if self.socket is not None:
            self.socket.close()
        self.socket = None
        self.status = ""

    def say(self, frame: Frame | str) -> None:
        assert self.socket is not None
        with contextlib.suppress(ConnectionClosed):  # a browser sends into a closing socket, too
            self.socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    def send_pending(self) -> int:
        """What the app does every 5 seconds; returns how many entries went."""
        frames = list(self.poll())
        for frame in frames:
            self.say(frame)
        return len(frames)

    # --- hearing

    def hear_one(self, patience_s: float = PATIENCE_S) -> Frame | None:
        """The next frame; None once the socket is closed."""
        assert self.socket is not None
        try:
            frame = json.loads(self.socket.recv(patience_s))
        except ConnectionClosed as closed:
            self.close_code = closed.rcvd.code if closed.rcvd else 1006
            return None
        self.heard.append(frame)
        self.hear(frame)
        return frame

    def hear_until(self, kind: str) -> Frame:
        while (frame := self.hear_one()) is not None:
            if frame.get("type") == kind or frame.get("event_type") == kind:
                return frame
        raise AssertionError(f"closed with {self.close_code} before {kind}")

    def hear_close(self) -> int:
        while self.hear_one() is not None:
            pass
        return self.close_code

    def is_silent(self) -> bool:
        """Whether nothing is said for a moment in which everything would be said."""
        assert self.socket is not None
        try:
            self.socket.recv(0.3)
        except TimeoutError:
            return True
        return False

    def mark(self) -> None:
        """Hear everything that was sent before this moment, and its answers."""
        self.say({"type": "ping", "timestamp": now_ms()})
        self.hear_until("pong")

    def sync(self) -> None:
        """Send what waits, and hear all answers."""
        self.send_pending()
        while any(each["status"] == "processing" for each in self.queue):
            assert self.hear_one() is not None, self.close_code

    def await_(self, condition: Any) -> None:
        """Hear frames until this is true."""
        while not condition():
            assert self.hear_one() is not None, f"closed with {self.close_code}"
