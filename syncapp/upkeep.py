"""What operators and the timetable do to a household's bookkeeping, outside of any conversation.

As in the engine, the caller has opened the transaction, and the head is locked first.
"""

from __future__ import annotations

import secrets

from .core.clock import NO_STAMP, SERVER_NODE, next_stamp
from .core.records import Device, Head
from .core.repository import Repository
from .engine import NOBODY

RETENTION_MS = 90 * 24 * 3600 * 1000


def force_reset(repository: Repository, device_id: str, now_ms: int) -> None:
    """Make a device take a snapshot at its next hello; its outbox is sent as ever.

    Raises LookupError if there is no such device.
    """
    head, device = _device_of(repository, device_id)
    # A server that was restored needs this device's rows: that reason is the stronger one.
    device.reset = device.reset or ("restored" if device.is_healing else "operator")
    device.read_seq = 0
    repository.write(head, now_ms, device=device)


def revoke(repository: Repository, device_id: str, now_ms: int) -> None:
    """End an identity for good: nothing more is taken from it, and nobody waits for it.

    Raises LookupError if there is no such device.
    """
    head, device = _device_of(repository, device_id)
    device.is_revoked = True
    repository.write(head, now_ms, device=device)


def new_epoch(repository: Repository, now_ms: int) -> str:
    """Begin another life of the household: every device takes a snapshot. Returns the epoch."""
    head = repository.lock_head()
    head.epoch = secrets.token_hex(16)
    repository.write(head, now_ms)
    return head.epoch


def _device_of(repository: Repository, device_id: str) -> tuple[Head, Device]:
    head = repository.lock_head()
    device, _ = repository.visitor(device_id, NOBODY)
    if device is None:
        raise LookupError(f"There is no device {device_id} in this household.")
    return head, device


def compact(repository: Repository, now_ms: int, *, retention_ms: int = RETENTION_MS) -> int:
    """Remove old tombstones that every active device has read past; returns how many.

    A device silent for the retention time is not active: it will get a reset `horizon`.
    """
    head = repository.lock_head()
    before_ms = now_ms - retention_ms
    least = repository.least_read_seq(before_ms)
    up_to_seq = head.seq if least is None else min(least, head.seq)
    before_stamp = next_stamp(NO_STAMP, max(before_ms, 0), SERVER_NODE)
    count, newest_delete, newest_seq = repository.compact(before_stamp, up_to_seq)
    if count:
        head.horizon = max(head.horizon, newest_delete)
        head.compactions += 1
        head.compacted_seq = max(head.compacted_seq, newest_seq)
    repository.prune(before_ms)
    repository.write(head, now_ms)
    return count
