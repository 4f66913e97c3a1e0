"""What the app in the browser asks over HTTP: who is signed in, which devices this browser is, and
the name of a household.

Everything that a household contains travels over the socket. Whatever writes needs Django's CSRF
token, and the Origin that its middleware checks. No answer is kept by anybody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from syncapp.core.messages import PROTOCOL
from tenants.authentication import role_of
from tenants.known_devices import KnownDevice, known_devices, remember_device
from tenants.models import Membership, Tenant

NAME_MAX_CHARACTERS = 120
BODY_MAX_BYTES = 4096
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

View = Callable[..., HttpResponse]


def problem(status: int, code: str, message: str) -> JsonResponse:
    """What went wrong: a code for the app, and a sentence for its log."""
    return JsonResponse({"code": code, "message": message}, status=status)


def not_found() -> JsonResponse:
    """Alike for a household that is unknown, deleted, or somebody else's."""
    return problem(404, "not_yours", "There is no such household for you.")


def signed_in(view: View) -> View:
    """A program is told to sign in by a status, not by a page."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return problem(401, "sign_in", "Sign in first.")
        return view(request, *args, **kwargs)

    return never_cache(answer)


@never_cache
@require_GET
def session(request: HttpRequest) -> HttpResponse:
    """Who is signed in, and with which households; also when nobody is."""
    user = request.user
    person = None
    households: list[dict[str, str]] = []
    devices: list[dict[str, str]] = []
    if user.is_authenticated:
        person = {"id": str(user.id), "email": user.email, "name": user.display_name}
        memberships = (
            Membership.objects.filter(user=user)
            .exclude(tenant__status=Tenant.Status.DELETED)
            .select_related("tenant")
            .order_by("tenant__name", "tenant_id")
        )
        households = [
            {
                "id": str(each.tenant_id),
                "name": each.tenant.name,
                "role": each.role,
                "status": each.tenant.status,
            }
            for each in memberships
        ]
        devices = [
            {"household": str(each.household), "device": str(each.device)}
            for each in known_devices(request)
            if each.user == user.pk
        ]
    return JsonResponse(
        {
            "user": person,
            "csrfToken": get_token(request),
            "households": households,
            "devices": devices,
            "version": PROTOCOL,
            "signInUrl": reverse("account_login"),
            "accountUrl": reverse("account"),
        }
    )


@signed_in
@require_POST
def rename(request: HttpRequest, household: UUID) -> HttpResponse:
    """Give a household another name; its owners may."""
    role = role_of(request.user.pk, household)
    if role is None:
        return not_found()
    if role != Membership.Role.OWNER:
        return problem(403, "forbidden", "Only an owner may rename the household.")
    name = _name_in(request)
    if name is None:
        return problem(422, "required", f"A name of 1 to {NAME_MAX_CHARACTERS} characters.")
    # The right is asked for once more, by the statement that makes use of it.
    mine = Membership.objects.filter(user=request.user.pk, role=Membership.Role.OWNER)
    renamed = Tenant.objects.filter(pk=household, memberships__in=mine)
    if not renamed.exclude(status=Tenant.Status.DELETED).update(name=name):
        return problem(403, "forbidden", "Only an owner may rename the household.")
    return JsonResponse({"id": str(household), "name": name})


@signed_in
@require_POST
def device(request: HttpRequest, household: UUID) -> HttpResponse:
    """This browser is a device of the household: its cookie will tell."""
    if role_of(request.user.pk, household) is None:
        return not_found()
    try:
        named = UUID(_text_in(request, "device") or "")
    except ValueError:
        return problem(422, "required", "The UUID of a device.")
    response = HttpResponse(status=204)
    remember_device(request, response, KnownDevice(request.user.pk, household, named))
    return response


def _name_in(request: HttpRequest) -> str | None:
    name = _text_in(request, "name")
    if name is None or _CONTROL.search(name):
        return None
    return name.strip() if 0 < len(name.strip()) <= NAME_MAX_CHARACTERS else None


def _text_in(request: HttpRequest, field: str) -> str | None:
    if request.content_type != "application/json" or len(request.body) > BODY_MAX_BYTES:
        return None
    try:
        text = json.loads(request.body)[field]
        text.encode()  # a lone surrogate cannot be stored
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return text if isinstance(text, str) else None


urlpatterns = [
    path("session", session, name="api-session"),
    path("households/<uuid:household>/name", rename, name="api-household-name"),
    path("households/<uuid:household>/device", device, name="api-household-device"),
]
