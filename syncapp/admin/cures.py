"""What can be done for a household from the admin: each asks first, and is written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.utils.functional import Promise
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tenants.audit import Action
from tenants.models import Tenant, User

from .. import curing
from ..editing import compact_tombstones
from ..portable import export_household

Words = str | Promise


@dataclass(frozen=True)
class Cure:
    """One thing that can be done.

    explanation: what will happen, and what will not, before it is done. run: does it, and
    returns what is said afterwards, or the file that was asked for; its second argument is the
    device's UUID, if it is for a device. is_reading: it changes nothing.
    """

    action: Action
    title: Words
    explanation: Words
    button: Words
    run: Callable[[Tenant, Any, User], str | HttpResponse]
    is_for_device: bool = False
    is_grave: bool = False
    is_reading: bool = False


def _sync_now(tenant: Tenant, device_id: Any, by: User) -> str:
    curing.ask_to_sync(tenant.id, str(by))
    return _("All connected devices were asked to sync now.")


def _force_reset(tenant: Tenant, device_id: Any, by: User) -> str:
    curing.force_reset(tenant.id, device_id)
    return _("The device starts over as soon as it connects, which is now if it is online.")


def _revoke(tenant: Tenant, device_id: Any, by: User) -> str:
    curing.revoke_device(tenant.id, device_id)
    return _("The device is revoked, and its connection has ended.")


def _forget(tenant: Tenant, device_id: Any, by: User) -> str:
    curing.forget_device(tenant.id, device_id)
    return _("The device is off the list.")


def _new_epoch(tenant: Tenant, device_id: Any, by: User) -> str:
    curing.begin_new_epoch(tenant.id)
    return _("A new epoch has begun. Every device reads everything anew.")


def _compact(tenant: Tenant, device_id: Any, by: User) -> str:
    count = compact_tombstones(tenant.id)
    return _("Tombstones removed: %(count)s.") % {"count": count}


def _export(tenant: Tenant, device_id: Any, by: User) -> HttpResponse:
    answer = HttpResponse("".join(export_household(tenant.id)), content_type="application/jsonl")
    name = slugify(tenant.name) or tenant.id.hex
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.jsonl"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


CURES = {
    each.action.value: each
    for each in (
        Cure(
            Action.SYNC_NOW,
            gettext_lazy("Sync now"),
            gettext_lazy(
                "Every connected device is asked to send and receive now, and to report. Nothing "
                "is changed."
            ),
            gettext_lazy("Ask the devices"),
            _sync_now,
        ),
        Cure(
            Action.COMPACT,
            gettext_lazy("Compact"),
            gettext_lazy(
                "Rows that were deleted more than 90 days ago, and of which every active device "
                "has heard, are removed for good. Other rows stay as they are."
            ),
            gettext_lazy("Remove old tombstones"),
            _compact,
        ),
        Cure(
            Action.EXPORT,
            gettext_lazy("Export"),
            gettext_lazy(
                "Everything that the household has is written to a file that any FinWise can "
                "read, amounts included. Keep it as carefully as the household's people would. "
                "What a device has not sent yet is not in it."
            ),
            gettext_lazy("Download the file"),
            _export,
            is_reading=True,
        ),
        Cure(
            Action.NEW_EPOCH,
            gettext_lazy("New epoch"),
            gettext_lazy(
                "Every device of the household reads everything anew at its next connection, and "
                "those that are online do so now. What waits on a device is sent as ever; nothing "
                "is lost. This costs each device one full download."
            ),
            gettext_lazy("Begin a new epoch"),
            _new_epoch,
            is_grave=True,
        ),
        Cure(
            Action.FORCE_RESET,
            gettext_lazy("Start over"),
            gettext_lazy(
                "This one device reads everything anew at its next connection, now if it is "
                "online. What waits on it is kept and sent; nothing is lost."
            ),
            gettext_lazy("Let it start over"),
            _force_reset,
            is_for_device=True,
        ),
        Cure(
            Action.REVOKE_DEVICE,
            gettext_lazy("Revoke the device"),
            gettext_lazy(
                "The server takes nothing more under this device's identity, and no longer waits "
                "for it. Its person may still sign in on it, as a new device. If it was lost or "
                "stolen, end the person's sessions and tokens, too."
            ),
            gettext_lazy("Revoke this device"),
            _revoke,
            is_for_device=True,
            is_grave=True,
        ),
        Cure(
            Action.FORGET_DEVICE,
            gettext_lazy("Forget"),
            gettext_lazy(
                "The device is taken off the list. If it comes back, it is a new one and brings "
                "what it has."
            ),
            gettext_lazy("Forget this device"),
            _forget,
            is_for_device=True,
        ),
    )
}
