"""Who belongs to a household, as something that another server can read: by e-mail address."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from syncapp.core.errors import NotYours
from tenants.models import Tenant, User


@dataclass(frozen=True)
class Roster:
    """A household's name and its members: role by e-mail address, address by user."""

    name: str
    roles: dict[str, str]
    emails: dict[UUID, str]


def roster_of(tenant_id: UUID) -> Roster:
    """Return who belongs to a household. Raises NotYours if there is none (any more)."""
    tenant = Tenant.objects.exclude(status=Tenant.Status.DELETED).filter(pk=tenant_id).first()
    if tenant is None:
        raise NotYours
    members = list(tenant.memberships.select_related("user").order_by("user__email"))
    return Roster(
        tenant.name,
        {each.user.email: each.role for each in members},
        {each.user_id: each.user.email for each in members},
    )


def names_of(user_ids: Iterable[UUID]) -> dict[UUID, str]:
    """What people are called, for those who share a household with them."""
    return {each.pk: str(each) for each in User.objects.filter(pk__in=list(user_ids))}


def people_of(emails: Iterable[str]) -> dict[str, UUID]:
    """The people of this server who sign in with these addresses: id by address."""
    wanted = [User.objects.normalize_email(each) for each in emails]
    return dict(User.objects.filter(email__in=wanted).values_list("email", "id"))
