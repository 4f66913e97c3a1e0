"""Evidence before green."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncapp.light import (
    ACTIVE_MS,
    HEARD_WITHIN_MS,
    Light,
    Reason,
    Verdict,
    is_online,
    light_of,
    verdict_on,
)


@dataclass
class Device:
    """One that has just said that all is well."""

    is_mute: bool = False
    is_online: bool = True
    is_revoked: bool = False
    is_healing: bool = False
    reset: str = ""
    role: str | None = "owner"
    pending: int = 0
    pending_age_ms: int = 0
    refused: int = 0
    parked: int = 0
    is_behind: bool = False
    lag_ms: int = 0
    told_age_ms: int = 0
    silent_ms: int = 0


WELL = Device()


def test_a_device_that_said_that_all_is_well_is_green() -> None:
    assert verdict_on(WELL) == (Light.GREEN, Reason.IN_STEP)


@pytest.mark.parametrize(
    ("change", "light", "reason"),
    [
        ({"pending": 1}, Light.BUSY, Reason.SENDING),
        ({"is_mute": True}, Light.GREY, Reason.TOLD),
        ({"is_mute": True, "is_online": False}, Light.GREY, Reason.SILENT_AND_MUTE),
        ({"is_mute": True, "is_behind": True}, Light.BUSY, Reason.RECEIVING),
        ({"pending": 1, "pending_age_ms": 31_000}, Light.AMBER, Reason.STUCK),
        ({"pending": 1, "role": "viewer"}, Light.AMBER, Reason.VIEWER),
        ({"pending": 1, "role": None}, Light.AMBER, Reason.NO_MEMBER),
        ({"pending": 1, "is_online": False}, Light.AMBER, Reason.AWAY_WITH_WORK),
        ({"refused": 1}, Light.AMBER, Reason.REFUSED),
        ({"refused": 1, "is_online": False}, Light.AMBER, Reason.REFUSED),
        ({"parked": 1}, Light.AMBER, Reason.PARKED),
        ({"is_behind": True}, Light.BUSY, Reason.RECEIVING),
        ({"is_behind": True, "lag_ms": 60_000}, Light.AMBER, Reason.BEHIND),
        ({"is_healing": True}, Light.BUSY, Reason.HEALING),
        (
            {"reset": "operator", "is_behind": True, "lag_ms": 60_000},
            Light.BUSY,
            Reason.STARTING_OVER,
        ),
        ({"told_age_ms": HEARD_WITHIN_MS + 1}, Light.BUSY, Reason.UNHEARD),
        ({"is_online": False}, Light.GREY, Reason.SILENT),
        ({"is_online": False, "silent_ms": ACTIVE_MS + 1}, Light.GREY, Reason.INACTIVE),
        ({"is_revoked": True, "refused": 3}, Light.GREY, Reason.REVOKED),
    ],
)
def test_whatever_is_missing_takes_the_green_away(
    change: dict[str, object], light: Light, reason: Reason
) -> None:
    assert verdict_on(replace(WELL, **change)) == (light, reason)  # type: ignore[arg-type]


devices = st.builds(
    Device,
    is_mute=st.booleans(),
    is_online=st.booleans(),
    is_revoked=st.booleans(),
    is_healing=st.booleans(),
    reset=st.sampled_from(["", "operator", "restored"]),
    role=st.sampled_from(["owner", "viewer", None]),
    pending=st.integers(0, 2),
    pending_age_ms=st.integers(0, 100_000),
    refused=st.integers(0, 1),
    parked=st.integers(0, 1),
    is_behind=st.booleans(),
    lag_ms=st.integers(0, 100_000),
    told_age_ms=st.integers(0, 2 * HEARD_WITHIN_MS),
    silent_ms=st.integers(0, 2 * ACTIVE_MS),
)


@given(devices)
def test_green_is_never_without_evidence(device: Device) -> None:
    if verdict_on(device).light is Light.GREEN:
        assert device.is_online and device.told_age_ms <= HEARD_WITHIN_MS
        assert not (device.pending or device.parked or device.refused or device.is_behind)
        assert not (device.is_healing or device.is_revoked or device.is_mute)


@given(st.lists(devices))
def test_a_household_is_green_only_if_every_active_device_is(many: list[Device]) -> None:
    verdicts = [verdict_on(each) for each in many]
    active = [each for each in verdicts if each.reason not in (Reason.REVOKED, Reason.INACTIVE)]
    is_green = light_of(verdicts) is Light.GREEN
    assert is_green == (bool(active) and all(each.light is Light.GREEN for each in active))


@given(devices, st.integers(1, 9), st.integers(1, 10**9))
def test_what_is_pending_for_more_than_thirty_seconds_is_amber_whatever_else_holds(
    device: Device, pending: int, late_ms: int
) -> None:
    said = {"pending": pending, "is_revoked": False, "silent_ms": 0}
    late = replace(device, **said, pending_age_ms=30_000 + late_ms)
    assert verdict_on(late).light is Light.AMBER
    assert verdict_on(replace(WELL, pending=pending, pending_age_ms=30_000)).light is Light.BUSY


def test_trouble_comes_before_work_and_work_before_silence() -> None:
    amber, busy = Verdict(Light.AMBER, Reason.STUCK), Verdict(Light.BUSY, Reason.SENDING)
    grey, green = Verdict(Light.GREY, Reason.SILENT), Verdict(Light.GREEN, Reason.IN_STEP)
    assert light_of([green, grey, busy, amber]) is Light.AMBER
    assert light_of([green, grey, busy]) is Light.BUSY
    assert light_of([green, grey]) is Light.GREY
    assert light_of([]) is Light.GREY


def test_a_device_is_here_from_its_hello_to_the_end_of_its_socket() -> None:
    assert is_online(1000, 0, 1000 + HEARD_WITHIN_MS)
    assert not is_online(1000, 0, 1001 + HEARD_WITHIN_MS)
    assert not is_online(1000, 1000, 1001)
    assert is_online(1002, 1001, 1003)
