"""Changes by credit: who is told what, when, and how often."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from syncapp import rooms
from syncapp.core import messages
from syncapp.core.cursor import end_of, text_to_cursor
from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.server import ServerThread
from syncapp.tests.socket.test_live import wait_until_listening
from tenants.context import in_tenant


@pytest.fixture
def crowd(household: Household) -> Callable[[int], None]:
    """Makes that many groups at once, without anybody being told."""

    def make(count: int) -> None:
        device = household.device("import")
        for start in range(0, count, 500):
            ids = [str(uuid.uuid4()) for _ in range(min(500, count - start))]
            device.push(
                *(device.change("create", "account_group", each, {"name": "x"}) for each in ids)
            )
            device.settle()

    return make


def names(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(row["fields"]["name"] for row in rows)


def test_before_the_first_pull_nobody_gets_rows_only_news(
    phone: Phone, new_phone: Callable[[], Phone], server: ServerThread, household: Household
) -> None:
    phone.connect().hello()
    other = new_phone().online()
    other.push_and_settle(other.new_group("Bank"))
    phone.expect("news", head=1)
    other.push_and_settle(other.new_group("Cash"))
    server.settle(household.id)
    phone.ping()  # one is enough
    assert names(phone.catch_up()) == ["Bank", "Cash"]


def test_a_change_reaches_everybody_as_the_same_frame_the_pusher_included(
    phone: Phone, new_phone: Callable[[], Phone]
) -> None:
    phone.online()
    others = [new_phone().online() for _ in range(3)]
    phone.push(phone.new_group("Bank"))
    texts = []
    for device in (phone, *others):
        assert device.socket is not None
        texts.append(device.socket.recv(timeout=10))
    ack = [text for text in texts if '"ack"' in str(text)]
    assert len(ack) == 1
    assert phone.socket is not None
    texts = [*set(texts) - set(ack), phone.socket.recv(timeout=10)]
    assert len(set(texts)) == 1
    assert '"changes"' in str(texts[0])


def test_a_frame_says_where_it_begins_and_ends(
    phone: Phone, new_phone: Callable[[], Phone]
) -> None:
    phone.online()
    other = new_phone().online()
    for head in (1, 2):
        other.push_and_settle(other.new_group(str(head)))
        other.take_live()
        frame = phone.take()
        assert (frame["from"], frame["to"], frame["head"]) == (head - 1, head, head)
        assert frame["more"] is False
        phone.pull(ask=False)


def test_while_a_frame_is_outstanding_there_is_one_news_and_no_other_frame(
    phone: Phone, new_phone: Callable[[], Phone], server: ServerThread, household: Household
) -> None:
    """H02"""
    phone.online()
    other = new_phone().online()
    for number in range(6):
        other.push_and_settle(other.new_group(str(number)))
        other.take_live()
        server.settle(household.id)
    first = phone.take()
    assert names(first["rows"]) == ["0"]
    phone.expect("news", head=2)
    phone.ping()
    # Credit brings all the rest at once.
    phone.pull(ask=False)
    rest = phone.take()
    assert (rest["from"], rest["to"]) == (1, 6)
    assert names(rest["rows"]) == ["1", "2", "3", "4", "5"]
    phone.pull(ask=False)
    server.settle(household.id)
    phone.ping()


def test_a_hundred_and_fifty_changes_while_nobody_reads_are_one_frame_later(
    phone: Phone, new_phone: Callable[[], Phone], server: ServerThread, household: Household
) -> None:
    """H02"""
    phone.online()
    other = new_phone().online()
    for number in range(150):
        other.push_and_settle(other.new_group(str(number)))
        server.settle(household.id)
    frames = [phone.hear(), phone.hear()]
    assert [frame["type"] for frame in frames] == ["changes", "news"]
    phone.cursor = frames[0]["cursor"]
    phone.pull(ask=False)
    assert phone.take()["to"] == 150
    phone.ping()


def test_who_asks_is_always_answered(phone: Phone) -> None:
    """G12"""
    phone.online()
    for _ in range(3):
        phone.pull(ask=True)
        page = phone.take()
        assert (page["rows"], page["from"], page["to"], page["more"]) == ([], 0, 0, False)
    phone.push_and_settle(phone.new_group("Bank"))
    # Empty answers cost no credit.
    assert names(phone.take_live()) == ["Bank"]


def test_who_only_gives_credit_is_answered_only_if_there_is_more(
    phone: Phone, server: ServerThread, household: Household
) -> None:
    phone.online()
    for _ in range(3):
        phone.pull(ask=False)
    server.settle(household.id)
    phone.ping()


def test_credit_in_an_empty_household_is_no_question(
    phone: Phone, server: ServerThread, household: Household
) -> None:
    phone.connect().hello()
    phone.pull(ask=False)
    server.settle(household.id)
    phone.ping()


def test_a_seq_whose_row_is_gone_is_told_all_the_same(
    phone: Phone, new_phone: Callable[[], Phone], server: ServerThread, household: Household
) -> None:
    """G10: or the device would never stand at the head."""
    phone.online()
    wait_until_listening(server)
    with in_tenant(household.id) as inside, inside.cursor() as cursor:
        schema = household.schema
        cursor.execute(f"UPDATE {schema}.sync_head SET seq = 1, fingerprint = repeat('f', 16)")
        cursor.execute(
            f"INSERT INTO {schema}.sync_transaction (seq, fingerprint, at_ms)"
            " VALUES (1, repeat('f', 16), 0)"
        )
        cursor.execute("SELECT pg_notify('finwise_news', %s)", [f"{schema} 1"])
    page = phone.take()
    assert (page["rows"], page["from"], page["to"], page["more"]) == ([], 0, 1, False)
    server.settle(household.id)
    phone.ping()


def test_an_ask_while_a_frame_is_outstanding_is_answered_too(
    phone: Phone, new_phone: Callable[[], Phone]
) -> None:
    phone.online()
    other = new_phone().online()
    other.push_and_settle(other.new_group("Bank"))
    frame = phone.expect("changes")  # not stored: the device asks from where it stands
    phone.pull(ask=True)
    assert phone.expect("changes") == frame


def test_asking_for_the_same_again_and_again_ends_the_conversation(
    phone: Phone, new_phone: Callable[[], Phone]
) -> None:
    """S32, P05: what a device does not read must not pile up, whatever it asks."""
    phone.online()
    other = new_phone().online()
    other.push_and_settle(other.new_group("Bank"))
    other.take_live()
    frame = phone.expect("changes")
    frames = []
    for _ in range(8):
        phone.pull(ask=True)
        frames.append(phone.expect("changes"))
    assert frames == [frame] * 8
    phone.pull(ask=True)
    (error,), code = phone.hear_close()
    assert (error["code"], error["of"], error["retryable"]) == ("too_fast", "pull", True)
    assert (error["retryAfterMs"], code) == (5_000, 4429)
    other.ping()


def test_pages_follow_credit_until_there_is_no_more(
    phone: Phone, crowd: Callable[[int], None], server: ServerThread, household: Household
) -> None:
    crowd(1_200)
    phone.connect().hello()
    phone.pull()
    sizes, ids = [], set()
    while True:
        page = phone.take()
        sizes.append(len(page["rows"]))
        ids |= {row["id"] for row in page["rows"]}
        server.settle(household.id)
        phone.ping()  # nothing more without credit
        phone.pull(ask=False)
        if not page["more"]:
            break
    assert sizes == [500, 500, 200]
    assert len(ids) == 1_200
    server.settle(household.id)
    phone.ping()


def test_a_device_may_ask_for_smaller_pages(phone: Phone, crowd: Callable[[int], None]) -> None:
    crowd(5)
    phone.connect().hello()
    phone.pull(limit=2)
    assert len(phone.take()["rows"]) == 2
    phone.pull(ask=False, limit=2)
    page = phone.take()
    assert (len(page["rows"]), page["more"]) == (2, True)
    phone.pull(ask=False, limit=2)
    page = phone.take()
    assert (len(page["rows"]), page["more"]) == (1, False)


def test_a_page_ends_at_its_bytes(phone: Phone, household: Household) -> None:
    """G11"""
    device = household.device("import")
    for _ in range(4):
        fields = {"name": "x", "accountType": "giro", "note": "ü" * 4_000}
        results = device.push(
            *(device.change("create", "account", str(uuid.uuid4()), fields) for _ in range(30))
        )
        assert {each.fate for each in results} == {"applied"}, results
    phone.connect().hello()
    phone.pull()
    sizes = []
    while True:
        assert phone.socket is not None
        text = str(phone.socket.recv(timeout=10))
        assert len(text.encode()) < 1024 * 1024
        page = json.loads(text)
        sizes.append(len(page["rows"]))
        phone.cursor = page["cursor"]
        if not page["more"]:
            break
        phone.pull(ask=False)
    assert sum(sizes) == 120 and len(sizes) > 1


def test_writes_go_on_during_a_long_walk_and_nothing_is_missing(
    phone: Phone, new_phone: Callable[[], Phone], crowd: Callable[[int], None]
) -> None:
    """G07, K03"""
    crowd(30)
    writer = new_phone().online()
    phone.connect().hello()
    phone.pull(limit=4)
    ids = set()
    while True:
        page = phone.hear_until("changes")
        ids |= {row["id"] for row in page["rows"]}
        phone.cursor = page["cursor"]
        if not page["more"]:
            break
        if writer.number < 10:
            writer.push_and_settle(writer.new_group("new"))
        phone.pull(ask=False, limit=4)
    assert len(ids) == 30 + writer.number
    assert writer.number > 5


def test_a_cursor_that_is_lost_in_the_middle_closes_and_the_next_welcome_tells_why(
    phone: Phone, new_phone: Callable[[], Phone], household: Household
) -> None:
    phone.online()
    other = new_phone().online()
    household.call(lambda repository: repository.read_head())
    cursor = text_to_cursor(phone.cursor or "")
    assert cursor is not None
    phone.cursor = cursor.to_text().replace(cursor.anchor_fingerprint, "f" * 16)
    phone.pull()
    (error,), code = phone.hear_close()
    assert (error["code"], error["of"], error["retryable"], code) == (
        "restarting", "pull", True, 1012,
    )  # fmt: skip
    assert phone.connect().hello()["reset"] == "restored"
    other.ping()


def test_a_cursor_that_is_none_closes_too(phone: Phone) -> None:
    phone.online()
    phone.cursor = "nonsense"
    phone.pull()
    (error,), code = phone.hear_close()
    assert (error["code"], code) == ("restarting", 1012)
    assert phone.connect().hello()["reset"] == "horizon"


def test_a_socket_whose_anchor_does_not_hold_takes_nobody_with_it(
    phone: Phone, new_phone: Callable[[], Phone]
) -> None:
    """It stands at the same place as the others, but in another past."""
    phone.online()
    others = [new_phone().online() for _ in range(4)]
    for device in (phone, *others):
        assert device.cursor == phone.cursor
    cursor = text_to_cursor(phone.cursor or "")
    assert cursor is not None
    phone.cursor = cursor.to_text().replace(cursor.anchor_fingerprint, "f" * 16)
    phone.pull(ask=False)
    phone.ping()
    others[0].push_and_settle(others[0].new_group("Bank"))
    for device in others:
        assert names(device.take_live()) == ["Bank"]
    assert phone.refused() == ("restarting", 1012)


def test_who_pulls_while_others_at_his_place_are_served_does_not_lead_them_astray(
    phone: Phone, new_phone: Callable[[], Phone], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They got the page behind his new place, with a gap before it, and the server took them
    to be there (found by killing servers under three devices)."""
    phone.online()
    others = [new_phone().online() for _ in range(3)]
    for number in range(3):
        phone.push_and_settle(phone.new_group(str(number)))
        for device in (phone, *others):
            device.take_live()
    due = rooms.Room._due
    has_moved = []

    def due_and_then_one_pulls(room: Any) -> Any:
        groups = due(room)
        for group in groups.values():
            if len(group) == 4 and not has_moved:
                has_moved.append(True)
                first, _ = group[0]
                first._pull(messages.Pull(cursor=None, limit=1, ask=True))
        return groups

    monkeypatch.setattr(rooms.Room, "_due", due_and_then_one_pulls)
    phone.push_and_settle(phone.new_group("3"))
    frames = [device.take() for device in (phone, *others)]
    assert has_moved
    starts = sorted((frame["from"], frame["to"], len(frame["rows"])) for frame in frames)
    assert starts == [(0, 0, 1), (3, 4, 1), (3, 4, 1), (3, 4, 1)]


def test_a_pull_that_comes_while_a_page_is_read_counts(
    phone: Phone, crowd: Callable[[int], None]
) -> None:
    """Many asks at once, before any answer: at the end the device has everything."""
    crowd(3)
    phone.connect().hello()
    for _ in range(5):
        phone.pull(ask=True)
    page = phone.take()
    assert len(page["rows"]) == 3
    assert text_to_cursor(page["cursor"]).position == end_of(page["to"])  # type: ignore[union-attr]
