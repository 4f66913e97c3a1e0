"""The way in from the network: HTTP goes to Django's views, sockets to syncapp's consumers."""

import os
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "finwise.settings")

# Loads the apps, so it has to come before the import of anything that holds models.
pages = get_asgi_application()

from syncapp.routing import websocket_urlpatterns  # noqa: E402


async def nowhere(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Refuse a socket whose path leads nowhere, where Channels would log a traceback."""
    await receive()
    await send({"type": "websocket.close"})


application = ProtocolTypeRouter(
    {"http": pages, "websocket": URLRouter([*websocket_urlpatterns, re_path("", nowhere)])}
)
