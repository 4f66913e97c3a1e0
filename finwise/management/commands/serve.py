import contextlib
import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from finwise.serving import reserve, serve


class Command(BaseCommand):
    help = (
        "Answer the network: pages and sockets, until Ctrl-C. Expects migrated tables; "
        "script/server does that too."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *, host: str, port: int, **options: Any) -> None:
        # `kill` ends us like Ctrl-C: in order. uvicorn puts these back when it is done.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        listener = reserve(host, port)
        self.stderr.write(f"Serving on http://{host}:{listener.getsockname()[1]}")
        with contextlib.suppress(KeyboardInterrupt):
            serve(listener)
