from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from finwise import pages

urlpatterns = [
    path("", pages.home, name="home"),
    path(
        "sign-in/",
        LoginView.as_view(template_name="sign_in.html", redirect_authenticated_user=True),
        name="sign-in",
    ),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),  # takes POST only
    path("health/live", pages.alive, name="alive"),
    path("admin/", admin.site.urls),
]
