"""A household's people: who belongs to it, who is invited, and its end."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from uuid import UUID

from allauth.account.decorators import reauthentication_required
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from syncapp.core.errors import SyncError
from syncapp.portable import export_household
from tenants.forms import InvitationForm, RemovalForm
from tenants.invitations import InvitationRefused, invite, open_invitations_of, withdraw
from tenants.mail import send_invitation
from tenants.memberships import (
    LastOwner,
    NotMember,
    NotOwner,
    end_membership,
    hand_over,
    set_role,
)
from tenants.models import Membership, Tenant, User
from tenants.pages.who import membership, person
from tenants.provisioning import delete_household

Arguments = ParamSpec("Arguments")


def back_with_the_reason(
    view: Callable[Concatenate[HttpRequest, UUID, Arguments], HttpResponse],
) -> Callable[Concatenate[HttpRequest, UUID, Arguments], HttpResponse]:
    """What cannot be done leads back to the household's page, which says why."""

    @wraps(view)
    def guarded(
        request: HttpRequest, tenant_id: UUID, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> HttpResponse:
        try:
            return view(request, tenant_id, *args, **kwargs)
        except NotOwner:
            raise PermissionDenied from None  # a moment ago this person was one
        except (LastOwner, NotMember, InvitationRefused) as error:
            messages.error(request, str(error))
        except SyncError:
            messages.error(request, _("That is not possible right now. Please try again."))
        return redirect("household", tenant_id)

    return guarded


@never_cache
@login_required
def household(request: HttpRequest, tenant_id: UUID) -> HttpResponse:
    return _page(request, membership(request, tenant_id), InvitationForm())


@login_required
@require_POST
@back_with_the_reason
def invite_person(request: HttpRequest, tenant_id: UUID) -> HttpResponse:
    mine = membership(request, tenant_id, as_owner=True)
    form = InvitationForm(request.POST)
    if not form.is_valid():
        return _page(request, mine, form)
    me = person(request)
    if settings.TENANT_NEEDS_VERIFIED_EMAIL and not me.email_verified:
        messages.error(request, _("Please confirm your e-mail address first."))
        return redirect("account_email")
    email, role = form.cleaned_data["email"], form.cleaned_data["role"]
    invitation, link = invite(mine.tenant, email, role, me)
    address = request.build_absolute_uri(reverse("invitation", args=[link]))
    if send_invitation(invitation, address):
        messages.success(request, _("The invitation is on its way to %s.") % invitation.email)
    else:
        messages.error(request, _("The mail could not be sent. Please try again later."))
    return redirect("household", tenant_id)


@login_required
@require_POST
@back_with_the_reason
def withdraw_invitation(request: HttpRequest, tenant_id: UUID, pk: UUID) -> HttpResponse:
    mine = membership(request, tenant_id, as_owner=True)
    withdraw(get_object_or_404(open_invitations_of(mine.tenant), pk=pk), by=person(request))
    messages.success(request, _("The invitation is withdrawn; its link is void."))
    return redirect("household", tenant_id)


@login_required
@require_POST
@back_with_the_reason
def change_role(request: HttpRequest, tenant_id: UUID, user_id: UUID) -> HttpResponse:
    mine = membership(request, tenant_id, as_owner=True)
    member = _member(mine.tenant, user_id)
    role = request.POST.get("role", "")
    if role in Membership.Role.values:
        set_role(mine.tenant, member, role, by=person(request))
        messages.success(request, _("Changed."))
    return redirect("household", tenant_id)


@login_required
@require_POST
@back_with_the_reason
def remove_member(request: HttpRequest, tenant_id: UUID, user_id: UUID) -> HttpResponse:
    mine = membership(request, tenant_id, as_owner=True)
    member = _member(mine.tenant, user_id)
    end_membership(mine.tenant, member, by=person(request))
    messages.success(request, _("%s does not belong to the household any more.") % member)
    if member == person(request):
        return redirect("account")
    return redirect("household", tenant_id)


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
@back_with_the_reason
def leave(request: HttpRequest, tenant_id: UUID) -> HttpResponse:
    mine = membership(request, tenant_id)
    if request.method == "POST":
        end_membership(mine.tenant, person(request))
        messages.success(request, _("You have left “%s”.") % mine.tenant.name)
        return redirect("account")
    return render(request, "tenants/leave.html", {"household": mine.tenant})


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
@back_with_the_reason
@reauthentication_required(allow_get=True)
def give(request: HttpRequest, tenant_id: UUID) -> HttpResponse:
    """Hand the household over to another member."""
    mine = membership(request, tenant_id, as_owner=True)
    others = _members(mine.tenant).exclude(user=person(request))
    if request.method == "POST":
        taker = get_object_or_404(others, user_id=_id_or_404(request.POST.get("user", ""))).user
        hand_over(mine.tenant, person(request), taker)
        messages.success(request, _("%s owns the household now; you may still edit.") % taker)
        return redirect("household", tenant_id)
    return render(request, "tenants/hand_over.html", {"household": mine.tenant, "others": others})


def _id_or_404(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Http404 from None


@never_cache
@login_required
def export(request: HttpRequest, tenant_id: UUID) -> HttpResponse:
    """Everything in the household as a file, for whoever may see it anyway."""
    mine = membership(request, tenant_id)
    # Whole and not as a stream: reading it is one transaction, bound to this thread.
    text = "".join(export_household(mine.tenant_id))
    name = slugify(mine.tenant.name) or "household"
    return HttpResponse(
        text,
        content_type="application/jsonl; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="finwise-{name}.jsonl"'},
    )


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
@back_with_the_reason
@reauthentication_required(allow_get=True)
def remove(request: HttpRequest, tenant_id: UUID) -> HttpResponse:
    """End a household for good, with an export offered first."""
    mine = membership(request, tenant_id, as_owner=True)
    form = RemovalForm(request.POST or None, household=mine.tenant)
    if request.method == "POST" and form.is_valid():
        delete_household(tenant_id, by=person(request))
        messages.success(request, _("“%s” is gone for good.") % mine.tenant.name)
        return redirect("account")
    return render(request, "tenants/remove.html", {"household": mine.tenant, "form": form})


def _page(request: HttpRequest, mine: Membership, form: InvitationForm) -> HttpResponse:
    is_owner = mine.role == Membership.Role.OWNER
    context: dict[str, Any] = {
        "household": mine.tenant,
        "mine": mine,
        "is_owner": is_owner,
        "members": _members(mine.tenant),
        "roles": Membership.Role.choices,
        "form": form,
    }
    if is_owner:
        context["invitations"] = open_invitations_of(mine.tenant)
    return render(request, "tenants/household.html", context)


def _members(tenant: Tenant) -> Any:
    return tenant.memberships.select_related("user").order_by("created_at", "pk")


def _member(tenant: Tenant, user_id: UUID) -> User:
    return get_object_or_404(_members(tenant), user_id=user_id).user
