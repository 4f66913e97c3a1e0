import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from tenants.models import Membership, Tenant
from tenants.provisioning import needs_migration


class Command(BaseCommand):
    help = "Show every household: its UUID, state, members and name."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON array, for programs")

    def handle(self, **options: Any) -> None:
        tenants = Tenant.objects.order_by("created_at").prefetch_related("memberships__user")
        found = [_described(tenant) for tenant in tenants]
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2))
            return
        if not found:
            self.stdout.write("There is no household yet. create_tenant makes one.")
        for each in found:
            state = each["status"] + ("" if each["current"] else ", behind: migrate_tenants")
            self.stdout.write(f"{each['id']}  {state:<12}  {each['members']:>2}  {each['name']}")
            if each["trouble"]:
                self.stdout.write(f"    {each['trouble']}")


def _described(tenant: Tenant) -> dict[str, Any]:
    memberships = list(tenant.memberships.all())
    owners = [each.user.email for each in memberships if each.role == Membership.Role.OWNER]
    is_deleted = tenant.status == Tenant.Status.DELETED
    return {
        "id": str(tenant.id),
        "name": tenant.name,
        "schema": tenant.schema_name,
        "status": tenant.status,
        "current": is_deleted or not needs_migration(tenant),
        "trouble": tenant.trouble,
        "owners": sorted(owners),
        "members": len(memberships),
        "created_at": tenant.created_at.isoformat(),
    }
