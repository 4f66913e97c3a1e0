"""What a device says of itself: hello when a conversation begins, and how it is at each ping.

As in the engine, the caller has opened the transaction, and the head is locked first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .core.clock import SERVER_NODE
from .core.cursor import text_to_cursor
from .core.errors import BadFrame, NotYours, Restarting
from .core.messages import Hello, Ping
from .core.records import Device, Head, NodeOwner
from .core.repository import Repository
from .engine import NOBODY, complete_up_to, is_lost, why_lost

DEVICES_MAX = 1_000  # of one household; the longest silent one makes room


@dataclass(slots=True)
class Greeting:
    """What a hello came to."""

    head: Head
    role: str
    reset: str | None
    resume: bool
    is_identity_taken: bool = False
    is_healing: bool = False
    nodes: frozenset[str] = frozenset()


def greet(repository: Repository, hello: Hello, user_id: str, now_ms: int) -> Greeting:
    """Register or recognise a device, and find out whether what it has read still holds.

    Raises NotYours, BadFrame.
    """
    if SERVER_NODE in (hello.node, *hello.former_nodes):
        raise BadFrame("Node zero is the server's.")
    head = repository.lock_head()
    device, role = repository.visitor(hello.device, user_id)
    if role is None:
        raise NotYours()
    owners = repository.owners_of([hello.node, *hello.former_nodes])
    if _is_taken(device, hello, user_id, owners):
        return Greeting(head, role, None, False, is_identity_taken=True)
    if device is None:
        if repository.count_devices() >= DEVICES_MAX:
            repository.forget_stalest_device()
        device = Device(hello.device, user_id, hello.node)
    # A former node that belongs to another person's device is not this device's.
    device.former_nodes = [
        node for node in hello.former_nodes if node not in owners or owners[node].user_id == user_id
    ]
    reason = _reset_reason(repository, head, device, hello)
    if reason is not None:
        device.last_number = max(device.last_number, hello.acknowledged)
        device.reset = reason
        device.read_seq = 0  # until it says that it holds the snapshot
    elif device.reset and hello.reset == device.reset:
        device.reset = ""  # noted durably by the device
    # What the device says counts, too: this database may have been restored once more since.
    device.is_healing = (reason or hello.reset) == "restored" and role != "viewer"
    device.acknowledged = max(device.acknowledged, min(hello.acknowledged, device.last_number))
    device.name, device.app = hello.name, hello.app
    device.pending = hello.pending
    device.last_seen_ms = device.told_ms = now_ms
    device.clock_offset_ms = hello.clock_ms - now_ms if hello.clock_ms else 0
    repository.write(head, now_ms, device=device)
    reset = device.reset or None
    return Greeting(
        head,
        role,
        reset,
        resume=hello.cursor is not None and reset is None,
        is_healing=device.is_healing,
        nodes=frozenset(device.nodes),
    )


def _is_taken(
    device: Device | None, hello: Hello, user_id: str, owners: Mapping[str, NodeOwner]
) -> bool:
    """Somebody else's device, a revoked one, or a copy that carries another's node."""
    if device is not None:
        return device.user_id != user_id or device.is_revoked or device.node != hello.node
    return hello.node in owners


def _reset_reason(repository: Repository, head: Head, device: Device, hello: Hello) -> str | None:
    """Why the device must take a snapshot, or None. The epoch is looked at first."""
    reason = None
    if hello.cursor is not None:
        cursor = text_to_cursor(hello.cursor)
        reason = "horizon" if cursor is None else why_lost(repository, head, cursor)
    is_of_another_past = hello.acknowledged > device.last_number or is_lost(
        repository, head, hello.anchor
    )
    if reason != "operator" and is_of_another_past:
        reason = "restored"
    if reason is None and device.reset and hello.reset != device.reset:
        reason = device.reset  # told before, but the device did not note it
    if reason == "horizon" and "restored" in (device.reset, hello.reset):
        reason = "restored"  # a second reset must not make the device forget to heal
    return reason


def note_ping(
    repository: Repository,
    device_id: str,
    user_id: str,
    ping: Ping,
    now_ms: int,
    anchor: str = "",
    acknowledged: int = 0,
) -> Head:
    """Keep how a device is (for operators and compaction). Returns the head.

    anchor: of the newest ack of this conversation; acknowledged: the greatest number it was
    said to be. If the database has been restored under it since, what was acknowledged may be
    missing: the device must not go on as if nothing had happened, but connect again and heal.
    Raises NotYours, Restarting.
    """
    head = repository.lock_head()
    device, role = repository.visitor(device_id, user_id)
    if role is None:
        raise NotYours()
    if device is None or device.user_id != user_id or device.is_revoked:
        raise Restarting()
    if acknowledged > device.last_number or is_lost(repository, head, anchor):
        raise Restarting("The household was restored; connect again.")
    cursor = text_to_cursor(ping.cursor) if ping.cursor else None
    if cursor is not None and cursor.epoch == head.epoch:
        device.read_seq = min(complete_up_to(cursor.position), head.seq)
    device.pending, device.refused, device.parked = ping.pending, ping.refused, ping.parked
    device.oldest_pending_ms = ping.oldest_pending_ms
    if ping.clock_ms:
        device.clock_offset_ms = ping.clock_ms - now_ms
    device.last_seen_ms = device.told_ms = now_ms
    repository.write(head, now_ms, device=device)
    return head


def note_reset(repository: Repository, device_id: str, now_ms: int, reason: str) -> None:
    """A device that was told of this reset pulls: it has noted it durably, and need not be told
    again. Another one that was forced since stays."""
    head = repository.lock_head()
    device, _ = repository.visitor(device_id, NOBODY)
    if device is not None and device.reset == reason:
        device.reset = ""
        repository.write(head, now_ms, device=device)
