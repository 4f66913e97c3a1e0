from pathlib import Path

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from finwise import finwise04, health
from finwise.webapp import views as webapp
from syncapp.admin.site import enter
from tenants.finwise04 import urlpatterns as finwise04_api

# The admin's own way in would know neither second factors nor limits.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("", webapp.shell, name="home"),
    path("sw.js", webapp.service_worker, name="service-worker"),
    path("manifest.webmanifest", webapp.manifest, name="manifest"),
    path("accounts/", include("tenants.urls")),
    path("accounts/", include("allauth.urls")),
    path("api/", include("tenants.api")),
    path("api/", include("syncapp.api")),
    path("health/live", health.alive, name="alive"),
    path("health/ready", health.ready, name="ready"),
    path("sync/", include("syncapp.urls")),
    path("admin/household/<uuid:tenant_id>/", enter, name="household-admin"),
    path("admin/household/<uuid:tenant_id>/<path:rest>", enter),
    path("admin/", admin.site.urls),
    path("", include("tenants.finwise04")),  # unknown addresses unless FINWISE04_ENABLED
]
if settings.FINWISE04_ENABLED and settings.FINWISE04_APP_DIR:
    app = finwise04.App(Path(settings.FINWISE04_APP_DIR))
    first, rest = app.urlpatterns(finwise04_api)
    urlpatterns = [*first, *urlpatterns, *rest]
