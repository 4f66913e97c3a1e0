from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandParser

from syncapp.curing import ask_to_sync
from syncapp.light import Reason
from syncapp.overview import Asked, Overview, read_overview
from syncapp.sync_requests import reports_of
from syncapp.views import wording
from tenants import audit
from tenants.context import call_in_tenant
from tenants.management.asking import bad_input
from tenants.management.operating import Answer, OperatorCommand, households, progress
from tenants.models import Tenant

LOOK_EVERY_S = 0.2
# Every process hears of the request, and writes down whom it has asked, within this time.
ASKING_S = 1.5


class Command(OperatorCommand):
    help = (
        "Ask every connected device of a household to sync now. With --wait, wait for their "
        "answers; exit code 3 if one could not finish or did not answer."
    )

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", nargs="?", metavar="TENANT", help="UUID, schema or name")
        parser.add_argument("--all", action="store_true", help="every household")
        parser.add_argument("--wait", action="store_true", help="until all have answered")
        parser.add_argument(
            "--patience",
            type=float,
            default=30.0,
            metavar="SECONDS",
            help="with --wait: how long (%(default)s)",
        )

    def work(self, *, wait: bool, patience: float, **options: Any) -> Answer:
        if not options["tenant"] and not options["all"]:
            raise bad_input("Name a household, or say --all.")
        tenants = [each for each in households(options) if each.status == Tenant.Status.READY]
        if options["tenant"] and not tenants:
            raise bad_input("This household is not ready: it is in maintenance, or was deleted.")
        requests = {}
        for tenant in progress(tenants, "households"):
            asking = (ask_to_sync, tenant.id, audit.BY_COMMAND)
            requests[tenant.id] = audit.do_and_note(
                audit.Action.SYNC_NOW, tenant, None, "", *asking
            )
        gives_up_s = time.monotonic() + max(patience, ASKING_S)
        if wait:
            time.sleep(ASKING_S)
        lines, facts, unfinished = [], [], 0
        for tenant in tenants:
            overview = call_in_tenant(tenant.id, read_overview, tenant.id, read_only=True)
            asked = _asked(tenant, requests[tenant.id], gives_up_s if wait else 0.0)
            facts.append(_facts(tenant, asked, overview))
            if not wait:
                lines.append(f"{tenant.name}: devices online {overview.online}; asked to sync now.")
                continue
            lines.append(f"{tenant.name}: {wording.about_request(asked, overview)}")
            unfinished += len(asked.answers) - asked.done
        problems = f"Devices that did not finish: {unfinished}." if unfinished else ""
        return Answer(facts, lines, problems=problems)


def _asked(tenant: Tenant, request_id: str, gives_up_s: float) -> Asked:
    """Who was asked and has answered; waits for the rest until that monotonic time."""
    while True:
        answers = call_in_tenant(tenant.id, reports_of, tenant.id, request_id, read_only=True)
        asked = Asked(id=request_id, by=audit.BY_COMMAND, at_ms=0, answers=list(answers.values()))
        if not asked.waiting or time.monotonic() > gives_up_s:
            return asked
        time.sleep(LOOK_EVERY_S)


def _facts(tenant: Tenant, asked: Asked, overview: Overview) -> dict[str, Any]:
    known = {each.device_id for each in asked.answers}
    return {
        "tenantId": str(tenant.id),
        "name": tenant.name,
        "request": asked.id,
        "answers": [each._asdict() for each in asked.answers],
        "offline": [
            each.id
            for each in overview.devices
            if each.id not in known
            and not each.is_online
            and each.reason not in (Reason.REVOKED, Reason.INACTIVE)
        ],
    }
