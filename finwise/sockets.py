"""How much one frame may hold, by the address of its socket."""

from __future__ import annotations

from django.conf import settings
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from syncapp.dialects.finwise04 import FRAME_MAX_BYTES as FINWISE04_FRAME_MAX_BYTES

FINWISE04_SOCKETS = "/ws_finwise/"


class Socket(WebSocketsSansIOProtocol):
    """Uvicorn's socket; those of FinWise 0.4 apps take larger frames than ours.

    A frame above the limit ends its socket, and with it everything that lies behind it. That app
    never sends again what was not answered, and its frames hold images as large as people choose.
    """

    def handle_connect(self, event: Request) -> None:
        if settings.FINWISE04_ENABLED and event.path.startswith(FINWISE04_SOCKETS):
            self.conn.max_message_size = FINWISE04_FRAME_MAX_BYTES
        super().handle_connect(event)
