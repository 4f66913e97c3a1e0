"""The devices of households, one by one: look at them, and end, reset or forget one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
from django.core.management.base import CommandParser

from syncapp.core.errors import SyncError
from syncapp.curing import force_reset, forget_device, revoke_device
from syncapp.overview import DeviceState, Overview, read_overview
from syncapp.views import wording
from tenants import audit
from tenants.context import call_in_tenant
from tenants.management.asking import bad_input
from tenants.management.operating import Answer, OperatorCommand, households, progress
from tenants.models import Tenant, User

CURES: dict[str, tuple[Callable[[UUID, UUID], None], audit.Action, str]] = {
    "revoke": (
        revoke_device,
        audit.Action.REVOKE_DEVICE,
        "is ended for good; its person may sign in again, as another device",
    ),
    "reset": (
        force_reset,
        audit.Action.FORCE_RESET,
        "reads everything anew, and keeps what it has not sent",
    ),
    "forget": (
        forget_device,
        audit.Action.FORGET_DEVICE,
        "is off the list; if it comes back, it brings what it has",
    ),
}


class Command(OperatorCommand):
    help = (
        "Show the devices of a household (or of all): whose, when seen, how far behind, what waits "
        "on them. Or end, reset or forget one of them."
    )
    changes_something = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", nargs="?", metavar="TENANT", help="UUID, schema or name")
        one = parser.add_mutually_exclusive_group()
        for name, (_, _, what) in CURES.items():
            one.add_argument(f"--{name}", metavar="DEVICE", help=f"by UUID or name: it {what}")

    def work(self, *, dry_run: bool, **options: Any) -> Answer:
        cure = next((name for name in CURES if options[name]), None)
        if cure is not None:
            return self._cure(cure, dry_run=dry_run, **options)
        lines: list[str] = []
        facts: list[dict[str, Any]] = []
        failed: list[str] = []
        for tenant in progress(households(options), "households"):
            if tenant.status != Tenant.Status.READY:
                continue
            try:
                overview = _overview(tenant)
            except SyncError as error:
                failed.append(f"{tenant.id}: {error.message}")
                continue
            people = _people(overview)
            facts += [
                {
                    "tenantId": str(tenant.id),
                    "person": people.get(each.user_id),
                    **msgspec.to_builtins(each),
                }
                for each in overview.devices
            ]
            lines += _lines(tenant, overview, people)
        return Answer(facts, lines or ["No device has connected yet."], failed=failed)

    def _cure(self, name: str, *, dry_run: bool, **options: Any) -> Answer:
        if not options["tenant"]:
            raise bad_input("Say which household the device belongs to.")
        (tenant,) = households(options)
        if tenant.status != Tenant.Status.READY:
            raise bad_input("This household is not ready: it is in maintenance, or was deleted.")
        device = _named(options[name], _overview(tenant))
        function, action, what = CURES[name]
        if not dry_run:
            audit.do_and_note(action, tenant, None, device.id, function, tenant.id, UUID(device.id))
        would = "It would be so: " if dry_run else ""
        return Answer(
            {"tenantId": str(tenant.id), "device": device.id, "done": name, "dry_run": dry_run},
            [f"{would}{device.name or device.id} of {tenant.name!r} {what}."],
        )


def _overview(tenant: Tenant) -> Overview:
    def read(connection: Any) -> Overview:
        return read_overview(connection, tenant.id, with_history=False)

    return call_in_tenant(tenant.id, read, read_only=True)


def _named(text: str, overview: Overview) -> DeviceState:
    """The device of this UUID, or the only one of this name."""
    found = [each for each in overview.devices if text in (each.id, each.name)]
    if not found:
        raise bad_input(f"This household has no device {text!r}.")
    if len(found) > 1:
        raise bad_input(f"Several devices are called {text!r}. Name one by its UUID.")
    return found[0]


def _people(overview: Overview) -> dict[str, str]:
    people = User.objects.filter(pk__in={each.user_id for each in overview.devices})
    return {str(key): email for key, email in people.values_list("pk", "email")}


def _lines(tenant: Tenant, overview: Overview, people: dict[str, str]) -> list[str]:
    lines = [f"{tenant.name} ({tenant.id})"] if overview.devices else []
    for each in overview.devices:
        here = "online " if each.is_online else "offline"
        ended = ", ended" if each.is_revoked else ""
        lines.append(
            f"  {each.id}  {here}  {each.name or '(no name)'}, {people.get(each.user_id, 'nobody')}"
            f"{ended}: {wording.about_device(each, overview.at_ms)}"
        )
    return lines
