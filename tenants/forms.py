"""What people fill in, besides django-allauth's own forms.

allauth imports this file while it defines its forms, so it must not import those.
"""

from __future__ import annotations

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from tenants.models import User


class SignUpForm(forms.Form):
    """What is asked beside address and password."""

    display_name = forms.CharField(
        label=_("Your name"),
        max_length=User._meta.get_field("display_name").max_length,
        required=False,
        help_text=_("So the others in your household know who you are."),
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    field_order = ("display_name", "email", "password1")

    def signup(self, request: HttpRequest, user: User) -> None:
        """Called by allauth once the person exists."""
        user.display_name = self.cleaned_data["display_name"].strip()
        user.save(update_fields=["display_name"])
