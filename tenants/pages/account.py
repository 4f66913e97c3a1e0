"""One's own account, at a glance."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from tenants.models import Membership, Tenant


@never_cache
@login_required
def overview(request: HttpRequest) -> HttpResponse:
    """Everything about oneself, each thing with the page where it is changed."""
    memberships = (
        Membership.objects.filter(user=request.user)
        .exclude(tenant__status=Tenant.Status.DELETED)
        .select_related("tenant")
        .order_by("tenant__name", "tenant_id")
    )
    return render(request, "tenants/account.html", {"memberships": memberships})
