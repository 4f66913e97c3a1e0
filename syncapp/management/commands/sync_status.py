from __future__ import annotations

import time
from typing import Any

import msgspec
from django.core.management.base import CommandParser

from syncapp import summarising
from syncapp.core.errors import SyncError
from syncapp.light import Light
from syncapp.overview import DeviceState, Overview, read_overview
from syncapp.views import wording
from tenants.context import call_in_tenant
from tenants.management.asking import household_of
from tenants.management.operating import Answer, OperatorCommand, households, progress
from tenants.models import Tenant, User

WATCH_EVERY_S = 2.0
CLEAR = "\x1b[2J\x1b[H"


class Command(OperatorCommand):
    help = (
        "Show how households are: the light, every device, what waits where. Green needs "
        "evidence: every active device said lately that it has sent and read everything. Exit "
        "code 3 if somebody should look."
    )

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", nargs="?", metavar="TENANT", help="UUID, schema or name")
        parser.add_argument(
            "--watch", action="store_true", help="look again every two seconds, until Ctrl-C"
        )

    def work(self, *, watch: bool, **options: Any) -> Answer:
        if not watch:
            return self.look(options)
        try:
            while True:
                answer = self.look(options)
                if options["json"]:
                    self.stdout.write(msgspec.json.encode(answer.facts).decode())
                else:
                    start = CLEAR if self.stdout.isatty() else ""
                    self.stdout.write(start + "\n".join([*answer.lines, ""]))
                self.stdout.flush()
                time.sleep(WATCH_EVERY_S)
        except KeyboardInterrupt:
            raise SystemExit(0) from None

    def look(self, options: dict[str, Any]) -> Answer:
        if options["tenant"]:
            tenant = household_of(options["tenant"])
            return _one(tenant, _overview(tenant, with_history=True))
        return _all(households(options))


def _overview(tenant: Tenant, *, with_history: bool) -> Overview:
    found: Overview = call_in_tenant(tenant.id, _read, tenant.id, with_history, read_only=True)
    summarising.note(found)
    return found


def _read(connection: Any, tenant_id: Any, with_history: bool) -> Overview:
    return read_overview(connection, tenant_id, with_history=with_history)


def _one(tenant: Tenant, overview: Overview) -> Answer:
    named = {each.user_id for each in (*overview.devices, *overview.turned_away)}
    people = dict(User.objects.filter(pk__in=named).values_list("pk", "email"))
    emails = {str(key): email for key, email in people.items()}
    lines = [
        f"{tenant.name} ({tenant.id})",
        f"{wording.LIGHTS[overview.light]}: {wording.about_household(overview)}",
        f"head {overview.head}, {wording.size(overview.size_bytes)}, members {overview.members}",
        "",
    ]
    for each in overview.devices:
        lines += _device_lines(each, emails.get(each.user_id, "nobody"), overview.at_ms)
    if not overview.devices:
        lines.append("No device has connected yet.")
    if overview.asked is not None:
        told = wording.about_request(overview.asked, overview)
        when = wording.moment(overview.asked.at_ms, overview.at_ms)
        lines.append(f"Sync now by {overview.asked.by}, {when}: {told}")
    for turned in overview.turned_away:
        email = emails.get(turned.user_id, "nobody")
        when = wording.moment(turned.at_ms, overview.at_ms)
        lines.append(f"turned away {when}: {email}: {wording.why_turned_away(turned)}")
    for each in overview.refusals[:5]:
        name = overview.device_name(each.device_id)
        when = wording.moment(each.at_ms, overview.at_ms)
        lines.append(f"refused {when}: {each.entity} {each.field} ({each.code}) from {name}")
    facts = msgspec.to_builtins(overview) | {
        "name": tenant.name,
        "status": tenant.status,
        "people": emails,
    }
    return Answer(facts, lines, problems=_problems(int(overview.light is Light.AMBER)))


def _device_lines(device: DeviceState, email: str, now_ms: int) -> list[str]:
    here = "online " if device.is_online else "offline"
    extra = wording.clock_of(device)
    return [
        f"  {device.name or '(no name)':<20} {here}  {wording.LIGHTS[device.light]}: "
        f"{wording.about_device(device, now_ms)}" + (f" ({extra})" if extra else ""),
        f"    {device.id}  {email}  {device.app or 'app not named'}  read {device.read_seq}",
    ]


def _all(tenants: list[Tenant]) -> Answer:
    lines, facts, failed, amber = [], [], [], 0
    for tenant in progress(tenants, "households"):
        fact = {"tenantId": str(tenant.id), "name": tenant.name, "status": tenant.status}
        if tenant.status == Tenant.Status.MAINTENANCE:
            amber += 1
            facts.append(fact | {"light": Light.AMBER.value})
            lines.append(f"{tenant.id}  in maintenance      {tenant.name}: {tenant.trouble}")
            continue
        try:
            overview = _overview(tenant, with_history=False)
        except SyncError as error:
            failed.append(f"{tenant.id}: {error.message}")
            continue
        amber += overview.light is Light.AMBER
        facts.append(fact | msgspec.to_builtins(overview))
        online = f"{overview.online}/{len(overview.devices)} online"
        lines.append(
            f"{tenant.id}  {wording.LIGHTS[overview.light]:<13} {online:<13} {tenant.name}"
        )
    if not tenants:
        lines.append("There is no household yet. create_tenant makes one.")
    return Answer(facts, lines, failed, _problems(amber))


def _problems(amber: int) -> str:
    return f"Households that need a look: {amber}." if amber else ""
