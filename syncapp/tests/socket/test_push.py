"""Push and ack over a real socket: order, repeats, refusals."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from syncapp.tests.household import Household
from syncapp.tests.simulation.postgres import PostgresGround
from syncapp.tests.socket.phone import Phone, now_ms
from syncapp.tests.socket.server import ServerThread


def test_a_push_is_acknowledged_change_by_change(phone: Phone, household: Household) -> None:
    phone.online()
    bank, cash = phone.new_group("Bank"), phone.new_group("Cash")
    results = phone.push_and_settle(bank, cash)
    assert [(each["number"], each["fate"]) for each in results] == [(1, "applied"), (2, "applied")]
    stored = household.rows()
    assert stored["account_group", bank["id"]].fields["name"] == "Bank"
    assert stored["account_group", cash["id"]].stamps["name"] == cash["stamp"]


def test_a_repeat_gets_the_same_answer_and_wakes_nobody(
    phone: Phone, new_phone: Callable[[], Phone], server: ServerThread, household: Household
) -> None:
    """B01"""
    phone.online()
    other = new_phone().online()
    change = phone.new_group("Bank")
    phone.push(change)
    first = phone.hear_until("ack")
    phone.take_live()
    other.take_live()
    phone.push(change)
    assert phone.expect("ack") == first
    server.settle(household.id)
    assert other.ping()["head"] == phone.ping()["head"] == 1


def test_a_push_repeated_on_another_socket_gets_the_stored_answer(phone: Phone) -> None:
    """B03, A06: the answer was lost with the first socket."""
    phone.online()
    change = phone.new_group("Bank")
    phone.push(change)
    first = phone.hear_until("ack")
    phone.online()
    phone.push(change)
    assert phone.expect("ack") == first


def test_the_same_push_on_two_sockets_at_once_has_one_effect(
    phone: Phone, new_phone: Callable[[], Phone], household: Household
) -> None:
    """B02"""
    tab = new_phone()
    tab.id, tab.node = phone.id, phone.node
    phone.online()
    tab.online()
    change = phone.new_group("Bank")
    start = threading.Barrier(2)

    def send(device: Phone) -> object:
        start.wait()
        device.push(change)
        return device.hear_until("ack")

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(send, (phone, tab)))
    assert answers[0] == answers[1]
    assert household.head().seq == 1


def test_a_number_that_was_acknowledged_is_settled_without_effect(phone: Phone) -> None:
    phone.online()
    change = phone.new_group("Bank")
    phone.push_and_settle(change)
    phone.push_and_settle(phone.new_group("Cash"))
    phone.push(change)
    assert phone.hear_until("ack")["results"] == [{"number": 1, "fate": "settled"}]


def test_pushes_take_effect_and_are_answered_in_the_order_they_were_sent(
    phone: Phone, household: Household, raw_connection: psycopg.Connection
) -> None:
    """C02: the first waits for a lock; those behind it do not overtake."""
    phone.online()
    group = phone.new_group("1")
    names = [str(n) for n in range(2, 8)]
    raw_connection.execute(f"SELECT FROM {household.schema}.sync_head FOR UPDATE")
    phone.push(group)
    for name in names:
        phone.push(phone.change("edit", "account_group", group["id"], {"name": name}))
    raw_connection.rollback()
    acks = [phone.hear_until("ack")["results"][0] for _ in range(7)]
    assert [(ack["number"], ack["fate"]) for ack in acks] == [
        (number, "applied") for number in range(1, 8)
    ]
    (row,) = household.rows().values()
    assert row.fields["name"] == "7"


def test_a_create_its_child_and_an_edit_of_the_child_in_one_push(
    phone: Phone, household: Household
) -> None:
    """C01"""
    phone.online()
    group = phone.new_group("Bank")
    account = phone.change(
        "create",
        "account",
        str(uuid.uuid4()),
        {"name": "Giro", "accountType": "giro", "accountGroupId": group["id"], "balance": "1.50"},
    )
    edit = phone.change("edit", "account", account["id"], {"balance": "2.50"})
    results = phone.push_and_settle(group, account, edit)
    assert [each["fate"] for each in results] == ["applied"] * 3, results
    assert household.rows()["account", account["id"]].fields["balance"] == "2.5"


def test_a_refused_change_says_why_and_blocks_nothing_but_its_followers(
    phone: Phone, household: Household
) -> None:
    """F02"""
    phone.online()
    bad = phone.change("create", "account_group", str(uuid.uuid4()), {"name": "x" * 10_000})
    follower = phone.change("edit", "account_group", bad["id"], {"sortOrder": 3})
    good = phone.new_group("Bank")
    refused, depends, applied = phone.push_and_settle(bad, follower, good)
    assert (refused["fate"], refused["code"], refused["field"]) == ("refused", "too_long", "name")
    assert refused["message"]
    assert (depends["fate"], depends["code"]) == ("refused", "depends")
    assert applied["fate"] == "applied"
    assert list(household.rows()) == [("account_group", good["id"])]


def test_rows_heal_without_numbers_and_are_counted(phone: Phone, household: Household) -> None:
    phone.online()
    row = {
        "entity": "account_group",
        "id": str(uuid.uuid4()),
        "fields": {"exists": True, "name": "Bank", "sortOrder": 1, "image": ""},
        "stamp": phone.clock.tick(1_700_000_000_000),
    }
    phone.say({"type": "rows", "rows": [row], "last": True})
    ack = phone.hear_until("ack")
    assert ack.pop("anchor").startswith("1.")
    assert ack == {"type": "ack", "rows": 1, "of": "rows", "head": 1}
    assert household.rows()["account_group", row["id"]].fields["name"] == "Bank"


def test_a_database_restored_under_a_conversation_ends_it(
    phone: Phone, household: Household
) -> None:
    """B06: the acknowledged number is ahead of what the server knows of the device."""
    phone.online()
    phone.acknowledged = 5
    phone.push(phone.new_group("Bank"))
    frames, code = phone.hear_close()
    assert ([frame["code"] for frame in frames], code) == (["restarting"], 1012)
    assert phone.connect().hello()["reset"] == "restored"
    assert household.rows() == {}


@pytest.mark.parametrize("asks", ["a page", "a pong", "rows", "a page, later"])
def test_an_ack_that_a_restored_database_does_not_know_ends_the_conversation(
    phone: Phone, household: Household, asks: str
) -> None:
    """R01: a standby that lags takes over, and somebody else's write gets the number of ours."""
    ground = PostgresGround(household, random.Random(1), household.owner, now_ms())
    phone.online()
    phone.hang_up()
    phone.connect().hello()  # and pulls nothing: no page tells it its own change
    backup = ground.dump()
    change = phone.new_group("Bank")
    phone.push_and_settle(change)
    if asks == "a page, later":
        phone.hang_up()
        phone.connect().hello(anchor=phone.anchor)  # it holds, still
    ground.restore(backup)
    other = ("account_group", str(uuid.uuid4()))
    ground.insert(other, {"name": "Giro"}, now_ms())
    if asks.startswith("a page"):
        phone.pull()
    elif asks == "rows":
        phone.say({"type": "rows", "rows": [], "last": True})
    else:
        phone.say({"type": "ping", "pending": 1})
    _, code = phone.hear_close()
    assert code == 1012
    assert phone.connect().hello(anchor=phone.anchor)["reset"] == "restored"


def test_an_old_sockets_late_answer_does_not_stop_the_new_one(phone: Phone) -> None:
    """C06: the device reconnects while its push is under way; both sockets are answered."""
    phone.online()
    old = phone.socket
    change = phone.new_group("Bank")
    phone.push(change)
    phone.socket = None
    phone.online()
    phone.push(change)
    again = phone.hear_until("ack")
    assert old is not None
    phone.hang_up()
    phone.socket = old
    assert phone.hear_until("ack") == again
