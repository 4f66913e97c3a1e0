"""Who did what to which household, for those who look after them. Never a value of a row."""

from __future__ import annotations

from enum import StrEnum

from tenants.models import AuditEntry, Tenant, User

BY_COMMAND = "manage.py"


class Action(StrEnum):
    """What can be done to a household from outside of it."""

    SYNC_NOW = "sync_now"
    FORCE_RESET = "force_reset"
    REVOKE_DEVICE = "revoke_device"
    FORGET_DEVICE = "forget_device"
    NEW_EPOCH = "new_epoch"
    COMPACT = "compact"
    EXPORT = "export"
    PROVISION = "provision"
    SET_ROLE = "set_role"
    END_MEMBERSHIP = "end_membership"
    REVOKE_TOKEN = "revoke_token"  # noqa: S105
    LOOK_INSIDE = "look_inside"
    EDIT_ROW = "edit_row"
    DELETE_ROW = "delete_row"
    RESTORE_ROW = "restore_row"


def note(
    action: Action, tenant: Tenant | None, actor: User | None = None, detail: str = ""
) -> AuditEntry:
    """Write down what was done.

    actor: None for a command. detail: which device, row or person; identifiers, not contents.
    """
    return AuditEntry.objects.create(
        action=action.value,
        tenant=tenant,
        tenant_name=tenant.name if tenant else "",
        actor=actor,
        actor_name=actor.email if actor else BY_COMMAND,
        detail=detail[:300],
    )
