"""What a light, a reason, a time is called. Whole sentences, so that they can be translated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..core.change import EXISTS
from ..core.errors import UpgradeNeeded
from ..light import Light, Reason
from ..overview import Asked, DeviceState, Overview, TurnedAway
from ..registry import tables

LIGHTS = {
    Light.GREEN: gettext_lazy("in step"),
    Light.BUSY: gettext_lazy("at work"),
    Light.AMBER: gettext_lazy("needs a look"),
    Light.GREY: gettext_lazy("not known"),
}

SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
# A clock that is further off is worth a word. Nothing is refused because of it.
CLOCK_WORTH_A_WORD_MS = 60_000


class Person(NamedTuple):
    """Who stands behind a device."""

    name: str
    is_active: bool = True
    tokens_ended_ms: tuple[int, ...] = ()


def span(ms: int) -> str:
    """A length of time, to the greatest unit: 12 s, 5 min, 3 h, 9 days."""
    ms = max(ms, 0)
    if ms < MINUTE_MS:
        return _("%(n)s s") % {"n": ms // SECOND_MS}
    if ms < HOUR_MS:
        return _("%(n)s min") % {"n": ms // MINUTE_MS}
    if ms < 2 * DAY_MS:
        return _("%(n)s h") % {"n": ms // HOUR_MS}
    return _("%(n)s days") % {"n": ms // DAY_MS}


def moment(at_ms: int, now_ms: int) -> str:
    """A time as one says it: 14:02, yesterday 14:02, 3 March 2026."""
    at = timezone.localtime(datetime.fromtimestamp(at_ms / 1000, UTC))
    today = timezone.localtime(datetime.fromtimestamp(now_ms / 1000, UTC)).date()
    clock = date_format(at, "H:i")
    if at.date() == today:
        return clock
    if at.date() == today - timedelta(days=1):
        return _("yesterday %(clock)s") % {"clock": clock}
    return date_format(at, "DATE_FORMAT")


def number(count: int) -> str:
    return number_format(count, force_grouping=True)


def size(count: int) -> str:
    """Bytes, as people read them."""
    for unit, bytes_each in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)):
        if count >= bytes_each:
            return f"{number_format(count / bytes_each, 1)} {unit}"
    return f"{count} B"


def latency(ms: int | None) -> str:
    """The upper end of a bucket."""
    if ms is None:
        return "–"
    if ms < 1000:
        return f"≤ {ms} ms"
    return f"≤ {number_format(ms / 1000, 0 if ms % 1000 == 0 else 1)} s"


def latency_of(ms: int) -> str:
    """How long one answer took."""
    if ms < SECOND_MS:
        return f"{max(ms, 0)} ms"
    return _("%(n)s s") % {"n": number_format(ms / SECOND_MS, 1)}


def about_device(device: DeviceState, now_ms: int) -> str:
    """One sentence: how this device is, and why its light is what it is."""
    facts = {
        "count": number(device.pending),
        "age": span(device.pending_age_ms),
        "lag": number(device.lag_changes) + ("+" if device.is_lag_at_least else ""),
        "lag_age": span(device.lag_ms),
        "since": moment(device.last_seen_ms, now_ms),
        "refused": number(device.refused),
        "parked": number(device.parked),
    }
    return _SENTENCES[device.reason] % facts


_SENTENCES = {
    Reason.IN_STEP: gettext_lazy("All sent and all read."),
    Reason.SENDING: gettext_lazy("Sending; waiting on it: %(count)s."),
    Reason.RECEIVING: gettext_lazy("Receiving; still to come: %(lag)s."),
    Reason.STARTING_OVER: gettext_lazy("Reading everything anew."),
    Reason.HEALING: gettext_lazy("Bringing back what the server has lost."),
    Reason.UNHEARD: gettext_lazy("Connected, and has not yet said how it is."),
    Reason.STUCK: gettext_lazy("Waiting on it for %(age)s without progress: %(count)s."),
    Reason.VIEWER: gettext_lazy(
        "Its person may only look, so what waits on it cannot be sent: %(count)s."
    ),
    Reason.NO_MEMBER: gettext_lazy(
        "Its person is no member any more, so what waits on it cannot be sent: %(count)s."
    ),
    Reason.REFUSED: gettext_lazy("Refused, and waiting for its person to decide: %(refused)s."),
    Reason.PARKED: gettext_lazy("Waiting for a newer server: %(parked)s."),
    Reason.BEHIND: gettext_lazy("Connected, but behind for %(lag_age)s; still to come: %(lag)s."),
    Reason.AWAY_WITH_WORK: gettext_lazy("Away since %(since)s; waiting on it: %(count)s."),
    Reason.SILENT: gettext_lazy("Silent since %(since)s; nothing was waiting on it then."),
    Reason.INACTIVE: gettext_lazy("Silent for more than 90 days; nobody waits for it."),
    Reason.REVOKED: gettext_lazy("Revoked."),
    Reason.TOLD: gettext_lazy("Everything was sent to it; what waits on it, it cannot say."),
    Reason.SILENT_AND_MUTE: gettext_lazy(
        "Silent since %(since)s; what waits on it, it cannot say."
    ),
}

ADVICE = {
    Reason.STUCK: gettext_lazy("Try Sync now. If nothing moves, let it start over."),
    Reason.VIEWER: gettext_lazy("Let its person edit again, and what waits is sent."),
    Reason.NO_MEMBER: gettext_lazy("Make its person a member again, and what waits is sent."),
    Reason.REFUSED: gettext_lazy(
        "The list of refusals names field and reason. Mend the row here, or let its person decide."
    ),
    Reason.PARKED: gettext_lazy("The app on it is newer than this server. Update the server."),
    Reason.BEHIND: gettext_lazy("Try Sync now. If nothing moves, let it start over."),
    Reason.AWAY_WITH_WORK: gettext_lazy("It sends as soon as it is opened with a network."),
}


def clock_of(device: DeviceState) -> str:
    """A word about a clock that is off; "" for one that is not."""
    offset = device.clock_offset_ms
    if abs(offset) < CLOCK_WORTH_A_WORD_MS:
        return ""
    how = {"span": span(abs(offset))}
    if offset > 0:
        return _("clock %(span)s fast; corrected") % how
    return _("clock %(span)s slow; corrected") % how


# A token's end closes its sockets at once; a device is written down once a minute.
_REVOKED_BEFORE_SEEN_MS = 2 * MINUTE_MS


def about_the_door(device: DeviceState, person: Person, now_ms: int) -> str:
    """Why a device that is away may be unable to sign in; "" if nothing speaks for that."""
    if device.is_online or device.is_revoked:
        return ""
    if not person.is_active:
        return _("Its person may not sign in any more. Let them, and what waits can be sent.")
    since_ms = device.last_seen_ms - _REVOKED_BEFORE_SEEN_MS
    ended = [each for each in person.tokens_ended_ms if each >= since_ms]
    if not ended:
        return ""
    return _(
        "A token of its person was revoked (%(when)s). If it used that one, it sends nothing until "
        "its person signs in on it anew; what waits is kept."
    ) % {"when": moment(min(ended), now_ms)}


def about_household(overview: Overview) -> str:
    """One sentence: what is known of the household, and what is not."""
    active = [
        each for each in overview.devices if each.reason not in (Reason.REVOKED, Reason.INACTIVE)
    ]
    count = {light: sum(each.light is light for each in active) for light in Light}
    away = len({each.user_id for each in overview.turned_away if not each.is_heard_since})
    if not active and not away:
        return _("No device has connected yet.")
    if overview.light is Light.GREEN:
        return _("Every device has confirmed the newest state: %(count)s of %(count)s.") % {
            "count": number(len(active))
        }
    parts = [
        _(words) % {"count": number(count[light])}
        for light, words in _COUNTED.items()
        if count[light]
    ]
    if away:
        parts.append(_("%(count)s turned away at the door") % {"count": number(away)})
    return ", ".join(parts) + "."


_COUNTED = {
    Light.AMBER: gettext_lazy("%(count)s in need of a look"),
    Light.BUSY: gettext_lazy("%(count)s at work"),
    Light.GREEN: gettext_lazy("%(count)s in step"),
    Light.GREY: gettext_lazy("%(count)s silent"),
}


def why_turned_away(turned: TurnedAway) -> str:
    """Why an app could not begin, and what helps."""
    if turned.code == UpgradeNeeded.code:
        return _(
            "The app is too old for this server. Opened anew with a network it takes the new "
            "version; what waits on it is kept."
        )
    return _(
        "The app said what this server does not understand (%(code)s). What waits on it is kept; "
        "its diagnostics tell its version."
    ) % {"code": turned.code}


def about_request(asked: Asked, overview: Overview) -> str:
    """How far a sync request has come: 3 of 4 done, 1 offline since yesterday."""
    answered = {each.device_id: each for each in asked.answers}
    away = [
        each
        for each in overview.devices
        if each.id not in answered
        and each.light is not Light.GREEN
        and each.reason not in (Reason.REVOKED, Reason.INACTIVE)
    ]
    parts = [
        _("%(done)s of %(all)s done")
        % {"done": number(asked.done), "all": number(len(asked.answers) + len(away))}
    ]
    failed = sum(each.outcome in ("failed", "pending") for each in asked.answers)
    if failed:
        parts.append(_("%(count)s could not finish") % {"count": number(failed)})
    if asked.waiting:
        parts.append(_("%(count)s not answered yet") % {"count": number(asked.waiting)})
    if away:
        newest = max(each.last_seen_ms for each in away)
        parts.append(
            _("%(count)s offline since %(since)s")
            % {"count": number(len(away)), "since": moment(newest, overview.at_ms)}
        )
    return ", ".join(parts)


OUTCOMES = {
    "done": gettext_lazy("done"),
    "pending": gettext_lazy("not everything could be sent"),
    "failed": gettext_lazy("failed"),
    "": gettext_lazy("not answered yet"),
}


def entity_name(entity: str) -> str:
    """As people call it; a kind that is not known here by its name on the wire."""
    return str(_ENTITIES.get(entity, entity))


def field_name(entity: str, field: str) -> str:
    """As the forms call it; one that is not known here by its name on the wire."""
    if field == EXISTS:
        return _("here or deleted")
    table = tables().get(entity)
    if table is None or field not in table.columns:
        return field
    column = table.columns[field][0]
    (found,) = [each for each in table.model._meta.concrete_fields if each.column == column]
    return str(found.verbose_name)


def refusal_reason(code: str) -> str:
    """Why a change was refused, as people say it."""
    return str(REFUSALS.get(code, code))


REFUSALS = {
    "unknown": gettext_lazy("the server does not know this yet"),
    "read_only": gettext_lazy("only the server writes this"),
    "row_missing": gettext_lazy("the server does not have the row any more"),
    "depends": gettext_lazy("the row that it belongs to was refused"),
    "required": gettext_lazy("something is missing that has to be there"),
    "type": gettext_lazy("another kind of value was expected"),
    "text": gettext_lazy("the text holds signs that cannot be stored"),
    "too_long": gettext_lazy("too long"),
    "choice": gettext_lazy("none of the values that can be chosen"),
    "range": gettext_lazy("too great or too small"),
    "digits": gettext_lazy("too many digits"),
    "iban": gettext_lazy("not a valid IBAN"),
    "image": gettext_lazy("an image that cannot be shown"),
    "reference": gettext_lazy("names no row"),
    "invalid": gettext_lazy("not accepted by the rules of this field"),
    "row_too_large": gettext_lazy("the whole row would be too large"),
    "stamp_foreign": gettext_lazy("carries the stamp of another device"),
}

_ENTITIES = {
    "account": gettext_lazy("account"),
    "account_group": gettext_lazy("account group"),
}
