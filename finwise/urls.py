from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

from finwise import health
from finwise.webapp import views as webapp

# The admin's own way in would know neither second factors nor limits.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("", webapp.shell, name="home"),
    path("sw.js", webapp.service_worker, name="service-worker"),
    path("manifest.webmanifest", webapp.manifest, name="manifest"),
    path("accounts/", include("tenants.urls")),
    path("accounts/", include("allauth.urls")),
    path("health/live", health.alive, name="alive"),
    path("health/ready", health.ready, name="ready"),
    path("admin/", admin.site.urls),
]
