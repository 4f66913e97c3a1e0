"""The admin of one household's own rows, under that household's address.

A site of its own, mounted under /admin/household/<uuid>/: while one of its pages is being made,
every address is resolved and written below that prefix, and every query runs inside the
household. What the pages show is registered by the apps whose rows these are:

    household_site.register(Account, RowAdmin)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import (
    Resolver404,
    get_script_prefix,
    get_urlconf,
    resolve,
    reverse,
    set_script_prefix,
    set_urlconf,
)
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from unfold.sites import UnfoldAdminSite

from tenants import audit
from tenants.context import in_tenant
from tenants.faults import telling_faults
from tenants.models import Tenant

from ..core.errors import SyncError

URLS = "syncapp.admin.household_urls"
# The site's own pages; every other shows rows, or their names.
SHOW_NO_ROWS = frozenset({"app_list", "jsi18n", "login", "password_change_done", "search"})
_NOTED = "households_looked_into"


class HouseholdSite(UnfoldAdminSite):
    """What a household contains. `request.household` is the one whose address was opened."""

    settings_name = "UNFOLD_HOUSEHOLD"
    index_title = _("Accounts and groups")
    enable_nav_sidebar = True

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        household: Tenant = request.household  # type: ignore[attr-defined]
        return super().each_context(request) | {
            "site_title": household.name,
            "site_header": household.name,
            "site_subheader": _("What this household contains"),
            "site_url": outside("admin:tenants_tenant_change", household.pk),
            "household": household,
        }

    def index(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The first kind of row that this person may see."""
        for model, page in self._registry.items():
            if page.has_view_permission(request):
                name = f"{model._meta.app_label}_{model._meta.model_name}"
                return HttpResponseRedirect(reverse(f"{self.name}:{name}_changelist"))
        raise PermissionDenied

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and hasattr(request, "household")

    def search(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Nothing: unfold keeps what it found by person, and would show it in other households."""
        return HttpResponse()

    def logout(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return HttpResponseRedirect(outside("account_logout"))

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return HttpResponseRedirect(outside("account"))


household_site = HouseholdSite()


@never_cache
def enter(request: HttpRequest, tenant_id: UUID, rest: str = "") -> HttpResponse:
    """Show a page of a household's admin; the whole of it is made inside the household."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    if not (request.user.is_active and request.user.is_staff):
        raise PermissionDenied
    household = Tenant.objects.filter(pk=tenant_id, status=Tenant.Status.READY).first()
    if household is None:
        raise Http404
    request.household = household  # type: ignore[attr-defined]
    prefix = f"{get_script_prefix()}admin/household/{household.pk}/"
    with _mounted(prefix):
        try:
            match = resolve(f"/{rest}")
        except Resolver404:
            raise Http404 from None
        request.resolver_match = match
        try:
            with telling_faults(), in_tenant(household.pk):
                response = match.func(request, *match.args, **match.kwargs)
                # A template is filled when it is rendered: that, too, asks for rows.
                if hasattr(response, "render"):
                    response = response.render()
        except SyncError as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(outside("admin:tenants_tenant_change", household.pk))
        except PermissionDenied:
            _note_once(request, audit.Action.REFUSED, household, audit.Action.LOOK_INSIDE.value)
            raise
    if response.status_code == HTTPStatus.OK and match.url_name not in SHOW_NO_ROWS:
        # Before anything of it leaves: what cannot be written down is not shown.
        _note_once(request, audit.Action.LOOK_INSIDE, household)
    return response


@contextmanager
def _mounted(prefix: str) -> Iterator[None]:
    """Write and resolve addresses below `prefix`, by the site's own patterns."""
    before, urls = get_script_prefix(), get_urlconf()
    set_script_prefix(prefix)
    set_urlconf(URLS)
    try:
        yield
    finally:
        set_script_prefix(before)
        set_urlconf(urls)


def outside(name: str, *args: Any) -> str:
    """The address of a page outside of the household, written from inside."""
    from django.conf import settings

    return "/" + reverse(name, urlconf=settings.ROOT_URLCONF, args=args).removeprefix(
        get_script_prefix()
    ).lstrip("/")


def _note_once(
    request: HttpRequest, action: audit.Action, household: Tenant, detail: str = ""
) -> None:
    """Write down that somebody looked inside, or was not let in: once for each session."""
    noted = request.session.get(_NOTED, [])
    mark = f"{action.value} {household.pk}"
    if mark not in noted:
        audit.note(action, household, request.user, detail)  # type: ignore[arg-type]
        request.session[_NOTED] = [*noted, mark][-100:]
