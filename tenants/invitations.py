"""Asking somebody to join a household.

An invitation goes to an e-mail address as a link with a secret; only a hash of it is kept.
It ends by being accepted, declined or withdrawn, or after some days. Whoever has confirmed
that address may accept without the link; whoever has the link and another address has to
say so expressly. It is worth what its sender may do: who owns the household no more has
invited nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import timedelta
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from syncapp import repository
from tenants.access import announce
from tenants.addresses import confirmed_addresses
from tenants.context import call_in_tenant
from tenants.memberships import refuse_unless_owner
from tenants.models import Invitation, Membership, Tenant, User

VALID_FOR = timedelta(days=14)
# Then nothing is left of it: it names an address of somebody who may never have come.
KEPT_FOR = timedelta(days=90)
# Bounds the mail that one person, or one household, can make us send.
PER_PERSON_AND_DAY = 50
OPEN_PER_HOUSEHOLD = 50

_LINK = re.compile(r"([0-9a-f]{32})-([A-Za-z0-9_-]{43})", re.ASCII)
_SECRET_BYTES = 32


class InvitationRefused(Exception):
    """What was asked for cannot be done; nothing was changed. The text says why."""


class AlreadyMember(InvitationRefused):
    """The person belongs to the household."""


class TooManyInvitations(InvitationRefused):
    """More than the limits above."""


class NoLongerOpen(InvitationRefused):
    """Used, declined, withdrawn, too old, or never there; nobody is told which."""


class OtherAddress(InvitationRefused):
    """The invitation went to an address that this person has not confirmed as theirs."""


def invite(
    tenant: Tenant, email: str, role: str, invited_by: User | None = None
) -> tuple[Invitation, str]:
    """Return a new invitation and the secret part of its link, which cannot be shown again.

    It takes the place of an open one to the same address. Sends nothing.

    invited_by: None for the operator, who has no limits.

    Raises NotOwner, AlreadyMember, TooManyInvitations, Busy and DatabaseAway, NotYours if the
    household is gone, and ValueError for an unknown role.
    """
    if role not in Membership.Role.values:
        raise ValueError(f"{role!r} is not a role; there are {', '.join(Membership.Role.values)}.")
    address = User.objects.normalize_email(email)
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    invitation: Invitation = call_in_tenant(
        tenant.id, _invite, tenant, address, role, invited_by, _hash(secret)
    )
    return invitation, f"{invitation.id.hex}-{secret}"


def open_invitations() -> QuerySet[Invitation]:
    """Return every invitation that can still be accepted."""
    still_owns = Membership.objects.filter(
        tenant=OuterRef("tenant"),
        user=OuterRef("invited_by"),
        user__is_active=True,
        role=Membership.Role.OWNER,
    )
    return Invitation.objects.filter(
        Q(invited_by=None) | Exists(still_owns),
        accepted_at=None,
        declined_at=None,
        withdrawn_at=None,
        expires_at__gt=timezone.now(),
    ).exclude(tenant__status=Tenant.Status.DELETED)


def invitation_of(link: str) -> Invitation | None:
    """Return the open invitation that this secret part of a link belongs to, or None."""
    parts = _LINK.fullmatch(link)
    if parts is None:
        return None
    found = (
        open_invitations().filter(pk=UUID(parts[1])).select_related("tenant", "invited_by").first()
    )
    # Compared in constant time; that an id exists tells nothing about its secret.
    if found is None or not hmac.compare_digest(found.secret_hash, _hash(parts[2])):
        return None
    return found


def open_invitations_of(tenant: Tenant) -> QuerySet[Invitation]:
    """Return what is still on its way, the newest first."""
    return (
        open_invitations()
        .filter(tenant=tenant)
        .select_related("invited_by")
        .order_by("-created_at")
    )


def invitations_for(user: User) -> QuerySet[Invitation]:
    """Return the open invitations to an address that `user` has confirmed."""
    return (
        open_invitations()
        .filter(email__in=confirmed_addresses(user))
        .select_related("tenant", "invited_by")
        .order_by("created_at")
    )


def is_for(invitation: Invitation, user: User) -> bool:
    """Whether the invitation went to an address that `user` has confirmed."""
    return invitation.email in confirmed_addresses(user)


def accept(invitation: Invitation, user: User, *, at_other_address: bool = False) -> None:
    """Make `user` a member of the household, with the role that was offered.

    Who belongs to it already keeps the role they have.

    at_other_address: the person has the link and said expressly that they want to join as
    somebody else than the one to whom it was sent.

    Raises OtherAddress, NoLongerOpen, Busy and DatabaseAway; NotYours if the household is gone.
    """
    if not at_other_address and not is_for(invitation, user):
        raise OtherAddress(_("This invitation went to another address than yours."))
    call_in_tenant(invitation.tenant_id, _accept, invitation, user.id)


def decline(invitation: Invitation) -> None:
    """Say no. Raises NoLongerOpen."""
    _end(invitation, "declined_at")


def withdraw(invitation: Invitation, *, by: User | None = None) -> None:
    """Take back what was sent.

    by: the owner whose right it is; None for the operator.

    Raises NotOwner, NoLongerOpen, Busy and DatabaseAway.
    """
    call_in_tenant(invitation.tenant_id, _withdraw, invitation, by)


def _invite(
    connection: BaseDatabaseWrapper,
    tenant: Tenant,
    address: str,
    role: str,
    invited_by: User | None,
    secret_hash: str,
) -> Invitation:
    # The head's lock comes first, as in every change of who belongs to a household. Twenty
    # invitations in the same moment count each other.
    repository.lock_head(connection, tenant.schema_name)
    refuse_unless_owner(tenant, invited_by)
    if Membership.objects.filter(tenant=tenant, user__email=address).exists():
        raise AlreadyMember(_("This person belongs to the household already."))
    now = timezone.now()
    Invitation.objects.filter(expires_at__lt=now - KEPT_FOR).delete()
    open_invitations().filter(tenant=tenant, email=address).update(withdrawn_at=now)
    if invited_by is not None:
        _refuse_beyond_limits(tenant, invited_by)
    return Invitation.objects.create(
        tenant=tenant,
        email=address,
        role=role,
        invited_by=invited_by,
        secret_hash=secret_hash,
        expires_at=now + VALID_FOR,
    )


def _withdraw(connection: BaseDatabaseWrapper, invitation: Invitation, by: User | None) -> None:
    repository.lock_head(connection, invitation.tenant.schema_name)
    refuse_unless_owner(invitation.tenant, by)
    _end(invitation, "withdrawn_at")


def _accept(connection: BaseDatabaseWrapper, invitation: Invitation, user_id: UUID) -> None:
    schema = invitation.tenant.schema_name
    repository.lock_head(connection, schema)
    # Asked under the lock: it may have been used, or its sender taken out, a moment ago.
    if not open_invitations().filter(pk=invitation.pk).exists():
        raise NoLongerOpen(_("This invitation is not valid any more. Ask for a new one."))
    place = {"tenant_id": invitation.tenant_id, "user_id": user_id}
    if not Membership.objects.filter(**place).exists():
        repository.set_member(connection, schema, user_id, invitation.role)
        Membership.objects.create(**place, role=invitation.role)
        announce(connection, user_id)
    Invitation.objects.filter(pk=invitation.pk).update(
        accepted_at=timezone.now(), accepted_by=user_id
    )


def _end(invitation: Invitation, how: str) -> None:
    # One statement: whoever comes second finds nothing to update.
    if not open_invitations().filter(pk=invitation.pk).update(**{how: timezone.now()}):
        raise NoLongerOpen(_("This invitation is not valid any more. Ask for a new one."))


def _refuse_beyond_limits(tenant: Tenant, invited_by: User) -> None:
    since = timezone.now() - timedelta(days=1)
    sent = Invitation.objects.filter(invited_by=invited_by, created_at__gt=since).count()
    if (
        sent >= PER_PERSON_AND_DAY
        or open_invitations().filter(tenant=tenant).count() >= OPEN_PER_HOUSEHOLD
    ):
        raise TooManyInvitations(_("These are too many invitations for now. Try again tomorrow."))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
