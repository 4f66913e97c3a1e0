"""What a device does not keep for ever."""

from __future__ import annotations

from .harness import sync

DAY_S = 24 * 3600


def test_a_device_drops_a_conflict_after_ninety_days(server, phone):
    anna, ben = phone(), phone()
    group = anna.replica.create("account_group", {"name": "Sparen"})
    sync(server, anna, ben)
    anna.replica.edit("account_group", group, {"name": "Urlaub"})
    server.time.pass_s(1)
    ben.replica.edit("account_group", group, {"name": "Auto"})
    sync(server, anna, ben)
    sync(server, anna, ben)
    (conflict,) = anna.replica.conflicts()
    assert conflict.losing_value == "Urlaub"
    server.time.pass_s(89 * DAY_S)
    anna.cut()
    sync(server, anna)
    assert len(anna.replica.conflicts()) == 1
    server.time.pass_s(2 * DAY_S)
    anna.cut()
    sync(server, anna)
    assert anna.replica.conflicts() == []
