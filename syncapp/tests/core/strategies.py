"""What hypothesis draws for the core: few nodes and near times, so that stamps collide."""

from __future__ import annotations

from hypothesis import strategies as some

from syncapp.core.change import EXISTS, Row
from syncapp.core.clock import COUNTER_MAX, MS_MAX, SERVER_NODE, Stamp, stamp_to_text

ROW_ID = "33333333-3333-4333-8333-333333333333"
NODES = (SERVER_NODE, "00000000000000aa", "00000000000000bb", "ffffffffffffffff")

nodes = some.sampled_from(NODES)
any_node = some.integers(0, 2**64 - 1).map(lambda number: f"{number:016x}")

# Any stamp there is, the borders more often than chance would.
stamps = some.builds(
    Stamp,
    some.integers(0, MS_MAX) | some.sampled_from([0, 1, MS_MAX - 1, MS_MAX]),
    some.integers(0, COUNTER_MAX) | some.sampled_from([0, COUNTER_MAX - 1, COUNTER_MAX]),
    any_node | nodes,
)
stamp_texts = stamps.map(stamp_to_text)

# Stamps that often meet: three milliseconds, two counts, four nodes.
near_stamps = some.builds(Stamp, some.integers(1_000, 1_002), some.integers(0, 1), nodes).map(
    stamp_to_text
)

# Canonical values: the scalars that travel. No floats: no kind of field takes one.
values = (
    some.none()
    | some.booleans()
    | some.integers(-3, 3)
    | some.sampled_from(["", "a", "b", "Z", "ä", "0", "1.5", "\uff5e", "\U0001f600"])
)

FIELDS = ("name", "note", "balance", "sortOrder")


@some.composite
def rows(draw: some.DrawFn) -> Row:
    """A state of the one row: any of its fields written, each with a stamp of its own."""
    names = draw(some.sets(some.sampled_from(FIELDS)))
    row = Row("account", ROW_ID)
    for name in sorted(names):
        row.fields[name] = draw(values)
        row.stamps[name] = draw(near_stamps)
    if draw(some.booleans()):
        row.fields[EXISTS] = draw(some.booleans())
        row.stamps[EXISTS] = draw(near_stamps)
    return row


written = some.dictionaries(some.sampled_from(FIELDS), values).flatmap(
    lambda fields: some.booleans().map(lambda is_here: {**fields, EXISTS: is_here})
)

# JSON as anybody may send it: for what must not fail.
json_values = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.integers(-(10**40), 10**40)
    | some.floats(allow_nan=False, allow_infinity=False)
    | some.text(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(), inner, max_size=4),
    max_leaves=12,
)
