"""The status page: for members their households, for operators all; everything of each, live.

Works without JavaScript: each page is complete when it comes, and asks the same again on reload.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Page, Paginator
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from tenants import audit, summaries
from tenants.context import call_in_tenant
from tenants.models import Membership, Summary, Tenant, User
from tenants.rights import may_help, may_look_after

from .. import summarising
from ..core.errors import SyncError
from ..curing import ask_to_sync
from ..light import Light
from ..overview import Overview, read_overview
from . import wording
from .picture import people_of, picture_of

PAGE = 25
# Old summaries that the list renews itself; each takes some milliseconds.
RENEWED_BY_A_PAGE = 8


@require_GET
@never_cache
@login_required
def households(request: HttpRequest) -> HttpResponse:
    """The list: one query, however many households there are."""
    query = request.GET.get("q", "").replace("\0", "").strip()[:200]
    found = _visible(request.user).order_by("name", "id")
    if query:
        found = found.filter(_matching(query))
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    summarising.summarise([each.id for each in page], RENEWED_BY_A_PAGE)
    shown = _with_summaries(page)
    context = {
        "page": page,
        "households": [_line(each) for each in shown],
        "query": query,
        "is_operator": may_look_after(request.user),
    }
    return render(request, "sync/households.html", context)


@require_GET
@never_cache
@login_required
def household(request: HttpRequest, tenant_id: UUID) -> HttpResponse:
    """One household as it is now."""
    tenant = _one_visible(request.user, tenant_id)
    try:
        overview = look(tenant_id)
    except SyncError as error:
        context = {"tenant": tenant, "trouble": error.message}
        return render(request, "sync/away.html", context, status=503)
    picture = picture_of(overview, people_of(overview), for_operator=may_look_after(request.user))
    context = picture | {"tenant": tenant, "may_ask": _may_ask(request.user, tenant)}
    return render(request, "sync/household.html", context)


@require_POST
@never_cache
@login_required
def sync_now(request: HttpRequest, tenant_id: UUID) -> HttpResponse:
    """Ask the household's devices to sync; whoever sent this without a page gets JSON."""
    tenant = _one_visible(request.user, tenant_id)
    if not _may_ask(request.user, tenant):
        audit.note_refusal(audit.Action.SYNC_NOW, tenant, request.user)
        raise PermissionDenied
    wants_json = request.headers.get("Accept", "").startswith("application/json")
    try:
        request_id = _ask(request.user, tenant)
    except SyncError as error:
        if wants_json:
            return JsonResponse({"error": error.message}, status=503)
        messages.error(request, error.message)
    else:
        if wants_json:
            return JsonResponse({"request": request_id})
        messages.success(request, _("All connected devices were asked to sync now."))
    return HttpResponseRedirect(reverse("sync-household", args=[tenant.id]))


def _ask(user: Any, tenant: Tenant) -> str:
    """Ask the devices; what an operator does to somebody's household is written down with it."""
    if _is_member(user, tenant):
        return ask_to_sync(tenant.id, str(user))
    asking = (ask_to_sync, tenant.id, str(user))
    return audit.do_and_note(audit.Action.SYNC_NOW, tenant, user, "", *asking)


def look(tenant_id: UUID, newest: Any = None) -> Overview:
    """Read a household and keep its summary, if that is due. Raises SyncError."""
    found: Overview = call_in_tenant(tenant_id, read_overview, tenant_id, newest, read_only=True)
    if summaries.due([tenant_id]):
        summarising.note(found)
    return found


def may_see(user_id: UUID, tenant_id: UUID) -> tuple[bool, bool]:
    """Whether this person may see a household's status, and whether as an operator."""
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None or not _visible(user).filter(pk=tenant_id).exists():
        return False, False
    return True, may_look_after(user)


def _is_member(user: Any, tenant: Tenant) -> bool:
    return Membership.objects.filter(user=user, tenant=tenant).exists()


def _may_ask(user: Any, tenant: Tenant) -> bool:
    return may_help(user) or _is_member(user, tenant)


def _visible(user: Any) -> QuerySet[Tenant]:
    """A member's households; operators see all."""
    living = Tenant.objects.exclude(status=Tenant.Status.DELETED)
    if may_look_after(user):
        return living
    mine = Membership.objects.filter(user=user).values("tenant_id")
    return living.filter(pk__in=mine)


def _one_visible(user: Any, tenant_id: UUID) -> Tenant:
    """Raises Http404 alike for one that is unknown and one that is somebody else's."""
    found = _visible(user).filter(pk=tenant_id).first()
    if found is None:
        raise Http404
    return found


def _matching(query: str) -> Q:
    wanted = Q(name__icontains=query) | Q(
        pk__in=Membership.objects.filter(user__email__icontains=query).values("tenant_id")
    )
    try:
        return wanted | Q(pk=UUID(query.removeprefix("t_")))
    except (ValueError, ValidationError):
        return wanted


def _with_summaries(page: Page) -> list[Tenant]:
    """The page's households, each with its summary, or None in its place."""
    shown = list(page)
    known = Summary.objects.in_bulk([each.id for each in shown])
    for each in shown:
        each.seen = known.get(each.id)  # type: ignore[attr-defined]
    return shown


def _line(tenant: Any) -> dict[str, Any]:
    seen: Summary | None = tenant.seen
    now = timezone.now()
    if tenant.status == Tenant.Status.MAINTENANCE:
        light = Light.AMBER
    elif seen is None or now - seen.at > summaries.FRESH_FOR:
        light = Light.GREY  # what was green an hour ago proves nothing
    else:
        light = Light(seen.light)
    return {
        "tenant": tenant,
        "seen": seen,
        "light": light.value,
        "light_name": wording.LIGHTS[light],
        "age": wording.span(_ms(now - seen.at)) if seen else "",
        "last_change": wording.moment(_ms_of(seen.last_change_at), _ms_of(now))
        if seen and seen.last_change_at
        else "",
        "is_in_maintenance": tenant.status == Tenant.Status.MAINTENANCE,
    }


def _ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)


def _ms_of(at: Any) -> int:
    return int(at.timestamp() * 1000)
