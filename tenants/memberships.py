"""Who belongs to a household, in the two places that must agree.

The row in `public` answers "may this person come in"; the mirror in the household's own
schema answers "may this push be applied", read under the head's lock. Both are written in
one transaction that takes this lock first: a push either commits before the change, or
sees it.
"""

from __future__ import annotations

from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext as _

from syncapp import repository
from tenants.access import announce
from tenants.context import call_in_tenant
from tenants.models import Membership, Tenant, User


class NotMember(Exception):
    """Somebody who would have to belong to the household does not; nothing was changed."""


class LastOwner(Exception):
    """A household without an owner could never be managed again; nothing was changed."""


def set_role(tenant: Tenant, user: User, role: str) -> None:
    """Make `user` a member with this role, or change the role.

    Raises ValueError for an unknown role, LastOwner, Busy and DatabaseAway.
    """
    if role not in Membership.Role.values:
        raise ValueError(f"{role!r} is not a role; there are {', '.join(Membership.Role.values)}.")
    call_in_tenant(tenant.id, _set_role, tenant, user.id, role)


def end_membership(tenant: Tenant, user: User) -> None:
    """Take `user` out of the household: no push of theirs commits after this returns.

    Does nothing if there is no membership. Raises LastOwner, Busy and DatabaseAway.
    """
    call_in_tenant(tenant.id, _end_membership, tenant, user.id)


def hand_over(tenant: Tenant, giver: User, taker: User) -> None:
    """Make `taker` an owner in the place of `giver`, who may edit from then on.

    One transaction: there is never a moment without an owner, or with a half-done change.

    Raises NotMember if one of them does not belong to the household or `giver` does not own
    it, Busy and DatabaseAway.
    """
    call_in_tenant(tenant.id, _hand_over, tenant, giver.id, taker.id)


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
    Membership.objects.update_or_create(tenant=tenant, user_id=user_id, defaults={"role": role})
    announce(connection, user_id)


def _end_membership(connection: BaseDatabaseWrapper, tenant: Tenant, user_id: UUID) -> None:
    repository.remove_member(connection, tenant.schema_name, user_id)
    refuse_without_owner(tenant, user_id)
    Membership.objects.filter(tenant=tenant, user_id=user_id).delete()
    announce(connection, user_id)


def refuse_without_owner(tenant: Tenant, user_id: UUID) -> None:
    """Raise LastOwner if nobody who may sign in, but this person, owns the household.

    Holds only under the head's lock: two owners could leave at the same time.
    """
    owners = Membership.objects.filter(tenant=tenant, role=Membership.Role.OWNER)
    is_owner = owners.filter(user_id=user_id).exists()
    if is_owner and not owners.filter(user__is_active=True).exclude(user_id=user_id).exists():
        raise LastOwner(_("A household needs an owner. Make somebody else an owner first."))
