"""A real server for tests: uvicorn with the options of production, on a thread of this process.

Its event loop is its own, so tests stay plain functions that wait for frames, and may look
into the server with `run`.
"""

from __future__ import annotations

import asyncio
import io
import socket
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from uuid import UUID

from syncapp import fanout
from tenants import context

Result = TypeVar("Result")
PATIENCE_S = 20
LOOK_EVERY_S = 0.005


class ServerThread:
    """Serves on a free port of this machine until `stop`.

    ping_s: the time between two WebSocket pings, and for the answer. buffer_bytes: what the
    kernel takes for a peer that does not read.
    """

    def __init__(self, ping_s: float | None = None, buffer_bytes: int | None = None) -> None:
        from finwise.serving import Server, config, reserve

        self._listener = reserve("127.0.0.1", 0)
        self.port: int = self._listener.getsockname()[1]
        self._config = config()
        if ping_s is not None:
            self._config.ws_ping_interval = self._config.ws_ping_timeout = ping_s
        if buffer_bytes is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        self.uvicorn = Server(self._config)
        self._is_up = threading.Event()
        self.loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=self._serve, name="server", daemon=True)
        self._thread.start()
        assert self._is_up.wait(PATIENCE_S)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=self._config.get_loop_factory()) as runner:
            self.loop = runner.get_loop()
            self.loop.call_soon(self._note_tasks)
            runner.run(self.uvicorn.serve(sockets=[self._listener]))

    def _note_tasks(self) -> None:
        self._from_the_start = asyncio.all_tasks()
        self._is_up.set()

    def stop(self) -> None:
        """As SIGTERM does. Waits for as long as a server may take to say goodbye, and to close."""
        from finwise.serving import SHUTDOWN_TIMEOUT_S

        self.uvicorn.should_exit = True
        self._thread.join(2 * SHUTDOWN_TIMEOUT_S + PATIENCE_S)
        if self._thread.is_alive():
            said = io.StringIO()
            for task in asyncio.all_tasks(self.loop):
                task.print_stack(file=said)
            state = vars(self.uvicorn.server_state)
            raise AssertionError(f"it does not end, {state}:\n{said.getvalue()}")

    # --- looking inside

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in the server's loop and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(2 * PATIENCE_S)

    def ask(self, function: Callable[..., Result], *args: Any) -> Result:
        """Call a function in the server's loop."""

        async def call() -> Result:
            return function(*args)

        return self.run(call())

    def hub(self) -> fanout.Hub:
        return self.ask(fanout.hub)

    def wait_for(self, condition: Callable[[fanout.Hub], bool]) -> None:
        """Return when this is true of the hub."""
        self.run(_until(lambda: condition(fanout.hub())))

    def settle(self, tenant_id: UUID) -> None:
        """Return when the household's room has nothing left to tell anybody."""
        self.run(_settled(tenant_id))

    def wait_until_idle(self) -> None:
        """Return when every socket has ended and left nothing behind; what stays is a leak."""
        try:
            self.run(_until(lambda: not self._what_runs()))
        except TimeoutError:
            raise AssertionError(self.ask(self._what_runs)) from None
        # What was cancelled may still be on a worker.
        all_are_free = threading.Barrier(context.WORKERS)
        for future in [context._workers.submit(all_are_free.wait) for _ in range(context.WORKERS)]:
            future.result(PATIENCE_S)

    def _what_runs(self) -> list[object]:
        tasks = asyncio.all_tasks() - self._from_the_start - {asyncio.current_task()}
        return [*tasks, *fanout.hub().rooms]


async def _until(condition: Callable[[], bool]) -> None:
    """Return when this is true, looked at in the server's loop.

    Asking from another thread without a pause would hand the interpreter to and fro between the
    two, and a worker that connects to the database would not get it for many seconds.
    """
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - of the product, which tells nobody
            await asyncio.sleep(LOOK_EVERY_S)


async def _settled(tenant_id: UUID) -> None:
    # Twice: what a delivery sends may run beside it, and wake it once more.
    for _ in range(2):
        room = fanout.hub().rooms.get(tenant_id)
        if room is None:
            return
        busy = [room.delivery] if room.delivery is not None else []
        busy += [task for socket in room.sockets for task in socket.tasks]
        if busy:
            await asyncio.wait(busy, timeout=PATIENCE_S)
