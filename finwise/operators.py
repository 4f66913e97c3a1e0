"""The admin at /admin/, for those who look after a site. What it shows is in each app's admin."""

from typing import Any

from django.contrib.admin.apps import AdminConfig
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _


class OperatorAdminConfig(AdminConfig):
    """django.contrib.admin, with our site in the place of its own."""

    default_site = "finwise.operators.make_site"


def make_site() -> Any:
    """The one site; made when the apps are loaded, because its forms need them."""
    from unfold.admin import ModelAdmin
    from unfold.sites import UnfoldAdminSite

    class OperatorSite(UnfoldAdminSite):
        """Shows only what was written for it.

        Apps of others bring pages of their own along, and some of those would show secrets
        (second factors, sessions).
        """

        index_title = _("Looking after households")

        def index(self, request: Any, extra_context: Any = None) -> Any:
            if request.user.has_perm("tenants.view_tenant"):
                return redirect("admin:tenants_tenant_changelist")
            return super().index(request, extra_context)

        def password_change(self, request: Any, extra_context: Any = None) -> Any:
            # Ours knows the second factor, tells by mail, and ends the other sessions.
            return redirect("account_change_password")

        def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
            if admin_class is not None and issubclass(admin_class, ModelAdmin):
                super().register(model_or_iterable, admin_class, **options)

    return OperatorSite()
