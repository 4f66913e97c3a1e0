"""The list of households at /admin/ and the page of one: devices, members, what can be done."""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminTextInputWidget

from tenants import audit, summaries
from tenants.faults import telling_faults
from tenants.models import AuditEntry, Summary, Tenant, User
from tenants.provisioning import NAME_MAX_CHARACTERS, needs_migration, provision

from ..core.errors import SyncError
from ..light import Light
from ..registry import tables
from ..views import wording
from ..views.picture import people_of, picture_of
from ..views.status import look
from .cures import CURES, Cure


class NewHousehold(forms.Form):
    """What a household needs to begin with."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=NAME_MAX_CHARACTERS,
        widget=UnfoldAdminTextInputWidget,
    )
    owner = forms.EmailField(
        label=gettext_lazy("E-mail address of its owner"),
        help_text=gettext_lazy("Somebody who can sign in already."),
        widget=UnfoldAdminEmailInputWidget,
    )

    def clean_owner(self) -> User:
        person = User.objects.filter(
            email=User.objects.normalize_email(self.cleaned_data["owner"]), is_active=True
        ).first()
        if person is None:
            raise forms.ValidationError(_("Nobody signs in with this address."))
        return person


@admin.register(Tenant)
class TenantAdmin(ModelAdmin):
    """Households: nothing of what they contain, everything about how they are."""

    list_display = (
        "name", "light", "state", "schema", "size", "member_count", "devices", "head",
        "last_change", "as_of",
    )  # fmt: skip
    list_display_links = ("name",)
    list_filter = ("status",)
    list_per_page = 50
    search_fields = ("name", "id", "memberships__user__email")
    search_help_text = gettext_lazy("Name, number, or the e-mail address of a member")
    ordering = ("name", "id")
    fields = readonly_fields = ("name", "number", "state", "schema", "why", "maker", "made")
    list_before_template = "admin/households/list_before.html"
    change_form_outer_before_template = "admin/households/devices.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tenant]:
        found = super().get_queryset(request).select_related("summary")
        return found.annotate(member_total=Count("memberships", distinct=True))

    # --- the list

    @admin.display(description=gettext_lazy("Sync light"))
    def light(self, tenant: Tenant) -> str:
        seen = _summary(tenant)
        light = Light.GREY
        if tenant.status == Tenant.Status.MAINTENANCE:
            light = Light.AMBER
        elif seen is not None and timezone.now() - seen.at <= summaries.FRESH_FOR:
            light = Light(seen.light)
        return format_html(
            '<span class="fw-light {}">{}</span>', light.value, wording.LIGHTS[light]
        )

    @admin.display(description="Status", ordering="status")
    def state(self, tenant: Tenant) -> str:
        return tenant.get_status_display()

    @admin.display(description=gettext_lazy("Schema"), ordering="schema_version")
    def schema(self, tenant: Tenant) -> str:
        if tenant.status == Tenant.Status.DELETED:
            return "–"
        name = tenant.schema_version[:8] or "–"
        return _("%(name)s, behind") % {"name": name} if needs_migration(tenant) else name

    @admin.display(description=gettext_lazy("Size"), ordering="summary__size_bytes")
    def size(self, tenant: Tenant) -> str:
        seen = _summary(tenant)
        return wording.size(seen.size_bytes) if seen else "–"

    @admin.display(description=gettext_lazy("Members"), ordering="member_total")
    def member_count(self, tenant: Any) -> int:
        return tenant.member_total

    @admin.display(description=gettext_lazy("Devices online"), ordering="summary__devices")
    def devices(self, tenant: Tenant) -> str:
        seen = _summary(tenant)
        if seen is None:
            return "–"
        return _("%(online)s of %(devices)s") % {"online": seen.online, "devices": seen.devices}

    @admin.display(description=gettext_lazy("Newest number"), ordering="summary__head")
    def head(self, tenant: Tenant) -> str:
        seen = _summary(tenant)
        return wording.number(seen.head) if seen else "–"

    @admin.display(description=gettext_lazy("Last change"), ordering="summary__last_change_at")
    def last_change(self, tenant: Tenant) -> str:
        seen = _summary(tenant)
        if seen is None or seen.last_change_at is None:
            return "–"
        return wording.moment(_ms(seen.last_change_at), _ms(timezone.now()))

    @admin.display(description=gettext_lazy("As of"), ordering="summary__at")
    def as_of(self, tenant: Tenant) -> str:
        seen = _summary(tenant)
        if seen is None:
            return _("nobody has looked yet")
        age = wording.span(_ms(timezone.now()) - _ms(seen.at))
        return _("%(age)s ago") % {"age": age}

    # --- one household

    @admin.display(description=gettext_lazy("Number"))
    def number(self, tenant: Tenant) -> str:
        return str(tenant.pk)

    @admin.display(description=gettext_lazy("Trouble"))
    def why(self, tenant: Tenant) -> str:
        return tenant.trouble or "–"

    @admin.display(description=gettext_lazy("Made by"))
    def maker(self, tenant: Tenant) -> str:
        return str(tenant.created_by or "–")

    @admin.display(description=gettext_lazy("Made"))
    def made(self, tenant: Tenant) -> str:
        return wording.moment(_ms(tenant.created_at), _ms(timezone.now()))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = dict(extra_context or {})
        names: dict[str, str] = {}  # of devices, by id
        tenant = self.get_object(request, object_id or "")
        if tenant is not None and tenant.status == Tenant.Status.READY:
            try:
                overview = look(tenant.id)
            except SyncError as error:
                messages.error(request, error.message)
            else:
                picture = picture_of(overview, people_of(overview), for_operator=True)
                memberships = dict(tenant.memberships.values_list("user_id", "pk"))
                for each in picture["devices"]:
                    each["membership"] = memberships.get(UUID(each["user_id"]))
                for each in picture["refusals"]:
                    each["row_address"] = row_address(tenant, each["kind"], each["row_id"])
                names = {each["id"]: each["name"] for each in picture["devices"]}
                context |= {"picture": picture, "cures": _offered()}
        context["may_act"] = self.may_act(request)
        context |= {"show_save": False, "show_save_and_continue": False}
        context["household"] = tenant
        if tenant is not None:
            entries = AuditEntry.objects.filter(tenant=tenant).order_by("-at")[:10]
            for entry in entries:
                entry.when = wording.moment(_ms(entry.at), _ms(timezone.now()))  # type: ignore[attr-defined]
                entry.what = audit.words_for(entry.action)  # type: ignore[attr-defined]
                entry.about = names.get(entry.detail, entry.detail)  # type: ignore[attr-defined]
            context["audit"] = entries
            context["memberships"] = tenant.memberships.select_related("user").order_by(
                "user__email"
            )
        return super().changeform_view(request, object_id, form_url, context)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a household is provisioned, with its schema

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # not from here: it cannot be undone, and an export comes first

    def may_act(self, request: HttpRequest) -> bool:
        """Whether this person may do more than look."""
        return self.has_change_permission(request)

    # --- what can be done

    def get_urls(self) -> list[URLPattern]:
        ask = self.admin_site.admin_view(self.cure_view)
        return [
            path(
                "provision/",
                self.admin_site.admin_view(self.provision_view),
                name="household-provision",
            ),
            path("<uuid:tenant_id>/do/<slug:action>/", ask, name="household-cure"),
            path(
                "<uuid:tenant_id>/device/<uuid:device_id>/<slug:action>/",
                ask,
                name="device-cure",
            ),
            *super().get_urls(),
        ]

    def cure_view(
        self, request: HttpRequest, tenant_id: UUID, action: str, device_id: UUID | None = None
    ) -> HttpResponse:
        """Ask (GET), then do it and write it down (POST)."""
        tenant = Tenant.objects.filter(pk=tenant_id, status=Tenant.Status.READY).first()
        cure = CURES.get(action)
        if not self.may_act(request):
            if tenant and cure and request.method == "POST":
                audit.note_refusal(cure.action, tenant, request.user)  # type: ignore[arg-type]
            raise PermissionDenied
        if tenant is None or cure is None or cure.is_for_device != (device_id is not None):
            raise Http404
        back = reverse(f"{self.admin_site.name}:tenants_tenant_change", args=[tenant.pk])
        if request.method != "POST":
            return self._ask(request, tenant, cure, device_id, back)
        try:
            done = self._do(cure, tenant, device_id, request.user)
        except LookupError:
            raise Http404 from None
        except SyncError as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(back)
        if isinstance(done, HttpResponse):
            return done
        messages.success(request, done)
        if cure.action is audit.Action.SYNC_NOW:
            back = reverse("sync-household", args=[tenant.pk])  # where the answers come in live
        return HttpResponseRedirect(back)

    def _do(self, cure: Cure, tenant: Tenant, device_id: UUID | None, by: Any) -> Any:
        """Do it and write it down: what cannot be written down does not happen."""
        detail = str(device_id) if device_id else ""
        if cure.is_reading:
            # Before, and on its own: it reads one snapshot, which nothing may precede.
            audit.note(cure.action, tenant, by, detail)
            return cure.run(tenant, device_id, by)
        return audit.do_and_note(cure.action, tenant, by, detail, cure.run, tenant, device_id, by)

    def _ask(
        self, request: HttpRequest, tenant: Tenant, cure: Cure, device_id: UUID | None, back: str
    ) -> HttpResponse:
        device = ""
        if device_id is not None:
            try:
                found = look(tenant.id)
            except SyncError as error:
                messages.error(request, error.message)
                return HttpResponseRedirect(back)
            if all(each.id != str(device_id) for each in found.devices):
                raise Http404
            device = found.device_name(str(device_id))
        context = {
            **self.admin_site.each_context(request),
            "title": cure.title,
            "subtitle": tenant.name,
            "cure": cure,
            "household": tenant,
            "device": device,
            "back": back,
        }
        return TemplateResponse(request, "admin/households/ask.html", context)

    def provision_view(self, request: HttpRequest) -> HttpResponse:
        """Make a household for somebody."""
        if not self.may_act(request):
            raise PermissionDenied
        form = NewHousehold(request.POST or None)
        if request.method == "POST" and form.is_valid():
            owner = form.cleaned_data["owner"]
            try:
                with telling_faults(), transaction.atomic():
                    tenant = provision(
                        uuid.uuid4(), form.cleaned_data["name"], owner.id, by_operator=True
                    )
                    audit.note(
                        audit.Action.PROVISION,
                        tenant,
                        request.user,  # type: ignore[arg-type]
                        owner.email,
                    )
            except SyncError as error:
                form.add_error(None, error.message)
            else:
                messages.success(request, _("The household is ready."))
                return HttpResponseRedirect(
                    reverse(f"{self.admin_site.name}:tenants_tenant_change", args=[tenant.pk])
                )
        context = {
            **self.admin_site.each_context(request),
            "title": _("New household"),
            "form": form,
            "back": reverse(f"{self.admin_site.name}:tenants_tenant_changelist"),
        }
        return TemplateResponse(request, "admin/households/provision.html", context)


@admin.register(AuditEntry)
class AuditEntryAdmin(ModelAdmin):
    """Who did what to which household. Nobody writes it by hand, and nobody takes it away."""

    list_display = ("at", "actor_name", "what", "tenant_name", "detail")
    list_display_links = None
    list_filter = ("action",)
    list_per_page = 50
    search_fields = ("actor_name", "tenant_name", "detail", "tenant__id")
    date_hierarchy = "at"
    ordering = ("-at",)

    @admin.display(description=gettext_lazy("What"), ordering="action")
    def what(self, entry: AuditEntry) -> str:
        return audit.words_for(entry.action)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _offered() -> list[Cure]:
    return [each for each in CURES.values() if not each.is_for_device]


def row_address(tenant: Tenant, kind: str, row_id: str) -> str:
    """The page of a row in the household's own admin; "" if there can be none."""
    table = tables().get(kind)
    if table is None or not row_id:
        return ""
    options = table.model._meta
    inside = reverse("household-admin", args=[tenant.pk])
    return f"{inside}{options.app_label}/{options.model_name}/{row_id}/change/"


def _summary(tenant: Tenant) -> Summary | None:
    return getattr(tenant, "summary", None)


def _ms(at: Any) -> int:
    return int(at.timestamp() * 1000)
