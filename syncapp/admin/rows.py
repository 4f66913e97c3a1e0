"""A page for a kind of synced row: what is typed there reaches the devices like any change.

Saves through `syncapp.editing` with the stamps that the form was loaded with, and writes only
what was really typed: so a form that was open for an hour overwrites nothing that it did not
show. What has moved on meanwhile is said, field by field, and nothing is saved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin

from tenants import audit

from ..core.change import EVERY_OTHER_FIELD, EXISTS
from ..core.clock import SERVER_NODE, node_of
from ..core.entity import canonical
from ..core.errors import Refused
from ..editing import edit_row
from ..engine import Stale
from ..models import Device, SyncedModel
from ..registry import tables, wire_name
from .site import outside


class ReferenceField(forms.ModelChoiceField):
    """A row that this one names. It may be deleted, or missing; then that is kept."""

    def label_from_instance(self, obj: Any) -> str:
        return str(obj) if obj.sync_exists else _("%(name)s (deleted)") % {"name": obj}

    def names_nothing(self, value: Any) -> bool:
        """Whether there is no such row, not even a deleted one."""
        return bool(value) and not self.queryset.filter(pk=value).exists()

    def has_changed(self, initial: Any, data: Any) -> bool:
        if not data and self.names_nothing(initial):
            return False  # it could not be shown, so it was not taken away
        return super().has_changed(initial, data)


class RowForm(forms.ModelForm):
    """One row. Remembers what it showed, and under which stamps."""

    seen = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.entity = next(
            each for each in tables().values() if each.model is self._meta.model
        ).entity
        for name, field in self.fields.items():
            # Told apart from what was in the form, not from what is in the database by now.
            field.show_hidden_initial = not (
                isinstance(field, ReferenceField) and field.names_nothing(self.initial.get(name))
            )
        for name, value in self.initial.items():
            if isinstance(value, Decimal):  # 12.5, not 12.5000
                self.initial[name] = _wire_value(value)
        self.fields["seen"].show_hidden_initial = False
        self.fields["seen"].initial = json.dumps(stamps_of(self.instance))

    @property
    def typed(self) -> list[str]:
        """The names of the model's fields that the person changed."""
        return [each for each in self.changed_data if each != "seen"]

    def seen_stamps(self) -> dict[str, str]:
        """The stamps that this form was loaded with; of a new row none."""
        try:
            found = json.loads(self.cleaned_data.get("seen") or "{}")
        except ValueError:
            found = {}
        return (
            {str(key): str(value) for key, value in found.items()}
            if isinstance(found, dict)
            else {}
        )

    def wire_fields(self) -> dict[str, Any]:
        """What was typed, by wire name, as it travels."""
        is_new = self.instance._state.adding
        names = [each for each in self.cleaned_data if each != "seen"] if is_new else self.typed
        model_fields = {each.name: each for each in self._meta.model._meta.concrete_fields}
        return {
            wire_name(model_fields[name].column): _wire_value(self.cleaned_data.get(name))
            for name in names
            if name in model_fields
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        now, seen = stamps_of(self.instance), self.seen_stamps()
        for name in self.typed:
            if name not in cleaned or name in self.errors:
                continue
            wire = wire_name(self._meta.model._meta.get_field(name).column)
            try:
                value = canonical(self.entity.fields[wire], _wire_value(cleaned[name]))
            except Refused as refusal:
                self.add_error(name, refusal.message)
                continue
            if self.instance._state.adding or seen.get(wire) == now.get(wire):
                continue
            stored = getattr(self.instance, name)
            if _wire_value(stored) != value:
                self.add_error(name, _stale(now.get(wire, ""), stored))
        return cleaned


class ExistsFilter(admin.SimpleListFilter):
    """Rows that are here; on request, those that are gone."""

    title = gettext_lazy("State")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("gone", gettext_lazy("Deleted")), ("all", gettext_lazy("All"))]

    def choices(self, changelist: Any) -> Any:
        first, *rest = super().choices(changelist)
        yield {**first, "display": _("Here")}
        yield from rest

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        match self.value():
            case "all":
                return queryset
            case "gone":
                return queryset.filter(sync_exists=False)
        return queryset.filter(sync_exists=True)


