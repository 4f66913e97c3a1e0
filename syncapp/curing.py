"""What an operator can do for a household's devices without touching them.

Each is one transaction in the household's schema; the sockets concerned are ended with it, so
that the devices connect again and learn of it.
"""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from tenants.context import call_in_tenant
from tenants.names import schema_name

from . import upkeep
from .closing import close_inside_transaction
from .repository import PostgresRepository
from .sync_requests import request_sync_inside_transaction


def ask_to_sync(tenant_id: UUID, by: str) -> str:
    """Ask every connected device to sync now; returns the request's id."""
    return call_in_tenant(tenant_id, request_sync_inside_transaction, tenant_id, by)


def force_reset(tenant_id: UUID, device_id: UUID) -> None:
    """Let a device read everything anew. What waits on it is sent as ever.

    Raises LookupError if the household has no such device.
    """
    _cure(tenant_id, device_id, upkeep.force_reset, str(device_id))


def revoke_device(tenant_id: UUID, device_id: UUID) -> None:
    """End a device's identity for good. Its person may still sign in, on a new one.

    Raises LookupError if the household has no such device.
    """
    _cure(tenant_id, device_id, upkeep.revoke, str(device_id))


def forget_device(tenant_id: UUID, device_id: UUID) -> None:
    """Take a device off the list. If it ever comes back, it is as if the server had been restored:
    it reads everything anew, and brings what it has.

    Raises LookupError if the household has no such device.
    """
    _cure(tenant_id, device_id, _forget, str(device_id))


def _forget(repository: PostgresRepository, device_id: str, now_ms: int) -> None:
    repository.lock_head()
    if not repository.forget_device(device_id):
        raise LookupError(f"There is no device {device_id} in this household.")


def begin_new_epoch(tenant_id: UUID) -> str:
    """Let every device of a household read everything anew; returns the new epoch."""
    epoch: str = _cure(tenant_id, None, upkeep.new_epoch)
    return epoch


def _cure(tenant_id: UUID, device_id: UUID | None, function: Any, *args: Any) -> Any:
    def write(connection: Any) -> Any:
        repository = PostgresRepository(connection, schema_name(tenant_id))
        done = function(repository, *args, time.time_ns() // 1_000_000)
        close_inside_transaction(connection, tenant_id, device_id)
        return done

    return call_in_tenant(tenant_id, write)
