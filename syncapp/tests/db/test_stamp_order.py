"""PostgreSQL orders stamps, and makes them, exactly as the core does."""

from __future__ import annotations

import random

import pytest

from syncapp.core.clock import (
    COUNTER_MAX,
    MS_MAX,
    SERVER_NODE,
    Stamp,
    next_stamp,
    stamp_to_text,
)
from syncapp.tests.household import Household, now_ms

PHONE = "00000000000000aa"
FAR_MS = now_ms() + 3_600_000


def many_stamps() -> list[str]:
    """Each border of each part with each of the others, and some by chance; shuffled."""
    dice = random.Random(4711)
    milliseconds = [0, 1, 9, 10, 0xFF, 0x9FFFFFFFFF, 0xA000000000, MS_MAX - 1, MS_MAX]
    counters = [0, 9, 10, 0x9FF, 0xA00, COUNTER_MAX]
    nodes = [SERVER_NODE, "0" * 15 + "a", "9" * 16, "a" * 16, "f" * 16]
    stamps = {
        Stamp(ms, counter, node) for ms in milliseconds for counter in counters for node in nodes
    }
    for _ in range(500):
        node = f"{dice.getrandbits(64):016x}"
        stamps.add(Stamp(dice.randrange(MS_MAX), dice.randrange(COUNTER_MAX), node))
    texts = [stamp_to_text(each) for each in stamps]
    dice.shuffle(texts)
    return texts


def parts(text: str) -> tuple[int, int, int]:
    return int(text[:12], 16), int(text[13:17], 16), int(text[18:], 16)


def test_text_order_is_stamp_order_in_the_database(household, psql):
    stamps = many_stamps()
    psql.execute(f'SET search_path = "{household.schema}"')
    psql.execute(
        "INSERT INTO sync_fate (device_id, key, number, stamp, digest, result, at_ms)"
        " SELECT gen_random_uuid(), n, n, stamp, '', '', 0"
        " FROM unnest(%s::text[]) WITH ORDINALITY AS s (stamp, n)",
        [stamps],
    )
    in_order = [row[0] for row in psql.execute("SELECT stamp FROM sync_fate ORDER BY stamp")]
    assert in_order == sorted(stamps)
    assert in_order == sorted(stamps, key=parts)
    newest = psql.execute("SELECT max(stamp) FROM sync_fate").fetchone()
    assert newest == (max(stamps),)


@pytest.mark.parametrize(
    "newest",
    [
        Stamp(FAR_MS, 0, PHONE),
        Stamp(FAR_MS, 9, SERVER_NODE),
        Stamp(FAR_MS, 0x0FFF, PHONE),
        Stamp(FAR_MS, COUNTER_MAX - 1, PHONE),
        Stamp(FAR_MS, COUNTER_MAX, PHONE),
        Stamp(0x2FFFFFFFFFF, COUNTER_MAX, PHONE),
    ],
    ids=lambda newest: f"{newest.counter:04x}-{newest.node}",  # the same in every process
)
def test_a_write_by_hand_takes_the_next_stamp_as_the_core_would(household, psql, newest):
    assert by_hand_after(household, psql, stamp_to_text(newest)) == next_stamp(
        stamp_to_text(newest), now_ms(), SERVER_NODE
    )


@pytest.mark.parametrize("newest", ["", stamp_to_text(Stamp(1, COUNTER_MAX, PHONE))])
def test_a_write_by_hand_is_stamped_with_the_time_if_that_is_later(household, psql, newest):
    before_ms = now_ms()
    ms, counter, node = parts(by_hand_after(household, psql, newest))
    # The database has a clock of its own, on the same machine.
    assert before_ms - 50 <= ms <= now_ms() + 50
    assert (counter, node) == (0, 0)


def by_hand_after(household: Household, psql, newest: str) -> str:
    """The stamp of an INSERT typed in psql when `newest` is the newest that was accepted."""
    psql.execute(f'UPDATE "{household.schema}".sync_head SET stamp = %s', [newest])
    stamps = psql.execute(
        f"INSERT INTO \"{household.schema}\".account_group (name) VALUES ('Sparen')"
        " RETURNING sync_stamps"
    ).fetchone()[0]
    assert household.head().stamp == stamps["*"]
    return stamps["*"]
