"""sync_status and sync_now, as an operator types them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from syncapp import greetings
from syncapp.core.messages import Ping
from syncapp.management.commands import sync_now as sync_now_command
from syncapp.management.commands import sync_status as sync_status_command
from syncapp.tests.household import Household, now_ms
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.server import ServerThread
from syncapp.tests.socket.test_live import wait_until_listening
from tenants.models import AuditEntry


def run(name: str, *args: Any) -> tuple[str, int]:
    """What a command prints, and its exit code."""
    out = StringIO()
    try:
        call_command(name, *[str(each) for each in args], stdout=out)
    except CommandError as error:
        return f"{out.getvalue()}{error}", error.returncode
    return out.getvalue(), 0


def test_sync_status_shows_every_device_and_why_its_light_is_what_it_is(
    household: Household,
) -> None:
    device = household.device("Annas phone")
    device.pull()
    household.call(
        greetings.note_ping, device.id, device.user, Ping(cursor=device.cursor), now_ms()
    )
    text, code = run("sync_status", household.id)
    assert code == 0
    assert "in step: Every device has confirmed the newest state: 1 of 1." in text
    assert "Annas phone" in text and device.id in text


def test_sync_status_finds_a_stuck_device(household: Household) -> None:
    device = household.device("Annas phone")
    stuck = Ping(cursor=None, pending=3, oldest_pending_ms=300_000)
    household.call(greetings.note_ping, device.id, device.user, stuck, now_ms())
    text, code = run("sync_status", household.id)
    assert code == 3
    assert "Waiting on it for 5 min without progress: 3." in text
    text, code = run("sync_status", household.id, "--json")
    assert code == 3
    found = json.loads(text[: text.rindex("}") + 1])
    assert found["light"] == "amber"
    assert found["devices"][0]["reason"] == "stuck"
    assert found["devices"][0]["pending"] == 3


def test_sync_status_without_a_name_lists_every_household(
    households: Callable[[], Household],
) -> None:
    made = [households(), households()]
    text, code = run("sync_status")
    assert code in (0, 3)
    assert all(str(each.id) in text for each in made)
    found = json.loads(run("sync_status", "--json")[0].split("\nHouseholds that")[0])
    assert {str(each.id) for each in made} <= {each["tenantId"] for each in found}


@pytest.mark.parametrize("command", ["sync_status", "sync_now"])
def test_who_names_no_known_household_used_it_wrongly(command: str, household: Household) -> None:
    assert run(command, "nowhere")[1] == 2


def test_sync_now_needs_to_be_told_whom(household: Household) -> None:
    assert run("sync_now")[1] == 2


def test_sync_now_asks_and_does_not_wait(household: Household) -> None:
    AuditEntry.objects.all().delete()
    text, code = run("sync_now", household.id)
    assert code == 0 and "asked to sync now" in text
    assert [each.action for each in AuditEntry.objects.all()] == ["sync_now"]


def test_sync_now_waits_for_the_answers(
    household: Household, phone: Phone, server: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_now_command, "ASKING_S", 0.3)
    phone.online(name="phone")
    wait_until_listening(server)
    for outcome, expected in (("done", 0), ("failed", 3)):
        monkeypatch.setattr("syncapp.sync_requests.SAME_REQUEST_MS", -1)

        def answer(outcome: str = outcome) -> None:
            asked = phone.hear_until("sync_request")
            phone.say({"type": "report", "id": asked["id"], "outcome": outcome, "sent": 2})

        answering = threading.Thread(target=answer)
        answering.start()
        text, code = run("sync_now", household.id, "--wait", "--json")
        answering.join()
        assert code == expected, text
        ((fact,),) = [json.loads(text[: text.rindex("]") + 1])]
        assert [each["outcome"] for each in fact["answers"]] == [outcome]


def test_sync_now_gives_up_on_a_device_that_does_not_answer(
    household: Household, phone: Phone, server: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_now_command, "ASKING_S", 0.3)
    phone.online(name="phone")
    wait_until_listening(server)
    text, code = run("sync_now", household.id, "--wait", "--patience", "0.5")
    assert code == 3
    assert "0 of 1 done, 1 not answered yet" in text


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_sync_status_looks_again_until_it_is_stopped(
    options: list[str], household: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def wait(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt
        household.device(f"phone {len(looks)}")

    monkeypatch.setattr(sync_status_command, "time", SimpleNamespace(sleep=wait))
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("sync_status", str(household.id), "--watch", *options, stdout=out)
    assert ended.value.code == 0
    assert "phone 2" in out.getvalue()
    if options:
        seen = [json.loads(line) for line in out.getvalue().splitlines() if line]
        assert [len(each["devices"]) for each in seen] == [0, 1, 2]
