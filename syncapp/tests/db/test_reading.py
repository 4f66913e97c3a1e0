"""Pages, cursors, resets and compaction on a real PostgreSQL."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from django.db import OperationalError, connection

from syncapp import engine, upkeep
from syncapp.core.clock import ms_of, next_stamp
from syncapp.core.cursor import START, text_to_cursor
from syncapp.core.messages import Changes, encode, text_to_down, wire_to_row
from syncapp.repository import WirePages
from syncapp.tests.household import Speaker, now_ms
from tenants.context import in_tenant

DAY_MS = 86_400_000


def fill(household, psql, count, table="account"):
    psql.execute(
        f"INSERT INTO {household.schema}.{table} (name) "
        "SELECT 'n' || i FROM generate_series(1, %s) i",
        (count,),
    )


def test_g03_a_transaction_larger_than_a_page_comes_whole(household, psql):
    """G03"""
    fill(household, psql, 1203)
    fill(household, psql, 7, "account_group")
    pages = []
    cursor, more = None, True
    while more:
        page = household.call(engine.changes_since, cursor, str(household.owner))
        pages.append(page)
        cursor, more = page.cursor, page.more
    assert [len(page.rows) for page in pages] == [500, 500, 210]
    assert len({row.id for page in pages for row in page.rows}) == 1210
    assert [(page.start, page.to) for page in pages] == [(0, 0), (0, 0), (0, 2)]
    last = household.call(engine.changes_since, cursor, str(household.owner))
    assert last.rows == [] and not last.more and last.cursor == cursor


def test_e10_five_thousand_rows_that_are_deleted_at_once_are_one_news_and_ten_pages(
    household, psql
):
    """E10"""
    fill(household, psql, 5000)
    phone = household.device()
    phone.pull()
    psql.execute("LISTEN finwise_news")
    psql.execute(f"DELETE FROM {household.schema}.account")
    [note] = [*psql.notifies(timeout=30, stop_after=1), *psql.notifies(timeout=0)]
    assert note.payload == f"{household.schema} 2"
    cursor, more, pages = text_to_cursor(phone.cursor), True, []
    while more:
        page = household.call(engine.changes_since, cursor, str(household.owner))
        assert not any(row.is_here for row in page.rows)
        pages.append(len(page.rows))
        cursor, more = page.cursor, page.more
    assert pages == [500] * 10


def test_g01_who_reads_never_passes_a_transaction_that_commits_later(household, psql):
    """G01: the next number is given only when the one before is there to be read."""
    reader, writer = household.device("reader"), household.device("writer")

    def push_patiently(writer: Speaker) -> engine.Outcome:
        change = writer.change("create", "account", str(uuid.uuid4()), {"name": "second"})
        try:
            while True:
                with suppress(OperationalError):  # waited for the lock as long as it may
                    return writer.outcome(change)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as aside, psql.transaction():
        psql.execute(f"INSERT INTO {household.schema}.account (name) VALUES ('first')")
        later = aside.submit(push_patiently, writer)
        while not psql.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:
            assert not later.done()
        assert reader.pull() == []
    assert later.result().seq == 2
    assert [row.fields["name"] for row in reader.pull()] == ["first", "second"]


def test_g07_writes_during_a_walk_do_not_make_it_miss_or_end_early(household, psql):
    """G07"""
    fill(household, psql, 600)
    found = {}
    cursor, more, step = None, True, 0
    while more:
        page = household.call(engine.changes_since, cursor, str(household.owner), 100)
        found.update({row.id: row for row in page.rows})
        cursor, more, step = page.cursor, page.more, step + 1
        if step < 5:
            psql.execute(
                f"UPDATE {household.schema}.account SET note = %s WHERE id IN "
                f"(SELECT id FROM {household.schema}.account ORDER BY id LIMIT 30)",
                (f"step {step}",),
            )
    assert {key[1]: row.fields for key, row in household.rows().items()} == {
        row_id: row.fields for row_id, row in found.items()
    }


def test_g11_pages_of_large_rows_end_at_the_byte_limit_and_come_to_an_end(household, psql):
    """G11"""
    psql.execute(
        f"INSERT INTO {household.schema}.account (name, image) "
        "SELECT i::text, repeat('x', 100000) FROM generate_series(1, 17) i"
    )
    sizes = []
    cursor, more = None, True
    while more:
        page = household.call(engine.changes_since, cursor, str(household.owner))
        sizes.append(len(page.rows))
        cursor, more = page.cursor, page.more
    assert sum(sizes) == 17 and max(sizes) == 6 and len(sizes) == 3


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "9" * 30, "0" * 32 + ".9223372036854775808....", "ÿ", "a.b.c"]
)
def test_g06_a_garbage_cursor_means_a_snapshot(household, text):
    """G06"""
    phone = household.device()
    assert phone.hello(cursor=text).reset == "horizon"


def test_g06_a_cursor_of_another_household_means_a_snapshot(households):
    """G06"""
    ours, theirs = households(), households()
    phone, stranger = ours.device(), theirs.device()
    stranger.pull()
    assert phone.hello(cursor=stranger.cursor).reset == "operator"


def test_a_cursor_ahead_or_of_another_past_means_a_restored_database(household, psql):
    fill(household, psql, 1)
    phone = household.device()
    phone.pull()
    cursor = text_to_cursor(phone.cursor)
    psql.execute(f"UPDATE {household.schema}.sync_head SET seq = 0")
    assert phone.hello(cursor=phone.cursor).reset == "restored"
    psql.execute(f"UPDATE {household.schema}.sync_head SET seq = 5, fingerprint = 'f'")
    psql.execute(f"UPDATE {household.schema}.sync_transaction SET fingerprint = 'e' WHERE seq = 1")
    phone.hello(cursor=None, reset="restored")
    assert phone.hello(cursor=phone.cursor).reset == "restored"
    psql.execute(f"DELETE FROM {household.schema}.sync_transaction WHERE seq = 1")
    laptop = household.device("laptop")
    assert laptop.hello(cursor=phone.cursor).reset == "horizon", "a pruned anchor"
    with pytest.raises(engine.CursorLost):
        household.call(engine.changes_since, cursor, str(household.owner))


def test_e08_compaction_waits_for_active_devices_and_not_for_silent_ones(household, psql):
    """E05, E08, K04"""
    phone, laptop = household.device("phone"), household.device("laptop")
    old = phone.change("create", "account", str(uuid.uuid4()), {"name": "x"})
    phone.push(old)
    laptop.pull()
    long_ago = next_stamp("", now_ms() - 100 * DAY_MS, phone.node)
    gone = phone.change("delete", "account", str(uuid.uuid4()), stamp=long_ago)
    phone.push(gone)
    assert household.call(upkeep.compact, now_ms()) == 0, "two devices have not read past it"
    psql.execute(f"UPDATE {household.schema}.sync_device SET read_seq = 2 WHERE id = '{phone.id}'")
    psql.execute(
        f"UPDATE {household.schema}.sync_device SET last_seen_ms = 0 WHERE id = '{laptop.id}'"
    )
    assert household.call(upkeep.compact, now_ms()) == 1
    head = household.head()
    assert (head.horizon, head.compactions, head.compacted_seq) == (long_ago, 1, 2)
    assert set(household.rows()) == {("account", old.id)}
    assert laptop.hello().reset == "horizon"
    fresh = household.device("tablet")
    fresh.pull()
    assert fresh.hello().reset is None
    create = phone.change(
        "create",
        "account",
        gone.id,
        {"name": "again"},
        stamp=next_stamp("", ms_of(long_ago) - 5, phone.node),
    )
    late = phone.change(
        "edit",
        "account",
        gone.id,
        {"note": "after"},
        stamp=next_stamp("", ms_of(long_ago) - 4, phone.node),
    )
    results = phone.push(create, late)
    assert [each.fate for each in results] == ["applied", "applied"]
    assert head.horizon < results[0].stamp < results[1].stamp


def test_what_goes_to_the_wire_as_it_is_stored_says_the_same_as_the_rows(household, psql):
    phone, laptop = household.device("phone"), household.device("laptop")
    ids = [str(uuid.uuid4()) for _ in range(4)]
    fields = {"name": 'Käthe\'s "Giro"\n\\', "balance": "12.5", "accountGroupId": ids[3]}
    phone.push(*(phone.change("create", "account", each, fields) for each in ids[:2]))
    laptop.push(
        laptop.change("edit", "account", ids[0], {"balance": "-3"})
    )  # overrules: a conflict
    laptop.push(laptop.change("delete", "account", ids[1]))
    laptop.push(laptop.change("delete", "account", ids[2]))  # was never here
    psql.execute(f"UPDATE {household.schema}.account SET note = 'by hand' WHERE id = %s", (ids[0],))

    with in_tenant(household.id) as inside:
        told, _ = WirePages(inside, household.schema).page(START, 500)
    text = encode(
        Changes(rows=[each.row for each in told], to=1, start=0, cursor="", more=False, head=1)
    )
    frame = text_to_down(text)
    assert {(row.entity, row.id): wire_to_row(row) for row in frame.rows} == household.rows()
    assert [row.entity for row in frame.rows].count("conflict") == 2  # neither was seen
    assert '" : ' not in text and '": ' not in text


def test_only_this_households_tables_answer(households):
    """L07"""
    ours, theirs = households(), households()
    phone, stranger = ours.device(), theirs.device()
    change = stranger.change("create", "account", str(uuid.uuid4()), {"name": "theirs"})
    stranger.push(change)
    [result] = phone.push(phone.change("edit", "account", change.id, {"name": "stolen"}))
    assert result.code == "row_missing"
    assert ours.rows() == {}


def test_a_device_that_stood_at_the_head_of_a_quiet_household_goes_on_reading(household, psql):
    """Nothing was written for 91 days; then somebody writes, and old records are pruned."""
    fill(household, psql, 1)
    phone = household.device()
    phone.pull()
    psql.execute(
        f"UPDATE {household.schema}.sync_transaction SET at_ms = at_ms - %s", (91 * DAY_MS,)
    )
    household.call(upkeep.compact, now_ms())
    fill(household, psql, 1)
    household.call(upkeep.compact, now_ms())
    assert phone.hello().reset is None
    assert len(phone.pull()) == 1
    kept = psql.execute(
        f"SELECT seq FROM {household.schema}.sync_transaction ORDER BY seq"
    ).fetchall()
    assert kept == [(1,), (2,)]
