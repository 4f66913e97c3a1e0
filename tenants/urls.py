from django.urls import path

from tenants.pages import account

urlpatterns = [
    path("", account.overview, name="account"),
]
