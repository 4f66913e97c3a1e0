"""Who asks for a page, and what they may do in a household."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from tenants.models import Membership, Tenant, User


def person(request: HttpRequest) -> User:
    """Return who is signed in. For views that nobody else gets to."""
    return cast(User, request.user)


def membership(request: HttpRequest, tenant_id: UUID, *, as_owner: bool = False) -> Membership:
    """Return the signed-in person's place in the household.

    Raises Http404 alike for a household that is unknown, deleted, or somebody else's, and
    PermissionDenied for a member who is no owner where only owners may.
    """
    found = (
        Membership.objects.filter(user=person(request), tenant_id=tenant_id)
        .exclude(tenant__status=Tenant.Status.DELETED)
        .select_related("tenant")
        .first()
    )
    if found is None:
        raise Http404
    if as_owner and found.role != Membership.Role.OWNER:
        raise PermissionDenied
    return found
