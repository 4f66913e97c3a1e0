from typing import Any

from tenants.management.operating import Answer, OperatorCommand
from tenants.models import Membership, Tenant
from tenants.provisioning import needs_migration


class Command(OperatorCommand):
    help = "Show every household: its UUID, state, members and name."

    def work(self, **options: Any) -> Answer:
        tenants = Tenant.objects.order_by("created_at").prefetch_related("memberships__user")
        found = [_described(tenant) for tenant in tenants]
        lines = [] if found else ["There is no household yet. create_tenant makes one."]
        for each in found:
            state = each["status"] + ("" if each["current"] else ", behind: migrate_tenants")
            lines.append(f"{each['id']}  {state:<12}  {each['members']:>2}  {each['name']}")
            if each["trouble"]:
                lines.append(f"    {each['trouble']}")
        return Answer(found, lines)


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
