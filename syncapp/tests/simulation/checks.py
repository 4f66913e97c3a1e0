"""What has to be true of a story: at each step, and at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .device import Device
from .oracle import EXISTS, newest, require
from .server import difference

if TYPE_CHECKING:
    from .simulation import Simulation

FINAL = {"applied", "superseded", "healed", "folded", "given up", "lost with the phone"}
VISIBLE = {"refused", "parked"}


def check_light(simulation: Simulation, device: Device) -> None:
    """ "Up to date" is only said when nothing is pending or unconfirmed."""
    if not device.talk.is_up_to_date(simulation.ms):
        return
    queue = device.queue()
    require(
        all(state == "refused" for state in queue.values()),
        f"{device.name} says that it is up to date",
        queue,
    )
    for local, made in device.diary.made.items():
        require(
            made.ends in FINAL or queue.get(local) == "refused",
            f"{device.name} says that it is up to date, and {local} has no fate",
            made,
        )


def check_end(simulation: Simulation) -> None:
    """All replicas are equal; every change has one fate; nothing acknowledged is missing."""
    simulation.server.compare()
    for device in simulation.devices:
        _check_replica(simulation, device)
        _check_fates(simulation, device)
        _check_debts(simulation, device)
        _check_resets(simulation, device)


def _check_replica(simulation: Simulation, device: Device) -> None:
    oracle = simulation.oracle
    base = device.base()
    rows = {key: cells for key, cells in base.items() if key[0] != "conflict"}
    kept = device.kept()
    for key in sorted(rows.keys() - oracle.rows.keys()):
        # Tombstones that the server has compacted may stay.
        is_old = not rows[key][EXISTS].value and newest(rows[key]) <= oracle.state.horizon
        if (is_old and key in oracle.compacted) or key in kept:
            del rows[key]
    facts = difference(rows, oracle.without_compacted(oracle.rows, rows))
    require(not facts, f"{device.name} holds what the server holds (its, the server's)", *facts)
    missing = oracle.disputes - device.disputes(base) - device.dropped
    require(not missing, f"{device.name} has all conflicts", *sorted(missing))


def _check_fates(simulation: Simulation, device: Device) -> None:
    queue = device.queue()
    for local, made in device.diary.made.items():
        is_visible = queue.get(local) in VISIBLE and made.ends in VISIBLE
        require(
            is_visible or (made.ends in FINAL and local not in queue),
            f"each change of {device.name} has one fate; {local} has none",
            made,
            queue.get(local),
        )
    require(queue.keys() <= device.diary.made.keys(), "the queue holds what was made", queue)
    meta = device.replica.meta
    last = device.oracle.state.numbers.get(meta.device, 0)
    # A push that was refused takes no seq. If a standby takes over that stands at the same head and
    # never heard of it, nothing is missing; the device's next push names numbers that are ahead,
    # and the server starts it over and adopts them (R-CURSOR-2).
    is_adopted = simulation.restored_ms > 0 and not device.open_numbers()
    require(
        meta.next_number <= last + 1 or is_adopted,
        f"{device.name}'s numbers have no hole",
        meta,
        last,
    )


def _check_resets(simulation: Simulation, device: Device) -> None:
    """No reset is left, on either side: the next hello would begin all over.

    A backup may bring one back that was noted: it is told once more, and costs a snapshot.
    """
    meta = device.replica.meta
    known, _ = simulation.ground.read(_visitor, meta.device, device.user)
    is_noted = known is not None and not (known.reset or known.is_healing)
    require(
        meta.reset is None and (is_noted or simulation.restored_ms > 0),
        f"the resets of {device.name} are over",
        known,
        meta,
    )


def _visitor(repository: Any, device_id: str, user_id: str) -> Any:
    return repository.visitor(device_id, user_id)


def _check_debts(simulation: Simulation, device: Device) -> None:
    """What a device held when the server was restored is there again, or something newer.

    Not of a row that lies before the horizon: it may have been deleted and compacted since, or
    its device was silent for so long that the server waited no more. Then it may also have
    been made anew, with less in it or with older values. Nor what no server has taken yet: an
    edit may have been on its way in a whole row, and be parked since.
    """
    oracle = simulation.oracle
    parked = device.parked_values()
    for key, cells in device.owes.items():
        if key[0] == "conflict":
            continue
        if newest(cells) <= oracle.state.horizon:
            continue
        now = oracle.rows.get(key, {})
        require(bool(now), f"{device.name} still had an acknowledged row", key, cells)
        for name, cell in cells.items():
            if (*key, name, cell.stamp) in parked:
                continue
            require(
                name in now and now[name].stamp >= cell.stamp,
                f"{device.name} still had an acknowledged value of {name}",
                key,
                cell,
                now.get(name),
            )
