"""What the app in the browser asks about a household over HTTP: its devices.

Beside `tenants/api.py`, which tells who is signed in; both lie below `/api/`.
"""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET

from tenants.api import not_found, problem, signed_in
from tenants.authentication import role_of
from tenants.context import call_in_tenant
from tenants.roster import names_of

from .core.errors import NotYours, SyncError
from .overview import Overview, read_overview


@signed_in
@require_GET
def devices(request: HttpRequest, household: UUID) -> HttpResponse:
    """The devices of a household, for its members: whose, and when each was last heard."""
    if role_of(request.user.pk, household) is None:
        return not_found()
    try:
        overview = call_in_tenant(household, _read, household, read_only=True)
    except NotYours:
        return not_found()
    except SyncError as error:
        return problem(503, error.code, error.message)
    active = [each for each in overview.devices if not each.is_revoked]
    names = names_of({UUID(each.user_id) for each in active})
    return JsonResponse(
        [
            {
                "id": each.id,
                "name": each.name,
                "user": names.get(UUID(each.user_id), ""),
                "userId": each.user_id,
                "isOnline": each.is_online,
                "lastSyncMs": each.last_seen_ms or None,
                "pending": each.pending,
                "pendingToldMs": overview.at_ms - each.told_age_ms,
            }
            for each in active
        ],
        safe=False,
    )


def _read(connection: object, household: UUID) -> Overview:
    return read_overview(connection, household, with_history=False)


urlpatterns = [
    path("households/<uuid:household>/devices", devices, name="api-household-devices"),
]
