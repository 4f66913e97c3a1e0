"""One's own account: at a glance, its sessions, its tokens."""

from __future__ import annotations

from uuid import UUID

from allauth.account.decorators import reauthentication_required
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from tenants.devices import device_of
from tenants.forms import ProfileForm, TokenForm
from tenants.invitations import invitations_for
from tenants.models import Membership, Tenant, Token
from tenants.pages.who import person
from tenants.sessions import end_all_sessions
from tenants.tokens import create_token, revoke_token


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def overview(request: HttpRequest) -> HttpResponse:
    """Everything about oneself, each thing with the page where it is changed."""
    me = person(request)
    form = ProfileForm(request.POST or None, instance=me)
    if request.method == "POST" and form.is_valid():
        me.save(update_fields=["display_name", "language"])
        messages.success(request, _("Saved."))
        return redirect("account")
    factors = Authenticator.objects.filter(user=me)
    memberships = (
        Membership.objects.filter(user=me)
        .exclude(tenant__status=Tenant.Status.DELETED)
        .select_related("tenant")
        .order_by("tenant__name", "tenant_id")
    )
    return render(
        request,
        "tenants/account.html",
        {
            "form": form,
            "memberships": memberships,
            "invitations": invitations_for(me),
            "has_app": factors.filter(type=Authenticator.Type.TOTP).exists(),
            "keys": factors.filter(type=Authenticator.Type.WEBAUTHN).count(),
            "tokens": Token.objects.filter(user=me, revoked_at=None).count(),
            "sessions": len(UserSession.objects.purge_and_list(me)),
        },
    )


# --- sessions


@never_cache
@login_required
def sessions(request: HttpRequest) -> HttpResponse:
    """Where one is signed in, the one that was used last first."""
    found = UserSession.objects.purge_and_list(person(request))
    found.sort(key=lambda each: (not each.is_current(), -each.last_seen_at.timestamp()))
    rows = [(each, device_of(each.user_agent)) for each in found]
    return render(request, "tenants/sessions.html", {"sessions": rows})


@login_required
@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign out one browser; its sockets close."""
    get_object_or_404(UserSession, pk=pk, user=person(request)).end()
    messages.success(request, _("That browser is signed out."))
    return redirect("sessions")


@login_required
@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere but here; with `tokens`, devices and programs too."""
    me = person(request)
    end_all_sessions(me)
    update_session_auth_hash(request, me)
    UserSession.objects.create_from_request(request)
    if "tokens" in request.POST:
        for token in Token.objects.filter(user=me, revoked_at=None):
            revoke_token(token)
    messages.success(request, _("You are signed out everywhere but here."))
    return redirect("sessions")


# --- tokens


@never_cache
@login_required
def tokens(request: HttpRequest) -> HttpResponse:
    return _tokens(request, TokenForm())


@never_cache
@login_required
@require_POST
@reauthentication_required
def new_token(request: HttpRequest) -> HttpResponse:
    """Make a token and show it, this once: it is in this answer and nowhere else."""
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _tokens(request, form)
    secret = create_token(person(request), form.cleaned_data["name"].strip())
    return _tokens(request, TokenForm(), secret)


@login_required
@require_POST
def end_token(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Revoke a token; its sockets close."""
    token = get_object_or_404(Token, pk=pk, user=person(request), revoked_at=None)
    revoke_token(token)
    messages.success(request, _("The token is revoked. What used it is signed out."))
    return redirect("tokens")


def _tokens(request: HttpRequest, form: TokenForm, secret: str = "") -> HttpResponse:
    me = person(request)
    household = (
        Membership.objects.filter(user=me)
        .exclude(tenant__status=Tenant.Status.DELETED)
        .order_by("created_at")
        .first()
    )
    return render(
        request,
        "tenants/tokens.html",
        {
            "form": form,
            "secret": secret,
            "tokens": Token.objects.filter(user=me, revoked_at=None).order_by("-created_at"),
            "household": household.tenant_id if household else None,
            "address": request.build_absolute_uri("/").rstrip("/"),
        },
    )
