"""How people come in: what is ours about django-allauth's sign-in.

allauth knows passwords, second factors, confirmations and limits. This file adds who may
sign up, in which language a person is greeted, and that secrets are encrypted at rest.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets
import smtplib
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.hashers import make_password
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from tenants.invitations import open_invitations
from tenants.models import Invitation, User
from tenants.unproven import is_confirmed_by_another, void_keys

log = logging.getLogger(__name__)

_MAIL_IS_ON_ITS_WAY = "account/messages/email_confirmation_sent.txt"
_INVITATION = "invitation"  # in the session: the one whose link this visitor has


class AccountAdapter(DefaultAccountAdapter):
    """Signing up and signing in."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Whether this visitor may make an account."""
        return settings.ACCOUNT_IS_OPEN or _invited_as(request) is not None

    def is_email_verified(self, request: HttpRequest, email: str) -> bool:
        """Who came by the link in a mail has shown that the mail reached them."""
        return email.lower() == _invited_as(request)

    def get_client_ip(self, request: HttpRequest) -> str:
        """The visitor's address, as limits count and the list of sessions shows it.

        Of an IPv6 address its network: whoever has one has 2^64 of them, and would have as many
        attempts.

        Raises PermissionDenied if there is none.
        """
        try:
            address = ip_address(super().get_client_ip(request).strip())
        except ValueError:
            raise PermissionDenied("no address of a visitor") from None  # a proxy made it up
        if isinstance(address, IPv4Address):
            return str(address)
        return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Confirm an address; if its account was somebody else's so far, it is not any more."""
        is_another = is_confirmed_by_another(request, email_address)
        is_confirmed = super().confirm_email(request, email_address)
        if is_confirmed and is_another:
            void_keys(User.objects.get(pk=email_address.user_id))
        return is_confirmed

    def add_message(
        self,
        request: HttpRequest,
        level: int,
        message_template: str | None = None,
        *rest: Any,
        **more: Any,
    ) -> None:
        """Never say that a mail is on its way when it is not."""
        has_failed = getattr(request.allauth, "has_failed_to_send", False)  # type: ignore[attr-defined]
        if not (has_failed and message_template == _MAIL_IS_ON_ITS_WAY):
            super().add_message(request, level, message_template, *rest, **more)

    def send_account_already_exists_mail(self, email: str) -> None:
        """Signing up with an address that is known takes as long as with one that is not."""
        make_password(secrets.token_urlsafe())
        super().send_account_already_exists_mail(email)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send it, or log that it could not be sent; the person can ask for it again.

        Who is not signed in reads the same either way: mail goes to known and to unknown
        addresses, and a failure would tell them apart.
        """
        try:
            super().send_mail(template_prefix, email, context)
        except (smtplib.SMTPException, OSError) as error:
            log.error("a mail could not be sent: %s", type(error).__name__)
            self.request.allauth.has_failed_to_send = True  # allauth's own notes of a request
            if self.request.user.is_authenticated:
                messages.error(
                    self.request, _("The mail could not be sent. Please try again later.")
                )

    def save_user(
        self, request: HttpRequest, user: User, form: forms.Form, commit: bool = True
    ) -> User:
        """Keep the language in which the person signed up: mails will speak it."""
        language = (get_language() or "").partition("-")[0]
        if language in dict(settings.LANGUAGES):
            user.language = language
        return super().save_user(request, user, form, commit)


def remember_invitation(request: HttpRequest, invitation: Invitation) -> None:
    """This visitor has the link of the invitation: may sign up, at that address confirmed."""
    request.session[_INVITATION] = str(invitation.pk)


def _invited_as(request: HttpRequest) -> str | None:
    number = request.session.get(_INVITATION)
    found = open_invitations().filter(pk=number).first() if number else None
    return found.email if found else None


class SecondFactorAdapter(DefaultMFAAdapter):
    """TOTP secrets and recovery codes: a copy of the database alone opens no account."""

    def get_totp_issuer(self) -> str:
        return "FinWise"

    def encrypt(self, text: str) -> str:
        return _keys().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return what was encrypted under the secret key or one of its predecessors.

        Raises the adapter's validation error if the secret key was replaced without keeping
        the old one in SECRET_KEY_FALLBACKS.
        """
        try:
            return _keys().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            raise self.validation_error("incorrect_code") from None

    def get_public_key_credential_rp_entity(self) -> dict[str, Any]:
        return {**super().get_public_key_credential_rp_entity(), "name": "FinWise"}


def _keys() -> MultiFernet:
    known = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return MultiFernet([Fernet(_derived(each)) for each in known])


def _derived(secret: str) -> bytes:
    # The secret key has full entropy (settings refuse a weak one), so no slow hash is needed.
    digest = hashlib.blake2b(secret.encode(), digest_size=32, person=b"finwise-2factor")
    return base64.urlsafe_b64encode(digest.digest())
