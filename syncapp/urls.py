"""Pages about how households are."""

from django.urls import path

from .views import status

urlpatterns = [
    path("", status.households, name="sync-households"),
    path("<uuid:tenant_id>/", status.household, name="sync-household"),
    path("<uuid:tenant_id>/now/", status.sync_now, name="sync-now"),
]
