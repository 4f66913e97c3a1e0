"""People, memberships and tokens, for those who look after a site. Households: syncapp.admin."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import UserCreationForm as DjangoUserCreationForm
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm, UserChangeForm
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from syncapp.core.errors import SyncError
from tenants import audit
from tenants.faults import telling_faults
from tenants.memberships import (
    LastOwner,
    end_membership,
    households_that_need,
    last_owner_of,
    set_role,
)
from tenants.models import Membership, Token, User
from tenants.tokens import revoke_token


def shown(name: str, title: Any) -> Any:
    """A field of a list or a page, under a title that can be translated."""

    @admin.display(description=title, ordering=name)
    def value(page: Any, row: Any) -> Any:
        found = getattr(row, name)
        if isinstance(found, datetime):
            return date_format(timezone.localtime(found), "DATETIME_FORMAT")
        return found

    return value


class NewUserForm(DjangoUserCreationForm):
    """A person who signs in with an e-mail address."""

    class Meta:
        model = User
        fields = ("email", "display_name", "language")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["email"].widget = UnfoldAdminTextInputWidget()
        for name in ("password1", "password2"):
            self.fields[name].widget = UnfoldAdminPasswordWidget()


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    """People. What they may do in a household is a membership."""

    form = UserChangeForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "email", "display_name", "is_active", "email_verified", "is_staff", "household_count",
        "last_login",
    )  # fmt: skip
    list_filter = ("is_active", "is_staff", "email_verified")
    list_per_page = 50
    search_fields = ("email", "display_name", "id")
    filter_horizontal = ()
    ordering = ("email",)
    readonly_fields = ("last_login", "made", "email_verified")
    made = shown("created_at", gettext_lazy("Made"))
    fieldsets = (
        (None, {"fields": ("email", "email_verified", "password", "display_name", "language")}),
        (
            gettext_lazy("What they may do here"),
            {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")},
        ),
        (gettext_lazy("When"), {"fields": ("last_login", "made")}),
    )
    add_fieldsets = (
        (None, {"fields": ("email", "display_name", "language", "password1", "password2")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).annotate(households=Count("memberships"))

    @admin.display(description=gettext_lazy("Households"), ordering="households")
    def household_count(self, user: Any) -> int:
        return user.households

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        found = list(super().get_readonly_fields(request, obj))
        if not request.user.is_superuser:
            # Whoever could give himself more rights would have them all.
            # So would who could take over another's account, by its address or its password.
            found += ["is_staff", "is_superuser", "groups", "user_permissions", "email"]
        return found

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        may = super().has_change_permission(request, obj)
        is_other_staff = obj is not None and obj.is_staff and obj != request.user
        return may and (request.user.is_superuser or not is_other_staff)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        if not request.user.is_superuser:
            raise PermissionDenied  # people set their own, by the link that is mailed to them
        return super().user_change_password(request, id, form_url)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Locking somebody out cannot wait, but what nobody can manage then is said."""
        super().save_model(request, obj, form, change)
        if change and not obj.is_active and (alone := households_that_need(obj)):
            messages.warning(request, last_owner_of(alone))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False  # takes more than a row: manage.py delete_user; or make them inactive


