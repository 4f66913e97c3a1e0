"""The addresses below /admin/household/<uuid>/; see site.py."""

from django.urls import path

from .site import household_site

urlpatterns = [path("", household_site.urls)]
