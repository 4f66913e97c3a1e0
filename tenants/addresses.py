"""E-mail addresses, in the two places that must agree.

django-allauth keeps a person's addresses in a table of its own, and decides there which one
is confirmed. `User.email` and `User.email_verified` say the same of the primary one: that is
what everything else reads, and what an operator may write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allauth.account.models import EmailAddress

    from tenants.models import User


def before_save(user: User) -> None:
    """An object loaded before its address was confirmed must not take that back."""
    primary = _primary(user)
    if primary is not None and primary.email == user.email and primary.verified:
        user.email_verified = True


def after_save(user: User) -> None:
    """Let allauth know what somebody else wrote into the user: a command, the admin.

    A sign-up makes its own entry, so a new person without a confirmed address gets none here.
    """
    from allauth.account.models import EmailAddress

    primary = _primary(user)
    if primary is None:
        if user.email_verified:
            # A stranger may have typed this address before, without ever confirming it.
            EmailAddress.objects.filter(user=user, email=user.email).delete()
            EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    elif primary.email != user.email:
        EmailAddress.objects.filter(user=user, email=user.email).exclude(pk=primary.pk).delete()
        primary.email, primary.verified = user.email, user.email_verified
        primary.save()
    elif user.email_verified and not primary.verified:
        primary.verified = True
        primary.save()


def mirror(instance: EmailAddress, **kwargs: Any) -> None:
    """Called after every write of an EmailAddress: copy what holds now into the user."""
    from allauth.account.models import EmailAddress

    from tenants.models import User

    is_confirmed = EmailAddress.objects.filter(
        user_id=instance.user_id, primary=True, verified=True
    ).exists()
    User.objects.filter(pk=instance.user_id).exclude(email_verified=is_confirmed).update(
        email_verified=is_confirmed
    )


def confirmed_addresses(user: User) -> list[str]:
    """Return every address that this person has proved to be theirs."""
    from allauth.account.models import EmailAddress

    return list(
        EmailAddress.objects.filter(user=user, verified=True).values_list("email", flat=True)
    )


def _primary(user: User) -> EmailAddress | None:
    from allauth.account.models import EmailAddress

    return EmailAddress.objects.filter(user_id=user.pk, primary=True).first()