class MembershipForm(forms.ModelForm):
    """Saves through `tenants.memberships`, which keeps the mirror in the household's schema."""

    class Meta:
        model = Membership
        fields = ("tenant", "user", "role")
        labels: ClassVar[dict[str, Any]] = {
            "tenant": gettext_lazy("Household"),
            "user": gettext_lazy("Person"),
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        role = cleaned.get("role")
        known = self.instance
        if (
            known.pk
            and role not in (None, Membership.Role.OWNER)
            and Membership.objects.get(pk=known.pk).role == Membership.Role.OWNER
            and not Membership.objects.filter(tenant=known.tenant, role=Membership.Role.OWNER)
            .exclude(pk=known.pk)
            .exists()
        ):
            raise forms.ValidationError(
                _("A household needs an owner. Make somebody else an owner first.")
            )
        return cleaned


@admin.register(Membership)
class MembershipAdmin(ModelAdmin):
    """Who belongs to which household, and as what. A change counts from the next push on."""

    form = MembershipForm
    person, household = (
        shown("user", gettext_lazy("Person")), shown("tenant", gettext_lazy("Household"))
    )  # fmt: skip
    since = shown("created_at", gettext_lazy("Since"))
    list_display = ("person", "household", "role", "since")
    list_filter = ("role",)
    list_select_related = ("user", "tenant")
    list_per_page = 50
    search_fields = ("user__email", "tenant__name", "tenant__id")
    autocomplete_fields = ("user", "tenant")
    actions = None

    def get_readonly_fields(self, request: HttpRequest, obj: Membership | None = None) -> Any:
        return ("household", "person") if obj else ()

    def get_fields(self, request: HttpRequest, obj: Membership | None = None) -> Any:
        return ("household", "person", "role") if obj else ("tenant", "user", "role")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Nothing else goes with a membership."""
        return [str(each) for each in objs], {}, set(), []

    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        return _or_say_why(self, request, super().changeform_view, *args, **options)

    def delete_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        return _or_say_why(self, request, super().delete_view, *args, **options)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        set_role(obj.tenant, obj.user, obj.role)
        obj.pk = Membership.objects.get(tenant=obj.tenant, user=obj.user).pk
        audit.note(
            audit.Action.SET_ROLE,
            obj.tenant,
            request.user,  # type: ignore[arg-type]
            f"{obj.user.email}: {obj.role}",
        )

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        end_membership(obj.tenant, obj.user)
        audit.note(
            audit.Action.END_MEMBERSHIP,
            obj.tenant,
            request.user,  # type: ignore[arg-type]
            obj.user.email,
        )


def _or_say_why(
    page: ModelAdmin, request: HttpRequest, view: Any, *args: Any, **options: Any
) -> HttpResponse:
    """Show a page; what a household would not do is said on it, and nothing is changed."""
    try:
        # The admin's own transaction is around everything, the entry in the audit included.
        with telling_faults():
            return view(request, *args, **options)
    except LastOwner as error:
        messages.error(request, str(error))
    except SyncError as error:
        messages.error(request, error.message)
    return HttpResponseRedirect(request.get_full_path())


@admin.register(Token)
class TokenAdmin(ModelAdmin):
    """Keys for programs: which there are and when they were used. Their secrets nobody knows."""

    person = shown("user", gettext_lazy("Person"))
    made = shown("created_at", gettext_lazy("Made"))
    used = shown("last_used_at", gettext_lazy("Used last"))
    ended = shown("revoked_at", gettext_lazy("Revoked"))
    list_display = ("prefix", "name", "person", "made", "used", "ended")
    list_display_links = None
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("user",)
    list_per_page = 50
    search_fields = ("name", "user__email")
    ordering = ("-created_at",)
    actions = ("revoke",)

    @admin.display(description=gettext_lazy("Begins with"))
    def prefix(self, token: Token) -> str:
        return f"fw_{token.id.hex[:8]}…"

    @action(description=gettext_lazy("Revoke: what uses it is signed out"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Token]) -> HttpResponse | None:
        """Ask, then do it and write it down."""
        found = list(queryset.filter(revoked_at=None).select_related("user"))
        if found and "is_sure" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": _("Revoke"),
                "opts": self.opts,
                "tokens": [(each, self.prefix(each)) for each in found],
                "back": request.get_full_path(),
            }
            return TemplateResponse(request, "admin/tokens/revoke.html", context)
        with transaction.atomic():
            for token in found:
                revoke_token(token)
                audit.note(
                    audit.Action.REVOKE_TOKEN,
                    None,
                    request.user,  # type: ignore[arg-type]
                    f"{self.prefix(token)} {token.user.email}",
                )
        messages.success(request, _("Tokens revoked: %(count)s.") % {"count": len(found)})
        return None

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found = super().get_actions(request)
        found.pop("delete_selected", None)
        return found

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # its secret is shown once, to its person

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
