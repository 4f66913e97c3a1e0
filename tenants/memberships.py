"""Who belongs to a household, in the two places that must agree.

The row in `public` answers "may this person come in"; the mirror in the household's own
schema answers "may this push be applied", read under the head's lock. Both are written in
one transaction that takes this lock first: a push either commits before the change, or
sees it. So does whoever acts by an owner's right (`by`): it is asked for under the lock,
because another owner may have taken it a moment before.
"""

from __future__ import annotations

from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from syncapp import repository
from tenants.access import announce
from tenants.context import call_in_tenant
from tenants.models import Invitation, Membership, Tenant, User


class NotMember(Exception):
    """Somebody who would have to belong to the household does not; nothing was changed."""


class NotOwner(Exception):
    """Whoever asked for it does not own the household, or not any more; nothing was changed."""


class LastOwner(Exception):
    """A household without an owner could never be managed again; nothing was changed."""


def set_role(tenant: Tenant, user: User, role: str, *, by: User | None = None) -> None:
    """Make `user` a member with this role, or change the role.

    by: the owner whose right it is, who can only change the role of a member; None for the
    operator.

    Raises ValueError for an unknown role, NotOwner, NotMember, LastOwner, Busy and
    DatabaseAway.
    """
    if role not in Membership.Role.values:
        raise ValueError(f"{role!r} is not a role; there are {', '.join(Membership.Role.values)}.")
    call_in_tenant(tenant.id, _change_role, tenant, user.id, role, by)


def end_membership(tenant: Tenant, user: User, *, by: User | None = None) -> None:
    """Take `user` out of the household: no push of theirs commits after this returns.

    Does nothing if there is no membership.

    by: the owner whose right it is; None for the operator, and for whoever leaves.

    Raises NotOwner, LastOwner, Busy and DatabaseAway.
    """
    call_in_tenant(tenant.id, _end_membership, tenant, user.id, by)


def hand_over(tenant: Tenant, giver: User, taker: User) -> None:
    """Make `taker` an owner in the place of `giver`, who may edit from then on.

    One transaction: there is never a moment without an owner, or with a half-done change.

    Raises NotMember if one of them does not belong to the household or `giver` does not own
    it, Busy and DatabaseAway.
    """
    call_in_tenant(tenant.id, _hand_over, tenant, giver.id, taker.id)


def delete_person(user: User) -> None:
    """Take a person out of every household and away, with everything that signs them in.

    What they entered stays, and so does the audit. All of it, or nothing.

    Raises LastOwner, which names the households that nobody could manage then; Busy and
    DatabaseAway.
    """
    memberships = user.memberships.exclude(tenant__status=Tenant.Status.DELETED)
    # In one order, so that two who are deleted at the same time do not wait for each other.
    found = memberships.select_related("tenant").order_by("tenant_id")
    alone = []
    with transaction.atomic():
        for tenant in [each.tenant for each in found]:
            try:
                end_membership(tenant, user)
            except LastOwner:
                alone.append(tenant)
        if alone:
            raise LastOwner(last_owner_of(alone))
        announce(connections[DEFAULT_DB_ALIAS], user.id)
        user.delete()


def last_owner_of(tenants: list[Tenant]) -> str:
    """The sentence for somebody without whom nobody could manage these households."""
    names = ", ".join(f"{tenant.name} ({tenant.id})" for tenant in tenants)
    return _(
        "Nobody else can manage %(names)s. Make somebody else an owner first, or delete what is "
        "not needed any more."
    ) % {"names": names}


def households_that_need(user: User) -> list[Tenant]:
    """The households that nobody but `user`, of those who may sign in, owns."""
    owned = Membership.objects.filter(user=user, role=Membership.Role.OWNER)
    living = owned.exclude(tenant__status=Tenant.Status.DELETED).select_related("tenant")
    found = [each.tenant for each in living.order_by("tenant__name", "tenant_id")]
    return [tenant for tenant in found if not _others_who_own(tenant, user.id).exists()]


def refuse_unless_owner(tenant: Tenant, by: User | None) -> None:
    """Raise NotOwner if `by`, who asks for something, does not own the household.

    Holds only under the head's lock: another owner may be taking the right away.
    """
    owners = Membership.objects.filter(tenant=tenant, role=Membership.Role.OWNER)
    if by is not None and not owners.filter(user=by, user__is_active=True).exists():
        raise NotOwner(_("Only an owner of the household may do that. Nothing was changed."))


def refuse_without_owner(tenant: Tenant, user_id: UUID) -> None:
    """Raise LastOwner if nobody who may sign in, but this person, owns the household.

    Holds only under the head's lock: two owners could leave at the same time.
    """
    owners = Membership.objects.filter(tenant=tenant, role=Membership.Role.OWNER)
    is_owner = owners.filter(user_id=user_id).exists()
    if is_owner and not _others_who_own(tenant, user_id).exists():
        raise LastOwner(_("A household needs an owner. Make somebody else an owner first."))


def _change_role(
    connection: BaseDatabaseWrapper, tenant: Tenant, user_id: UUID, role: str, by: User | None
) -> None:
    repository.lock_head(connection, tenant.schema_name)
    refuse_unless_owner(tenant, by)
    if by is not None and not Membership.objects.filter(tenant=tenant, user_id=user_id).exists():
        raise NotMember(_("This person does not belong to the household any more."))
    _set_role(connection, tenant, user_id, role)


def _hand_over(
    connection: BaseDatabaseWrapper, tenant: Tenant, giver_id: UUID, taker_id: UUID
) -> None:
    repository.lock_head(connection, tenant.schema_name)
    roles = dict(Membership.objects.filter(tenant=tenant).values_list("user_id", "role"))
    if roles.get(giver_id) != Membership.Role.OWNER or taker_id not in roles:
        raise NotMember(_("Only to a member of the household can it be handed over."))
    if giver_id == taker_id:
        return
    _set_role(connection, tenant, taker_id, Membership.Role.OWNER)
    _set_role(connection, tenant, giver_id, Membership.Role.EDITOR)


def _set_role(connection: BaseDatabaseWrapper, tenant: Tenant, user_id: UUID, role: str) -> None:
    repository.set_member(connection, tenant.schema_name, user_id, role)
    if role != Membership.Role.OWNER:
        refuse_without_owner(tenant, user_id)
        _withdraw_invitations(tenant, user_id)
    Membership.objects.update_or_create(tenant=tenant, user_id=user_id, defaults={"role": role})
    announce(connection, user_id)


def _end_membership(
    connection: BaseDatabaseWrapper, tenant: Tenant, user_id: UUID, by: User | None
) -> None:
    repository.lock_head(connection, tenant.schema_name)
    refuse_unless_owner(tenant, by)
    repository.remove_member(connection, tenant.schema_name, user_id)
    refuse_without_owner(tenant, user_id)
    _withdraw_invitations(tenant, user_id)
    Membership.objects.filter(tenant=tenant, user_id=user_id).delete()
    announce(connection, user_id)


def _withdraw_invitations(tenant: Tenant, user_id: UUID) -> None:
    """Who owns a household no more lets nobody in, with what was sent before either."""
    Invitation.objects.filter(
        tenant=tenant, invited_by=user_id, accepted_at=None, declined_at=None, withdrawn_at=None
    ).update(withdrawn_at=timezone.now())


def _others_who_own(tenant: Tenant, user_id: UUID) -> QuerySet[Membership]:
    owners = Membership.objects.filter(tenant=tenant, role=Membership.Role.OWNER)
    return owners.filter(user__is_active=True).exclude(user_id=user_id)
