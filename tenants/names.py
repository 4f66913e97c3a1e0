"""The name of a household's schema: always generated from its UUID, never typed."""

import re
from uuid import UUID

TEMPLATE_SCHEMA = "household_template"
PUBLIC_SCHEMA = "public"

_TENANT_SCHEMA = re.compile(r"t_[0-9a-f]{32}")


class BadSchemaName(ValueError):
    """Not the name of a household's schema; found before any SQL is written with it."""


def schema_name(tenant_id: UUID) -> str:
    """Return the schema of a household: `t_` and the 32 hex digits of its UUID.

    Raises BadSchemaName if `tenant_id` is not a UUID: a name made from text that somebody
    typed would end up in SQL.
    """
    if not isinstance(tenant_id, UUID):
        raise BadSchemaName(f"A household is named by a UUID, not by {tenant_id!r}.")
    return f"t_{tenant_id.hex}"


def checked_schema_name(name: str) -> str:
    """Return `name` if it can be the schema of a household, for use inside SQL.

    Raises BadSchemaName for everything else. django-tenants' own check lets `public` and
    `information_schema` pass.
    """
    if not isinstance(name, str) or not _TENANT_SCHEMA.fullmatch(name):
        raise BadSchemaName(f"{name!r} is not the schema of a household.")
    return name
