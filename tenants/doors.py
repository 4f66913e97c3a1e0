"""Members whose app was sent away before it could begin: no device of the household knows of it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from tenants.models import Membership

# Whoever knocks without end is written down once in this time.
NOTED_EVERY = timedelta(seconds=30)


def note_turned_away(tenant_id: UUID, user_id: UUID, code: str) -> None:
    """Keep that an app of this member was turned away just now, with a code of ours. Blocking.

    Does nothing for somebody who is no member: an unknown household must not be told apart.
    """
    now = timezone.now()
    long_ago = Q(turned_away_at=None) | Q(turned_away_at__lt=now - NOTED_EVERY)
    theirs = Membership.objects.filter(long_ago, tenant_id=tenant_id, user_id=user_id)
    theirs.update(turned_away_at=now, turned_away_code=code)
