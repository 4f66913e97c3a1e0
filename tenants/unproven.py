"""Accounts that were used before anybody showed that their address is theirs.

Whoever typed a stranger's address must not keep the account when the stranger confirms it.
"""

from __future__ import annotations

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from tenants.models import Token, User
from tenants.sessions import end_all_sessions


def is_confirmed_by_another(request: HttpRequest, address: EmailAddress) -> bool:
    """Whether this confirmation, about to be made, comes from a browser that does not use the
    account, which was used before and has no confirmed address yet.

    Only of a link in a mail: whoever resets the password takes the account that way.
    """
    match = request.resolver_match
    if match is None or match.url_name != "account_confirm_email":
        return False
    was_used = User.objects.filter(pk=address.user_id, last_login__isnull=False).exists()
    is_proven = EmailAddress.objects.filter(user_id=address.user_id, verified=True).exists()
    return was_used and not is_proven and request.user.pk != address.user_id


def void_keys(user: User) -> None:
    """Take every way in from whoever has used this account; its owner resets the password."""
    with transaction.atomic():
        user.set_unusable_password()
        user.save(update_fields=["password"])
        end_all_sessions(user)
        Token.objects.filter(user=user, revoked_at=None).update(revoked_at=timezone.now())
        Authenticator.objects.filter(user=user).delete()
