"""Whether a device, and a household, is in step: evidence before green. Pure.

A device is in step only if it said so lately: nothing pending, parked or refused, and all read
up to the head. Of a device that is silent nobody knows; that is grey, never green.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple, Protocol

# A connected device is written down at least once a minute, at one of its beats of 20 s.
HEARD_WITHIN_MS = 100_000
# As on the device itself: longer than this without progress is trouble, not work.
PATIENCE_MS = 30_000
# What a device has read is told with its beat of 20 s.
READING_PATIENCE_MS = PATIENCE_MS + 20_000
ACTIVE_MS = 90 * 24 * 3600 * 1000  # whoever is silent for longer holds nothing back


class Light(StrEnum):
    GREEN = "green"  # proved to be in step
    BUSY = "busy"  # on its way there
    AMBER = "amber"  # somebody should look
    GREY = "grey"  # nobody knows


# The worst first: what is known to be wrong comes before what is not known.
_RANK = (Light.AMBER, Light.BUSY, Light.GREY, Light.GREEN)


class Reason(StrEnum):
    IN_STEP = "in_step"
    SENDING = "sending"
    RECEIVING = "receiving"
    STARTING_OVER = "starting_over"
    HEALING = "healing"
    UNHEARD = "unheard"
    STUCK = "stuck"
    VIEWER = "viewer"
    NO_MEMBER = "no_member"
    REFUSED = "refused"
    PARKED = "parked"
    BEHIND = "behind"
    AWAY_WITH_WORK = "away_with_work"
    SILENT = "silent"
    INACTIVE = "inactive"
    REVOKED = "revoked"
    TOLD = "told"
    SILENT_AND_MUTE = "silent_and_mute"


class Facts(Protocol):
    """What a verdict on a device rests on; ages in milliseconds.

    is_mute: its protocol cannot say what waits on it, or was refused.
    """

    is_mute: bool
    is_online: bool
    is_revoked: bool
    is_healing: bool
    reset: str
    role: str | None
    pending: int
    pending_age_ms: int
    refused: int
    parked: int
    is_behind: bool
    lag_ms: int
    told_age_ms: int
    silent_ms: int


class Verdict(NamedTuple):
    light: Light
    reason: Reason


def is_online(last_seen_ms: int, left_ms: int, now_ms: int) -> bool:
    """Whether a device was heard lately, and its socket has not ended since."""
    return left_ms < last_seen_ms and now_ms - last_seen_ms <= HEARD_WITHIN_MS


def verdict_on(device: Facts) -> Verdict:
    """The light of one device, and the first reason for it."""
    if device.is_revoked:
        return Verdict(Light.GREY, Reason.REVOKED)
    if device.silent_ms > ACTIVE_MS:
        return Verdict(Light.GREY, Reason.INACTIVE)
    if device.pending and device.role is None:
        return Verdict(Light.AMBER, Reason.NO_MEMBER)
    if device.pending and device.role == "viewer":
        return Verdict(Light.AMBER, Reason.VIEWER)
    if device.refused:
        return Verdict(Light.AMBER, Reason.REFUSED)
    if device.parked:
        return Verdict(Light.AMBER, Reason.PARKED)
    if not device.is_online:
        return (
            Verdict(Light.AMBER, Reason.AWAY_WITH_WORK)
            if device.pending
            else Verdict(Light.GREY, Reason.SILENT_AND_MUTE if device.is_mute else Reason.SILENT)
        )
    if device.pending and device.pending_age_ms > PATIENCE_MS:
        return Verdict(Light.AMBER, Reason.STUCK)
    if device.is_healing:
        return Verdict(Light.BUSY, Reason.HEALING)
    # Until it pulls: then it has noted the reset, and reads.
    if device.reset and device.is_behind:
        return Verdict(Light.BUSY, Reason.STARTING_OVER)
    if device.is_behind and device.lag_ms > READING_PATIENCE_MS:
        return Verdict(Light.AMBER, Reason.BEHIND)
    if device.pending:
        return Verdict(Light.BUSY, Reason.SENDING)
    if device.is_behind:
        return Verdict(Light.BUSY, Reason.RECEIVING)
    if device.told_age_ms > HEARD_WITHIN_MS:
        return Verdict(Light.BUSY, Reason.UNHEARD)
    if device.is_mute:
        return Verdict(Light.GREY, Reason.TOLD)
    return Verdict(Light.GREEN, Reason.IN_STEP)


def light_of(verdicts: Iterable[Verdict]) -> Light:
    """The light of a household: green only if every active device is.

    Grey without any device: nothing is wrong, and nothing is proved.
    """
    lights = {
        each.light for each in verdicts if each.reason not in (Reason.REVOKED, Reason.INACTIVE)
    }
    return next((each for each in _RANK if each in lights), Light.GREY)
