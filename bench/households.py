"""People, tokens and households for the measures. Blocking; Django has to be set up."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass

from tenants.memberships import set_role
from tenants.models import Membership, User
from tenants.names import schema_name
from tenants.provisioning import provision
from tenants.tokens import create_token


@dataclass(frozen=True)
class Household:
    """A household, and a token for each of its people; the first one owns it."""

    id: uuid.UUID
    tokens: tuple[str, ...]

    @property
    def schema(self) -> str:
        return schema_name(self.id)


def make_household(people: int = 1) -> Household:
    users = [make_user() for _ in range(people)]
    tenant = provision(uuid.uuid4(), "Bench", users[0].id, by_operator=True)
    for user in users[1:]:
        set_role(tenant, user, Membership.Role.EDITOR)
    return Household(tenant.id, tuple(create_token(user, "bench") for user in users))


def make_user() -> User:
    return User.objects.create_user(email=f"{secrets.token_hex(8)}@bench.example")
