"""Look whether everything that keeps households in step is sound, and mend it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from syncapp.core.errors import SyncError
from syncapp.doctor import Finding, look, mend
from syncapp.doctor.findings import found
from syncapp.registry import tables
from tenants import audit
from tenants.context import call_in_tenant
from tenants.faults import without_values
from tenants.management.operating import (
    Answer,
    OperatorCommand,
    add_households,
    households,
    progress,
)
from tenants.models import Membership, Tenant
from tenants.provisioning import migrate_household, needs_migration
from tenants.shape import (
    CannotComplete,
    Difference,
    complete,
    differences,
    has_schema,
    schemas_without_tenant,
    wanted_shape,
)


@dataclass
class Case:
    """One household: what was wrong before, and what still is."""

    tenant: str
    name: str
    findings: list[Finding]
    mended: list[Finding] = field(default_factory=list)
    failed: str = ""


class Command(OperatorCommand):
    help = (
        "Look whether everything that keeps households in step is sound: numbers, stamps, "
        "fingerprints, triggers, members, devices, schemas. Exit code 3 if it is not."
    )
    changes_something = True

    def add_options(self, parser: CommandParser) -> None:
        add_households(parser)
        parser.add_argument(
            "--repair", action="store_true", help="mend what can be mended without losing anything"
        )

    def work(self, **options: Any) -> Answer:
        wants_repair = options["repair"] and not options["dry_run"]
        chosen = households(options)
        wanted = wanted_shape()
        cases = [_visit(each, wanted, wants_repair) for each in progress(chosen, "households")]
        strays = [] if options["tenant"] else schemas_without_tenant()
        left = [each for case in cases for each in case.findings if each.severity == "problem"]
        failed = [f"{case.tenant} {case.name!r}: {case.failed}" for case in cases if case.failed]
        count = len(left) + len(strays)
        return Answer(
            {
                "households": len(cases),
                "problems": count,
                "repaired": sum(len(case.mended) for case in cases),
                "found": [_facts(case) for case in cases if case.findings or case.mended],
                "schemas_without_tenant": strays,
            },
            _lines(cases, strays, options),
            failed=failed,
            problems="" if not count else f"{count} {'problem' if count == 1 else 'problems'}.",
        )


def _visit(tenant: Tenant, wanted: set[str], wants_repair: bool) -> Case:
    case = Case(str(tenant.id), tenant.name, [])
    try:
        case.findings = _examine(tenant, wanted)
        if wants_repair and any(each.is_mendable for each in case.findings):
            before = case.findings
            _repair(tenant, before)
            tenant.refresh_from_db()
            case.findings = _examine(tenant, wanted)
            left = {(each.code, each.place) for each in case.findings}
            case.mended = [each for each in before if (each.code, each.place) not in left]
    except (SyncError, CannotComplete) as error:
        case.failed = str(error)
    except Exception as error:  # a household that cannot be looked at must not hide the others
        case.failed = without_values(error)
    return case


def _examine(tenant: Tenant, wanted: set[str]) -> list[Finding]:
    if tenant.status == Tenant.Status.DELETED:
        return []
    if not has_schema(tenant):
        if tenant.status == Tenant.Status.MAINTENANCE:
            return [found("tenant_in_trouble", more=tenant.trouble)]
        return [found("tenant_without_schema")]
    if tenant.status == Tenant.Status.PROVISIONING:
        return [found("tenant_unfinished")]
    if needs_migration(tenant):
        return [found("tenant_behind")]
    shape = [_about(each) for each in differences(tenant.schema_name, wanted)]
    findings = [found("tenant_in_trouble", more=tenant.trouble)] if tenant.trouble else []
    findings += shape
    if any(each.code in ("table_missing", "definition_missing") for each in shape):
        return findings  # the rows cannot be asked
    return findings + call_in_tenant(tenant.id, look, tenant.id, _roles(tenant), read_only=True)


def _repair(tenant: Tenant, findings: list[Finding]) -> None:
    """Mend what can be mended, and write it down in the same transaction: both, or neither.

    A migration is a transaction of its own: the household's line says how it went, and a
    household that is left migrated and nothing else is sound.
    """
    codes = {each.code for each in findings}
    if "tenant_without_schema" in codes:
        with transaction.atomic():
            # Empty tables would make every device believe that its household is empty.
            _close(tenant, "The schema is gone. Restore a backup, or import an export.")
            _write_down(tenant, findings)
        return
    if "tenant_behind" in codes:
        migrate_household(tenant)
    call_in_tenant(tenant.id, _mend, tenant, findings)


def _mend(connection: Any, tenant: Tenant, findings: list[Finding]) -> None:
    codes = {each.code for each in findings}
    lost = {each.place for each in findings if each.code == "table_missing"}
    has_lost_rows = bool(lost & {each.table for each in tables().values()})
    if has_lost_rows and "sync_head" in lost:
        # Devices could heal it, but only in the epoch that is gone, too.
        _close(tenant, "Tables are gone. Restore a backup, or import an export.")
        _write_down(tenant, findings)
        return
    if codes & {"table_missing", "trigger_missing", "function_differs"}:
        complete(tenant.schema_name)
    roles = _roles(tenant)
    rows = look(connection, tenant.id, roles)
    if has_lost_rows and any(each.code == "head_missing" for each in rows):
        _close(tenant, "Tables are gone. Restore a backup, or import an export.")
    else:
        mend(connection, tenant.id, rows, roles, has_lost_rows=has_lost_rows)
    _write_down(tenant, [*findings, *rows])


def _write_down(tenant: Tenant, findings: list[Finding]) -> None:
    codes = sorted({each.code for each in findings if each.is_mendable})
    audit.note(audit.Action.REPAIR, tenant, detail=", ".join(codes))


def _close(tenant: Tenant, trouble: str) -> None:
    """Devices wait, and keep what they have, until somebody has seen to it."""
    tenant.status, tenant.trouble = Tenant.Status.MAINTENANCE, trouble
    tenant.save(update_fields=["status", "trouble"])


def _roles(tenant: Tenant) -> dict[str, str]:
    members = Membership.objects.filter(tenant=tenant)
    return {str(user_id): role for user_id, role in members.values_list("user_id", "role")}


def _about(difference: Difference) -> Finding:
    kind, name, is_missing = difference
    if kind == "relation" and "." not in name and not name.endswith(("_pkey", "_key")):
        return found("table_missing", place=name)
    if kind == "trigger":
        return found("trigger_missing", place=name)
    if kind == "function":
        return found("function_differs", place=name)
    how = "missing or different" if is_missing else "not of this release"
    return found("definition_missing", place=name, more=f"The {kind} is {how}.")


def _facts(case: Case) -> dict[str, Any]:
    def told(finding: Finding) -> dict[str, Any]:
        return {**asdict(finding), "severity": finding.severity, "mendable": finding.is_mendable}

    return {
        "tenant": case.tenant,
        "name": case.name,
        "findings": [told(each) for each in case.findings],
        "repaired": [told(each) for each in case.mended],
    }


def _lines(cases: list[Case], strays: list[str], options: dict[str, Any]) -> list[str]:
    lines = []
    for case in cases:
        if case.findings or case.mended:
            lines.append(f"{case.tenant}  {case.name}")
        for each in case.mended:
            lines.append(f"  mended   {each.code}: {each.message}")
        for each in case.findings:
            lines.append(f"  {each.severity:<8} {each.code}: {each.message}")
            if each.is_mendable and not options["repair"]:
                lines.append("           --repair mends this.")
    for each in strays:
        lines.append(
            f"{each}\n  problem  schema_without_tenant: {found('schema_without_tenant').message}"
        )
    if not lines:
        lines.append(f"Nothing wrong in {len(cases)} of {len(cases)} households.")
    return lines
