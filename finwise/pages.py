"""The few pages that need no front end: what is mine, and how do I connect a device."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from tenants.models import Membership, Tenant


@never_cache
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """The signed-in person's households and how to connect a device to one."""
    memberships = (
        Membership.objects.filter(user=request.user)
        .exclude(tenant__status=Tenant.Status.DELETED)
        .select_related("tenant")
        .order_by("tenant__name", "tenant_id")
    )
    address = request.build_absolute_uri("/").rstrip("/")
    return render(request, "home.html", {"memberships": memberships, "address": address})


def alive(request: HttpRequest) -> HttpResponse:
    """This process answers. Says nothing about the database."""
    return HttpResponse("ok\n", content_type="text/plain")
