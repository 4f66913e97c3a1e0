"""The page behind the link of an invitation."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from syncapp.core.errors import SyncError
from tenants.front_door import remember_invitation
from tenants.invitations import (
    InvitationRefused,
    OtherAddress,
    accept,
    decline,
    invitation_of,
    invitations_for,
    is_for,
)
from tenants.models import Invitation
from tenants.pages.who import person


@never_cache
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest, link: str) -> HttpResponse:
    """Show an invitation; POST accepts or declines it. Strangers can sign in or up first."""
    found = _found(request, link)
    if found is None:
        return render(request, "tenants/invitation_gone.html", status=404)
    if not request.user.is_authenticated:
        remember_invitation(request, found)
        if request.method == "POST" and "decline" in request.POST:
            return _declined(request, found)
        return render(request, "tenants/invitation.html", {"invitation": found})
    if request.method == "POST":
        return _declined(request, found) if "decline" in request.POST else _joined(request, found)
    return _ask(request, found)


def _ask(request: HttpRequest, found: Invitation, trouble: str = "") -> HttpResponse:
    context = {
        "invitation": found,
        "is_mine": is_for(found, person(request)),
        "is_member": found.tenant.memberships.filter(user=person(request)).exists(),
        "trouble": trouble,
    }
    return render(request, "tenants/invitation.html", context)


def _joined(request: HttpRequest, found: Invitation) -> HttpResponse:
    try:
        accept(found, person(request), at_other_address="anyway" in request.POST)
    except OtherAddress:
        return _ask(request, found, _("Please tick that you want to join with this account."))
    except InvitationRefused as error:
        messages.error(request, str(error))
        return redirect("account")
    except SyncError:
        return _ask(request, found, _("That is not possible right now. Please try again."))
    messages.success(request, _("Welcome to “%s”!") % found.tenant.name)
    return redirect("household", found.tenant_id)


def _declined(request: HttpRequest, found: Invitation) -> HttpResponse:
    try:
        decline(found)
        messages.success(request, _("You have declined the invitation."))
    except InvitationRefused as error:
        messages.error(request, str(error))
    return redirect("account" if request.user.is_authenticated else "account_login")


def _found(request: HttpRequest, link: str) -> Invitation | None:
    """By the secret; or by its number alone, for who has confirmed the invited address."""
    found = invitation_of(link)
    if found is not None or not request.user.is_authenticated:
        return found
    try:
        number = UUID(link)
    except ValueError:
        return None
    return invitations_for(person(request)).filter(pk=number).first()
