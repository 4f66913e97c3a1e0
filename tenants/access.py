"""Telling every process that a person's access may have changed.

Whoever serves sockets LISTENs on ACCESS_CHANNEL, and asks about that person's sockets
again (`authentication.is_still_valid`, `authentication.standing_of`). A notification that
is lost costs at most one periodic check.
"""

from __future__ import annotations

from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper

ACCESS_CHANNEL = "finwise_access"  # the payload is the person's UUID


def announce(connection: BaseDatabaseWrapper, user_id: UUID) -> None:
    """Notify once the transaction commits; never, if it does not."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [ACCESS_CHANNEL, str(user_id)])
