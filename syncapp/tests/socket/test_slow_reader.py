"""P05: a device that does not read costs the server a page or two, and nobody else anything."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from finwise import serving
from syncapp import fanout
from syncapp.tests.household import Household
from syncapp.tests.socket.deaf import Deaf
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.server import ServerThread

PING_S = 0.5


@pytest.fixture
def quick_server(
    households: Callable[[], Household], monkeypatch: pytest.MonkeyPatch
) -> Iterator[ServerThread]:
    """Finds out soon that a peer is gone."""
    monkeypatch.setattr(serving, "LINGER_S", PING_S)
    running = ServerThread(ping_s=PING_S, buffer_bytes=4096)
    yield running
    running.wait_until_idle()
    running.stop()


@pytest.fixture
def patient_server(households: Callable[[], Household]) -> Iterator[ServerThread]:
    """Never finds out: what waits for a peer that does not read would wait for ever."""
    running = ServerThread(ping_s=3600, buffer_bytes=4096)
    yield running
    running.wait_until_idle()
    running.stop()


@pytest.fixture
def big_household(household: Household) -> Household:
    """Two and a half pages of half a mebibyte each, far more than the kernels buffer."""
    device = household.device("import")
    fields = {"name": "x", "accountType": "giro", "note": "x" * 3_900, "description": "y" * 400}
    for _ in range(6):
        changes = [device.change("create", "account", str(uuid.uuid4()), fields) for _ in range(50)]
        assert {each.fate for each in device.push(*changes)} == {"applied"}
        device.settle()
    return household


def wait_for_sockets(server: ServerThread, household: Household, count: int) -> None:
    def has_that_many(hub: fanout.Hub) -> bool:
        room = hub.rooms.get(household.id)
        return (len(room.sockets) if room else 0) == count

    server.wait_for(has_that_many)


def test_who_does_not_read_disturbs_nobody(
    patient_server: ServerThread, big_household: Household, new_phone: Callable[..., Phone]
) -> None:
    """P05"""
    phone = new_phone(url=patient_server.url).online()
    deaf = [Deaf(new_phone(url=patient_server.url)) for _ in range(3)]
    for each in deaf:
        each.say({"type": "pull", "ask": True})
    phone.push_and_settle(phone.new_group("Bank"))
    phone.take_live()
    deaf[0].say({"type": "push", "changes": [deaf[0].phone.new_group("Sparen")]})
    (row,) = phone.take_live()  # nor does it matter that its pusher does not read the ack
    assert row["fields"]["name"] == "Sparen"
    wait_for_sockets(patient_server, big_household, 4)
    for each in deaf:
        each.close()


def test_who_does_not_read_is_let_go(
    quick_server: ServerThread, big_household: Household, new_phone: Callable[..., Phone]
) -> None:
    """P05, S30"""
    phone = new_phone(url=quick_server.url).online()
    deaf = [Deaf(new_phone(url=quick_server.url)) for _ in range(3)]
    for each in deaf:
        each.say({"type": "pull", "ask": True})
    wait_for_sockets(quick_server, big_household, 1)
    phone.ping()
    for each in deaf:
        each.close()


def test_asking_without_reading_piles_up_no_pages(
    quick_server: ServerThread,
    big_household: Household,
    new_phone: Callable[..., Phone],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S32: a page is read only when the one before has been taken by the network."""
    read: list[object] = []
    give = fanout.Room._give

    async def counting(room: fanout.Room, *place_and_group: Any) -> None:
        read.append(place_and_group)
        await give(room, *place_and_group)

    monkeypatch.setattr(fanout.Room, "_give", counting)
    deaf = Deaf(new_phone(url=quick_server.url))
    wait_for_sockets(quick_server, big_household, 1)
    (conversation,) = quick_server.hub().rooms[big_household.id].sockets
    asks = 8
    for number in range(1, asks + 1):
        deaf.say({"type": "pull", "ask": True})
        quick_server.wait_for(lambda hub, number=number: conversation.pulls >= number)  # type: ignore[misc]
    wait_for_sockets(quick_server, big_household, 0)
    # The kernels take some pages before they push back; how many is theirs to choose.
    assert 1 <= len(read) < asks
    deaf.close()


def test_the_end_of_a_membership_does_not_wait_for_who_does_not_read(
    patient_server: ServerThread,
    big_household: Household,
    new_phone: Callable[..., Phone],
    new_member: Callable[[Household, str], object],
) -> None:
    """S15: one deaf socket must not keep the heartbeat from the others."""
    from tenants.memberships import end_membership
    from tenants.models import Tenant

    user = new_member(big_household, "editor")
    deaf = Deaf(new_phone(user, url=patient_server.url))
    other = new_phone(user, url=patient_server.url).online()
    deaf.say({"type": "pull", "ask": True})
    for _ in range(3):
        deaf.say({"type": "push", "changes": [deaf.phone.new_group("x")]})
    end_membership(Tenant.objects.get(pk=big_household.id), user)  # type: ignore[arg-type]
    frames, code = other.hear_close()
    assert code == 4403 and frames[-1]["code"] == "not_yours"
    deaf.close()
    wait_for_sockets(patient_server, big_household, 0)
