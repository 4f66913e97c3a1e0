"""Answering the network: one process, uvicorn, and an end that loses nothing."""

import asyncio
import contextlib
import gc
import logging
import resource
import socket
from typing import Any

import uvicorn
from django.conf import settings
from django.db import connections

from finwise.configuration import keep_connections
from finwise.monitoring import answer_prometheus
from finwise.problem import Problem
from finwise.sockets import Socket

log = logging.getLogger(__name__)

FRAME_MAX_BYTES = 1024 * 1024
PING_EVERY_S = 20  # and as long again for the answer: then the socket is gone
# For sockets to finish the batch in hand; a batch takes a fraction of a second.
SHUTDOWN_TIMEOUT_S = 10
BACKLOG = 2048
# Who does not take the end of his connection, or does not get to his first request, is dropped
# after this or twice this. asyncio and uvicorn would wait for both for ever.
LINGER_S = 10
PORT_MAX = 65_535
GARBAGE_AFTER = 20_000  # objects more than before, Python's own is 700


def reserve(host: str, port: int) -> socket.socket:
    """Take the address before the long work begins; nobody can connect yet.

    port: 0 for any that is free. Raises Problem if it is none, or another program has it.
    """
    # The system would take what is left of a larger one after its lowest 16 bits, and serve there.
    if not 0 <= port <= PORT_MAX:
        raise Problem(
            f"There is no port {port}: they end at {PORT_MAX}. Choose another: --port 8000"
        )
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise Problem(f"There is no address {host!r} on this machine.") from error
    listener = socket.socket(family, kind, proto)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        # Without this, a second program could still take the same address before we serve.
        listener.listen(BACKLOG)
    except PermissionError as error:
        raise Problem(
            f"This user may not serve on port {port}. Choose one above 1023: --port 8000"
        ) from error
    except OSError as error:
        listener.close()
        raise Problem(
            f"Port {port} on {host} is taken by another program (perhaps a FinWise that is "
            f"already running). Stop that one, or choose another port: --port {port + 1}"
        ) from error
    return listener


def serve(listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM; a second Ctrl-C does not wait for anybody.

    Raises KeyboardInterrupt after an end by SIGINT.
    """
    connections.close_all()
    keep_connections(settings.DATABASES["default"])
    allow_many_sockets()
    answer_prometheus(settings.METRICS_HOST, settings.METRICS_PORT)
    Server(config()).run(sockets=[listener])


def config() -> uvicorn.Config:
    """How we serve; tests serve in the same way."""
    logging.getLogger("uvicorn.error").addFilter(is_about_us)
    return uvicorn.Config(
        "finwise.asgi:application",
        # Pushes back on a client that does not read, at twice the messages per CPU second.
        ws=Socket,
        ws_max_size=FRAME_MAX_BYTES,
        ws_ping_interval=PING_EVERY_S,
        ws_ping_timeout=PING_EVERY_S,
        # A compressor for each socket would cost more memory than everything else about it.
        ws_per_message_deflate=False,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=settings.IS_BEHIND_PROXY,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
        backlog=BACKLOG,
    )


def is_about_us(record: logging.LogRecord) -> bool:
    """A peer that sends no UTF-8 is answered 1007; uvicorn would log it with a traceback."""
    return not str(record.msg).startswith("Invalid UTF-8")


def does_linger(connection: Any) -> bool:
    """Whether a connection is only waited for: it is closing, or has not asked for anything."""
    # A WebSocket's request has been read, or an HTTP connection has had one.
    has_asked = getattr(connection, "handshake_initiated", False) or getattr(
        connection, "cycle", None
    )
    return connection.transport.is_closing() or not has_asked


class Server(uvicorn.Server):
    """Says goodbye to every socket before uvicorn cuts them off, and drops who lingers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._lingering: set[asyncio.Transport] = set()
        self._next_look_s = 0.0

    async def on_tick(self, counter: int) -> bool:
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._next_look_s:
            self._next_look_s = now_s + LINGER_S
            self._drop_who_lingers()
        return await super().on_tick(counter)

    def _drop_who_lingers(self) -> None:
        connections = self.server_state.connections
        lingering = {each.transport for each in connections if does_linger(each)}
        for transport in lingering & self._lingering:
            transport.abort()
        self._lingering = lingering

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # Everything loaded so far stays for good. Looking through it in each full collection
        # was a fifth of the work of a long push.
        gc.collect()
        gc.freeze()
        # A push of 500 makes some ten thousand objects and no cycles; by default it would be
        # looked through a dozen times while it is being written.
        gc.set_threshold(GARBAGE_AFTER)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        from syncapp import fanout

        for server in self.servers:
            server.close()
        goodbye = asyncio.ensure_future(fanout.shutdown())
        deadline_s = asyncio.get_running_loop().time() + SHUTDOWN_TIMEOUT_S
        while not (goodbye.done() or self.force_exit):
            if asyncio.get_running_loop().time() > deadline_s:
                break
            await asyncio.wait([goodbye], timeout=0.1)
        goodbye.cancel()
        # Whatever went wrong with the goodbye: uvicorn still has to close everything.
        for problem in await asyncio.gather(goodbye, return_exceptions=True):
            if isinstance(problem, Exception):
                log.error("saying goodbye to the sockets failed", exc_info=problem)
        await super().shutdown(sockets)


def allow_many_sockets() -> None:
    """Every socket is an open file, and many systems begin with 1,024 of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
