"""Which socket leads where. The household is named by its UUID; whether it is yours is
decided by the membership in the database."""

from django.urls import path

from .consumers import SyncConsumer

websocket_urlpatterns = [path("ws/sync/<uuid:tenant_id>/", SyncConsumer.as_asgi())]
