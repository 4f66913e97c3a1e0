"""From an overview to what the templates show: words, in the language of whoever looks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from tenants.models import Token, User

from ..light import Light, Reason
from ..overview import Asked, DeviceState, Overview, Trouble, TurnedAway
from . import wording
from .charts import charts_of
from .wording import Person


def people_of(overview: Overview) -> dict[str, Person]:
    """The people behind the devices and at the door, by UUID as text. Asks the database."""
    wanted = {each.user_id for each in (*overview.devices, *overview.turned_away)}
    ended: dict[str, list[int]] = defaultdict(list)
    revoked = Token.objects.filter(user_id__in=wanted).exclude(revoked_at=None)
    for user_id, at in revoked.values_list("user_id", "revoked_at"):
        ended[str(user_id)].append(int(at.timestamp() * 1000))
    found = User.objects.filter(pk__in=wanted).only("pk", "email", "display_name", "is_active")
    return {
        str(each.pk): Person(str(each), each.is_active, tuple(ended[str(each.pk)]))
        for each in found
    }


def picture_of(
    overview: Overview, people: Mapping[str, Person], *, for_operator: bool
) -> dict[str, Any]:
    """What `sync/_live.html` shows of a household; operators are told what they can do."""
    return {
        "is_operator": for_operator,
        "overview": overview,
        "light": overview.light.value,
        "light_name": wording.LIGHTS[overview.light],
        "sentence": wording.about_household(overview),
        "size": wording.size(overview.size_bytes),
        "last_change": wording.moment(overview.last_change_ms, overview.at_ms)
        if overview.last_change_ms is not None
        else None,
        "devices": [
            _device(each, overview.at_ms, people, for_operator) for each in overview.devices
        ],
        "turned_away": [_turned_away(each, overview, people) for each in overview.turned_away],
        "asked": _asked(overview.asked, overview) if overview.asked else None,
        "conflicts": [_trouble(each, overview) for each in overview.conflicts],
        "refusals": [_trouble(each, overview) for each in overview.refusals],
        "charts": charts_of(overview.hours),
        "clock": wording.moment(overview.at_ms, overview.at_ms),
    }


def _device(
    device: DeviceState, now_ms: int, people: Mapping[str, Person], for_operator: bool
) -> dict[str, Any]:
    person = people.get(device.user_id, Person(""))
    advice = wording.ADVICE.get(device.reason, "") if device.light is Light.AMBER else ""
    door = wording.about_the_door(device, person, now_ms)
    if door and device.reason is Reason.AWAY_WITH_WORK:
        advice = ""  # opening it is not enough
    return {
        "id": device.id,
        "name": device.name or device.id[:8],
        "user_id": device.user_id,
        "reason": device.reason.value,
        "person": person.name,
        "is_shut_out": not person.is_active,
        "app": device.app,
        "protocol": device.protocol,
        "is_online": device.is_online,
        "last_seen": wording.moment(device.last_seen_ms, now_ms) if device.last_seen_ms else "–",
        "light": device.light.value,
        "light_name": wording.LIGHTS[device.light],
        "sentence": wording.about_device(device, now_ms),
        "advice": f"{advice} {door}".strip() if for_operator else "",
        "lag": wording.number(device.lag_changes) + ("+" if device.is_lag_at_least else ""),
        "lag_age": wording.span(device.lag_ms) if device.is_behind else "",
        "pending": "–" if device.is_mute else wording.number(device.pending),
        "pending_age": wording.span(device.pending_age_ms) if device.pending else "",
        "refused": device.refused,
        "conflicts": device.conflicts,
        "parked": device.parked,
        "clock": wording.clock_of(device),
        "is_revoked": device.is_revoked,
    }


def _turned_away(
    turned: TurnedAway, overview: Overview, people: Mapping[str, Person]
) -> dict[str, Any]:
    return {
        "when": wording.moment(turned.at_ms, overview.at_ms),
        "person": people.get(turned.user_id, Person("–")).name,
        "why": wording.why_turned_away(turned),
        "is_heard_since": turned.is_heard_since,
    }


def _asked(asked: Asked, overview: Overview) -> dict[str, Any]:
    now_ms = overview.at_ms
    answers = [
        {
            "device": overview.device_name(each.device_id) or each.device_id[:8],
            "outcome": wording.OUTCOMES.get(each.outcome, each.outcome),
            "light": {"done": "green", "": "busy"}.get(each.outcome, "amber"),
            "took": wording.latency_of(each.at_ms - asked.at_ms) if each.at_ms else "",
            "sent": wording.number(each.sent),
            "received": wording.number(each.received),
            "at_ms": each.at_ms,
        }
        for each in asked.answers
    ]
    # The newest answers on top, those that are waited for before them.
    answers.sort(key=lambda each: (each["at_ms"] != 0, -each["at_ms"], each["device"]))
    return {
        "by": asked.by,
        "when": wording.moment(asked.at_ms, now_ms),
        "sentence": wording.about_request(asked, overview),
        "answers": answers,
        "is_over": not asked.waiting,
    }


def _trouble(trouble: Trouble, overview: Overview) -> dict[str, Any]:
    return {
        "when": wording.moment(trouble.at_ms, overview.at_ms),
        "entity": wording.entity_name(trouble.entity),
        "field": wording.field_name(trouble.entity, trouble.field),
        "kind": trouble.entity,
        "row_id": trouble.row_id,
        "code": trouble.code,
        "why": wording.refusal_reason(trouble.code),
        "device": overview.device_name(trouble.device_id) or "–",
        "by_device": overview.device_name(trouble.by_device_id) or "–",
    }