class RowAdmin(ModelAdmin):
    """The pages of one kind of row. A subclass says which fields its list and form show."""

    form = RowForm
    list_filter: Any = (ExistsFilter,)
    list_per_page = 50
    actions = None
    change_form_outer_before_template = "admin/households/row_before.html"
    warn_unsaved_form = True

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        found = self.model.with_tombstones.all()
        ordering = self.get_ordering(request)
        return found.order_by(*ordering) if ordering else found

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is not None and not obj.sync_exists:
            return fieldsets
        (title, options), *rest = fieldsets
        return [(title, {**options, "fields": [*options["fields"], "seen"]}), *rest]

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **options: Any) -> Any:
        options["form_class"] = ReferenceField
        options["queryset"] = db_field.related_model.with_tombstones.order_by(
            "-sync_exists", "name"
        )
        return super().formfield_for_foreignkey(db_field, request, **options)

    # --- what may be done

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_here = obj is None or obj.sync_exists
        return is_here and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_here = obj is None or obj.sync_exists
        return is_here and super().has_delete_permission(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Nothing goes with a row: what names it is shown as ungrouped."""
        return [str(each) for each in objs], {}, set(), []

    # --- saving

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        context = dict(extra_context or {})
        row = self.get_object(request, object_id) if object_id else None
        if row is not None and not row.sync_exists:
            context["restore"] = self._address("restore", row.pk)
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except Stale as stale:
            # Between the form's own look and the lock; the form cannot be shown again.
            names = ", ".join(stale.fields)
            messages.error(
                request,
                _("Changed by somebody else meanwhile: %(names)s. Nothing was saved.")
                % {"names": names},
            )
        except Refused as refusal:
            messages.error(request, refusal.message)
        return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        fields = form.wire_fields()
        if change and not fields:
            return
        self._write(request, obj, "edit" if change else "create", fields, form.seen_stamps())
        self._note(request, audit.Action.EDIT_ROW, obj, ", ".join(sorted(fields)))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """A row has nothing that is saved beside it."""

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._write(request, obj, "delete", {})
        self._note(request, audit.Action.DELETE_ROW, obj)

    def _write(
        self,
        request: Any,
        obj: SyncedModel,
        kind: str,
        fields: Mapping[str, Any],
        seen: Mapping[str, str] | None = None,
    ) -> None:
        seen = seen if kind == "edit" else None
        edit_row(request.household.pk, self.opts.db_table, obj.pk, kind, fields, seen=seen)

    # --- tombstones

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "<uuid:row_id>/restore/",
                self.admin_site.admin_view(self.restore_view),
                name=f"{self.opts.app_label}_{self.opts.model_name}_restore",
            ),
            *super().get_urls(),
        ]

    def restore_view(self, request: HttpRequest, row_id: Any) -> HttpResponse:
        """Ask (GET), then bring a deleted row back as it was (POST)."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        row = self.model.with_tombstones.filter(pk=row_id).first()
        if row is None or row.sync_exists:
            raise Http404
        if request.method != "POST":
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": _("Restore"),
                "row": row,
                "back": self._address("change", row.pk),
            }
            return TemplateResponse(request, "admin/households/restore.html", context)
        self._write(request, row, "edit", {}, {})
        self._note(request, audit.Action.RESTORE_ROW, row)
        messages.success(request, _("It is back as it was, on every device."))
        return HttpResponseRedirect(self._address("change", row.pk))

    def _address(self, page: str, row_id: Any) -> str:
        name = f"{self.opts.app_label}_{self.opts.model_name}_{page}"
        return reverse(f"{self.admin_site.name}:{name}", args=[row_id])

    # --- what was done: in the audit, by id; Django's log would keep names in public

    def _note(self, request: Any, action: audit.Action, obj: Any, fields: str = "") -> None:
        about = f"{self.opts.db_table} {obj.pk}"
        audit.note(action, request.household, request.user, f"{about}: {fields}".rstrip(": "))

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Said by `_note`."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Said by `_note`."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        """Said by `_note`."""

    def log_deletion(self, request: HttpRequest, obj: Any, object_repr: str) -> None:
        """Said by `_note`."""

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        return HttpResponseRedirect(
            f"{outside('admin:tenants_auditentry_changelist')}?q={object_id}"
        )


def stamps_of(row: SyncedModel) -> dict[str, str]:
    """A row's stamps by wire name; a field that was never written has none."""
    packed = row.sync_stamps or {}
    common = packed.get(EVERY_OTHER_FIELD)
    if common is None:
        return dict(packed)
    names = [wire_name(each.column) for each in row._meta.concrete_fields if _travels(each)]
    return {name: packed.get(name, common) for name in [*names, EXISTS]}


def _travels(field: models.Field) -> bool:
    return not field.primary_key and field.attname not in SyncedModel.SYNC_COLUMNS


def _wire_value(value: Any) -> Any:
    match value:
        case Decimal():
            return format(value.normalize(), "f") if value else "0"
        case models.Model():
            return str(value.pk)
    return value


def _stale(stamp: str, stored: Any) -> ValidationError:
    """Who changed this meanwhile, and to what."""
    node = node_of(stamp) if stamp else SERVER_NODE
    device = Device.objects.filter(node=node).first()
    who = str(device) if device else _("somebody on the server")
    return ValidationError(
        _(
            "%(who)s has changed this meanwhile; now it is: %(value)s. Nothing was saved. Open "
            "the page anew to begin from there."
        )
        % {"who": who, "value": stored}
    )
