from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from finwise import pages
from finwise.webapp import views as webapp

urlpatterns = [
    path("", webapp.shell, name="home"),
    path("sw.js", webapp.service_worker, name="service-worker"),
    path("manifest.webmanifest", webapp.manifest, name="manifest"),
    path(
        "sign-in/",
        LoginView.as_view(template_name="sign_in.html", redirect_authenticated_user=True),
        name="sign-in",
    ),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),  # takes POST only
    path("health/live", pages.alive, name="alive"),
    path("admin/", admin.site.urls),
]
