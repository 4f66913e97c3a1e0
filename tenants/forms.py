"""What people fill in, besides django-allauth's own forms.

allauth imports this file while it defines its forms, so it must not import those.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from tenants.models import Membership, Tenant, Token, User


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


class ProfileForm(forms.ModelForm):
    """What others see of a person, and how we write to them."""

    class Meta:
        model = User
        fields = ("display_name", "language")
        labels: ClassVar = {"display_name": _("Your name"), "language": _("Language of our mails")}
        help_texts: ClassVar = {
            "display_name": _("So the others in your household know who you are.")
        }
        widgets: ClassVar = {"display_name": forms.TextInput(attrs={"autocomplete": "name"})}


class TokenForm(forms.Form):
    """A new token for a device or a program."""

    name = forms.CharField(
        label=_("What is it for?"),
        max_length=Token._meta.get_field("name").max_length,
        widget=forms.TextInput(attrs={"placeholder": "", "autocomplete": "off"}),
    )


class InvitationForm(forms.Form):
    """Whom to ask into a household, and for what."""

    email = forms.EmailField(
        label=_("E-mail address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    role = forms.ChoiceField(
        label=_("What may this person do?"),
        choices=Membership.Role.choices,
        initial=Membership.Role.EDITOR,
    )


class RemovalForm(forms.Form):
    """The end of a household: its name, typed, so that nobody ends the wrong one."""

    name = forms.CharField(
        label=_("Type the name of the household"),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    is_saved = forms.BooleanField(
        label=_("I have downloaded the export, or I do not need it."),
    )

    def __init__(self, *args: Any, household: Tenant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._household = household

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name.split() != self._household.name.split():
            raise forms.ValidationError(_("That is not the name of this household."))
        return name
