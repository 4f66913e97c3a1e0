"""What the list of households shows, so that no page opens five hundred schemas.

Who looks into a household writes it (`syncapp/summarising.py`); a push never does.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from tenants.models import Summary, Tenant

# A household that is being served has a new one at least with every third beat.
RENEWED_AFTER = timedelta(seconds=45)
# Beyond this age its light proves nothing.
FRESH_FOR = timedelta(seconds=120)


def due(tenant_ids: Collection[UUID], *, older_than: timedelta = RENEWED_AFTER) -> list[UUID]:
    """Those of these households whose summary is old or missing, the oldest first."""
    fresh = dict(Summary.objects.filter(tenant_id__in=tenant_ids).values_list("tenant_id", "at"))
    limit = timezone.now() - older_than
    ready = Tenant.objects.filter(pk__in=tenant_ids, status=Tenant.Status.READY)
    old = [each for each in ready.values_list("pk", flat=True) if fresh.get(each, limit) <= limit]
    return sorted(old, key=lambda each: (each in fresh, fresh.get(each, limit)))


def write(tenant_id: UUID, **facts: Any) -> None:
    """Keep a household's summary; `facts` by the fields of `Summary`."""
    Summary.objects.update_or_create(tenant_id=tenant_id, defaults=facts)
