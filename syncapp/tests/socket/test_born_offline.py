"""A household that began on a device without a network comes to the server."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.server import ServerThread
from tenants.models import Tenant, User
from tenants.provisioning import delete_household


@pytest.fixture
def newborn(server: ServerThread) -> Iterator[uuid.UUID]:
    """The id of a household that only its device knows."""
    tenant_id = uuid.uuid4()
    yield tenant_id
    server.wait_until_idle()
    found = Tenant.objects.filter(pk=tenant_id)
    if found.exclude(status=Tenant.Status.DELETED).exists():
        delete_household(tenant_id)
    found.delete()


@pytest.fixture
def new_device(
    newborn: uuid.UUID, new_phone: Callable[..., Phone], new_person: Callable[[], User]
) -> Callable[..., Phone]:
    """Makes devices that want to bring the newborn; of one person unless another is named."""
    person = new_person()

    def make(user: User | None = None) -> Phone:
        phone = new_phone(user or person)
        phone.tenant_id = newborn
        return phone

    return make


def bring(phone: Phone) -> list[dict[str, Any]]:
    """Connect with the household's name; returns all frames up to the welcome."""
    phone.connect().say(phone.hello_frame(household={"name": "Zuhause"}))
    frames = [phone.hear()]
    while frames[-1]["type"] == "provisioning":
        frames.append(phone.hear())
    return frames


def test_it_needs_a_name(new_device: Callable[..., Phone], newborn: uuid.UUID) -> None:
    phone = new_device().connect()
    phone.say(phone.hello_frame(household={"name": " \u00a0"}))
    phone.expect("error", code="bad_frame", of="hello")
    assert not Tenant.objects.filter(pk=newborn).exists()


def test_it_is_made_with_progress_and_takes_the_outbox(
    new_device: Callable[..., Phone], newborn: uuid.UUID
) -> None:
    phone = new_device()
    *progress, welcome = bring(phone)
    assert [(each["step"], each["of"]) for each in progress] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert (welcome["created"], welcome["role"], welcome["head"]) == (True, "owner", 0)
    assert phone.catch_up() == []
    assert phone.push_and_settle(phone.new_group("Bank"))[0]["fate"] == "applied"
    assert Tenant.objects.get(pk=newborn).name == "Zuhause"
    # The second device finds it there.
    second = new_device()
    assert "created" not in second.connect().hello()
    assert [row["fields"]["name"] for row in second.catch_up()] == ["Bank"]


def test_a_repeated_birth_is_an_ordinary_hello(new_device: Callable[..., Phone]) -> None:
    phone = new_device()
    bring(phone)
    (welcome,) = bring(phone)
    assert "created" not in welcome


def test_ten_first_connects_at_once_make_one_household_and_all_are_served(
    new_device: Callable[..., Phone], newborn: uuid.UUID
) -> None:
    """M01"""
    phones = [new_device() for _ in range(10)]
    start = threading.Barrier(len(phones))

    def come(phone: Phone) -> dict[str, Any]:
        phone.connect()
        start.wait()
        return bring(phone)[-1]

    with ThreadPoolExecutor(len(phones)) as pool:
        welcomes = list(pool.map(come, phones))
    assert [welcome["type"] for welcome in welcomes] == ["welcome"] * 10
    assert Tenant.objects.filter(pk=newborn).count() == 1
    for phone in phones:
        phone.catch_up()
    for phone in phones:
        assert phone.push_and_settle(phone.new_group("Bank"))[0]["fate"] == "applied"
    fresh = new_device()
    fresh.connect().hello()
    assert len(fresh.catch_up()) == 10


def test_an_id_that_is_taken_answers_like_one_that_is_not_yours(
    new_device: Callable[..., Phone], household: Household, new_person: Callable[[], User]
) -> None:
    """M04"""
    phone = new_device(new_person())
    phone.tenant_id = household.id
    phone.connect().say(phone.hello_frame(household={"name": "Mine"}))
    assert phone.refused() == ("not_yours", 4403)


def test_the_id_of_a_deleted_household_stays_reserved(
    new_device: Callable[..., Phone], newborn: uuid.UUID
) -> None:
    """M03"""
    phone = new_device()
    bring(phone)
    phone.hang_up()
    delete_household(newborn)
    for hello in (phone.hello_frame(), phone.hello_frame(household={"name": "Zuhause"})):
        phone.connect().say(hello)
        assert phone.refused() == ("not_yours", 4403)


def test_sockets_of_a_household_that_is_deleted_are_closed(
    new_device: Callable[..., Phone], newborn: uuid.UUID
) -> None:
    """M03"""
    phone = new_device()
    bring(phone)
    phone.catch_up()
    delete_household(newborn)
    assert phone.refused() == ("not_yours", 4403)


def test_who_makes_too_many_households_is_told_to_wait(
    new_device: Callable[..., Phone], settings: Any
) -> None:
    settings.TENANT_CREATIONS_PER_DAY = 0
    phone = new_device()
    phone.connect().say(phone.hello_frame(household={"name": "Zuhause"}))
    frames, code = phone.hear_close()
    assert ([frame["code"] for frame in frames], code) == (["creation_limit"], 4403)


def test_in_production_a_birth_needs_a_confirmed_address(
    new_device: Callable[..., Phone], settings: Any
) -> None:
    settings.TENANT_NEEDS_VERIFIED_EMAIL = True
    phone = new_device()
    phone.connect().say(phone.hello_frame(household={"name": "Zuhause"}))
    assert phone.refused() == ("email_unverified", 4403)


@pytest.mark.parametrize("name", ["", "x" * 121, "a\nb", 7, None])
def test_a_name_that_no_household_can_have_is_refused(
    new_device: Callable[..., Phone], name: Any
) -> None:
    phone = new_device()
    phone.connect().say(phone.hello_frame(household={"name": name}))
    phone.expect("error", code="bad_frame", of="hello")
