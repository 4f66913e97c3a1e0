"""Which socket leads where. The household is named by its UUID; whether it is yours is
decided by the membership in the database."""

from django.urls import path

from .consumers import SyncConsumer
from .finwise04.consumer import AppConsumer
from .views.live import StatusSocket

websocket_urlpatterns = [
    path("ws/sync/<uuid:tenant_id>/", SyncConsumer.as_asgi()),
    path("ws/status/<uuid:tenant_id>/", StatusSocket.as_asgi()),
    # FinWise 0.4 apps; refused unless FINWISE04_ENABLED.
    path("ws_finwise/ws/<uuid:tenant_id>", AppConsumer.as_asgi()),
]
