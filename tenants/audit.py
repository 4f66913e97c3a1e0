"""Who did what to which household, for those who look after them. Never a value of a row."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext_lazy as _

from tenants.context import call_in_tenant
from tenants.models import AuditEntry, Tenant, User

Result = TypeVar("Result")

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
    IMPORT = "import"
    REPAIR = "repair"
    PROVISION = "provision"
    SET_ROLE = "set_role"
    END_MEMBERSHIP = "end_membership"
    REVOKE_TOKEN = "revoke_token"  # noqa: S105
    DELETE_PERSON = "delete_person"
    LOOK_INSIDE = "look_inside"
    REFUSED = "refused"  # the detail names what was tried
    EDIT_ROW = "edit_row"
    DELETE_ROW = "delete_row"
    RESTORE_ROW = "restore_row"


WORDS = {
    Action.SYNC_NOW: _("asked devices to sync"),
    Action.FORCE_RESET: _("let a device start over"),
    Action.REVOKE_DEVICE: _("revoked a device"),
    Action.FORGET_DEVICE: _("forgot a device"),
    Action.NEW_EPOCH: _("began a new epoch"),
    Action.COMPACT: _("removed old tombstones"),
    Action.EXPORT: _("exported everything"),
    Action.IMPORT: _("imported a file"),
    Action.REPAIR: _("mended what was unsound"),
    Action.PROVISION: _("made the household"),
    Action.SET_ROLE: _("said what a person may do"),
    Action.END_MEMBERSHIP: _("ended a membership"),
    Action.REVOKE_TOKEN: _("revoked a token"),
    Action.DELETE_PERSON: _("deleted a person"),
    Action.LOOK_INSIDE: _("looked inside"),
    Action.REFUSED: _("tried what they may not do"),
    Action.EDIT_ROW: _("changed a row"),
    Action.DELETE_ROW: _("deleted a row"),
    Action.RESTORE_ROW: _("restored a row"),
}


def words_for(action: str) -> str:
    """What was done, as people say it."""
    return str(WORDS[Action(action)]) if action in set(Action) else action


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


def do_and_note(
    action: Action,
    tenant: Tenant,
    actor: User | None,
    detail: str,
    function: Callable[..., Result],
    *args: Any,
) -> Result:
    """Return `function(*args)`, written down in the same transaction: both happen, or neither.

    function: writes to this household by `tenants.context`, which joins the transaction.

    Raises what `function` raises, Busy and DatabaseAway.
    """

    def both(connection: BaseDatabaseWrapper) -> Result:
        done = function(*args)
        note(action, tenant, actor, detail)
        return done

    return call_in_tenant(tenant.id, both)


def note_refusal(action: Action, tenant: Tenant, actor: User) -> AuditEntry:
    """Write down that somebody tried what they may not do; nothing was done."""
    return note(Action.REFUSED, tenant, actor, action.value)
