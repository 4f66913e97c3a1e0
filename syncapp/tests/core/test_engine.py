"""What the engine decides besides the fate of a change: over a repository in memory."""

from __future__ import annotations

from functools import partial

import pytest

from syncapp import engine, greetings, upkeep
from syncapp.core.change import EXISTS, Row
from syncapp.core.clock import SERVER_NODE, node_of
from syncapp.core.cursor import text_to_cursor
from syncapp.core.entity import Entity, Field
from syncapp.core.errors import BadFrame, Forbidden, NotYours, Refused, Restarting
from syncapp.core.messages import Change, Hello, Ping, Push, Rows, row_to_wire
from syncapp.tests.simulation.household import HOUSEHOLD
from syncapp.tests.simulation.memory import MemoryRepository

NOW = 1_700_000_000_000
DAY_MS = 24 * 3600 * 1000
ANNA, BEN = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
PHONE, TABLET = "33333333-3333-4333-8333-333333333333", "44444444-4444-4444-8444-444444444444"
NODES = {PHONE: "00000000000000aa", TABLET: "00000000000000bb"}
GROUP = "70b1c2d3-e4f5-4a6b-8c7d-9e0f1a2b3c4d"


class Home:
    """One household and its engine; every call is one transaction."""

    def __init__(self) -> None:
        self.repository = MemoryRepository(HOUSEHOLD, ANNA, now_ms=NOW)
        self.now_ms = NOW

    def call(self, function, *args, **kwargs):
        with self.repository.transaction():
            return function(self.repository, *args, **kwargs)

    def hello(self, device=PHONE, user=ANNA, **fields):
        node = fields.pop("node", NODES[device])
        return self.call(
            greetings.greet, Hello(device=device, node=node, **fields), user, self.now_ms
        )

    def push(self, *changes, device=PHONE, user=ANNA, acknowledged=0):
        message = Push(changes=list(changes), acknowledged=acknowledged)
        return self.call(engine.apply_push, device, user, message, self.now_ms)

    def edit(self, kind, fields, **options):
        return self.call(engine.edit, "account_group", GROUP, kind, fields, self.now_ms, **options)

    def cursor(self):
        return engine.changes_since(self.repository, None, ANNA).cursor

    @property
    def row(self):
        return self.repository.all_rows()["account_group", GROUP]


@pytest.fixture
def home():
    made = Home()
    made.hello()
    return made


def change(number, kind="create", fields=None, seen=None, device=PHONE, at_ms=None, row_id=GROUP):
    stamp = f"{at_ms or NOW + number:012x}-0000-{NODES[device]}"
    fields = {"name": "Sparen"} if fields is None and kind == "create" else fields or {}
    return Change(number, "account_group", row_id, kind, stamp, fields, seen or {})


# --- edits on the server ------------------------------------------------------------------


def test_an_edit_on_the_server_is_stamped_by_the_server_and_later_than_anything_accepted(home):
    home.push(change(1, at_ms=NOW + 4_000))
    home.edit("edit", {"name": "Urlaub"})
    stamp = home.row.stamps["name"]
    assert node_of(stamp) == SERVER_NODE
    assert stamp > home.row.stamps["sortOrder"]
    assert home.repository.all_conflicts() == []


def test_a_stale_form_loses_visibly_and_writes_nothing(home):
    home.push(change(1))
    loaded = dict(home.row.stamps)
    home.push(change(2, "edit", {"name": "Urlaub"}, {"name": loaded["name"]}))
    seq = home.repository.read_head().seq
    with pytest.raises(engine.Stale) as caught:
        home.edit("edit", {"name": "Auto"}, seen=loaded)
    assert caught.value.fields == ["name"]
    assert (home.row.fields["name"], home.repository.read_head().seq) == ("Urlaub", seq)


def test_a_form_that_changes_another_field_or_to_the_same_value_is_not_stale(home):
    home.push(change(1))
    loaded = dict(home.row.stamps)
    home.push(change(2, "edit", {"name": "Urlaub"}, {"name": loaded["name"]}))
    seen = {name: stamp for name, stamp in loaded.items() if name != EXISTS}
    home.edit("edit", {"sortOrder": 7, "name": "Urlaub"}, seen=seen)
    assert (home.row.fields["name"], home.row.fields["sortOrder"]) == ("Urlaub", 7)


def test_an_edit_on_the_server_is_checked_like_any_other(home):
    for kind, fields, code in [
        ("edit", {"name": "x"}, "row_missing"),
        ("create", {"name": ""}, "required"),
        ("create", {"name": "x", "colour": "red"}, "unknown"),
        ("create", {"name": "x", EXISTS: False}, "read_only"),
    ]:
        with pytest.raises(Refused) as caught:
            home.edit(kind, fields)
        assert caught.value.code == code
    assert home.repository.read_head().seq == 0


# --- resets --------------------------------------------------------------------------------


def test_a_reset_is_repeated_until_the_device_has_noted_it(home):
    cursor = home.cursor().to_text()
    home.repository.new_epoch()
    assert home.hello(cursor=cursor).reset == "operator"
    assert home.hello(cursor=None).reset == "operator"
    greeting = home.hello(cursor=None, reset="operator")
    assert (greeting.reset, greeting.resume) == (None, False)
    assert home.hello(cursor=home.cursor().to_text()).resume


def test_a_device_that_pulls_after_a_reset_was_told_is_not_told_again(home):
    cursor = home.cursor().to_text()
    home.call(upkeep.force_reset, PHONE, NOW)
    assert home.hello(cursor=cursor).reset == "operator"
    home.call(greetings.note_reset, PHONE, NOW, "restored")  # another one than is open
    assert home.hello(cursor=cursor).reset == "operator"
    home.call(greetings.note_reset, PHONE, NOW, "operator")
    assert home.hello(cursor=cursor).reset is None
    home.call(greetings.note_reset, BEN, NOW, "operator")  # forgotten meanwhile


def test_rows_that_heal_a_database_that_was_restored_once_more_end_the_conversation(home):
    """Without the note that this device heals, what it brings would be stamped anew."""
    home.push(change(1))
    backup = home.repository.dump()
    home.push(change(2, "edit", {"sortOrder": 2}), acknowledged=1)
    home.repository.restore(backup)
    again = home.repository.dump()
    assert home.hello(acknowledged=2).is_healing
    home.repository.restore(again)  # to the same head
    years_ahead = Row(
        "account_group", GROUP, {"name": "x", "exists": True},
        dict.fromkeys(("name", "exists"), f"{NOW + 10 * 365 * DAY_MS:012x}-0000-{NODES[PHONE]}"),
    )  # fmt: skip
    frame = Rows(rows=[row_to_wire(years_ahead)], last=True)
    before = home.repository.all_rows()
    heal = partial(engine.apply_rows, is_healing=True)
    with pytest.raises(Restarting):
        home.call(heal, PHONE, ANNA, frame, NOW)
    assert home.repository.all_rows() == before
    assert home.hello(acknowledged=2, reset="restored").is_healing
    home.call(heal, PHONE, ANNA, frame, NOW)
    healed = home.repository.all_rows()["account_group", GROUP]
    assert healed.stamps["name"] == years_ahead.stamps["name"]


def test_what_follows_an_ack_of_another_past_ends_the_conversation(home):
    home.push(change(1))
    row = row_to_wire(home.repository.all_rows()["account_group", GROUP])
    backup = home.repository.dump()
    home.push(change(2, "edit", {"sortOrder": 2}), acknowledged=1)
    newer = row_to_wire(home.repository.all_rows()["account_group", GROUP])
    home.repository.restore(backup)
    home.hello(acknowledged=2)
    again = home.repository.dump()
    heal = partial(engine.apply_rows, is_healing=True)
    outcome = home.call(heal, PHONE, ANNA, Rows(rows=[newer]), NOW)
    home.repository.restore(again)
    home.edit("edit", {"name": "von jemand anderem"})  # and comes to the same number
    frame = Rows(rows=[row], last=True)
    anchor = outcome.ack.anchor
    with pytest.raises(Restarting):
        home.call(heal, PHONE, ANNA, frame, NOW, anchor=anchor)
    push = Push(changes=[change(3, "edit", {"sortOrder": 3})], acknowledged=2)
    with pytest.raises(Restarting):  # its numbers are those that were adopted
        home.call(engine.apply_push, PHONE, ANNA, push, NOW, anchor=anchor)
    assert home.hello(acknowledged=2, reset="restored", anchor=anchor).reset == "restored"


def test_at_every_reset_the_server_adopts_the_devices_number(home):
    home.push(change(1))
    backup = home.repository.dump()
    for number in (2, 3):
        home.push(change(number, "edit", {"sortOrder": number}), acknowledged=number - 1)
    home.repository.restore(backup)
    assert home.hello(acknowledged=3).reset == "restored"
    home.hello(acknowledged=3, reset="restored")
    results = home.push(change(3, "edit"), change(4, "edit", {"sortOrder": 4}), acknowledged=3)
    assert [each.fate for each in results.ack.results] == ["settled", "applied"]


def test_what_comes_after_a_number_that_somebody_else_has_used_takes_no_effect(home):
    """A copy of the device: it sends all of it again, under an identity of its own."""
    home.push(change(1), change(2, "edit", {"sortOrder": 2}))
    before, head = home.row, home.repository.read_head()
    copied = home.push(
        change(1), change(2, "edit", {"sortOrder": 5}), change(3, "edit", {"name": "Kopie"})
    )
    assert [each.fate for each in copied.ack.results] == ["applied", "settled", "settled"]
    assert (copied.seq, home.row, home.repository.read_head().seq) == (None, before, head.seq)
    # The original goes on under its numbers.
    own = home.push(change(3, "edit", {"sortOrder": 3}), acknowledged=2)
    assert [each.fate for each in own.ack.results] == ["applied"]
    late = home.push(change(3, "edit", {"sortOrder": 3}), change(4, "edit", {"name": "Original"}))
    assert [each.fate for each in late.ack.results] == ["applied", "applied"]
    pruned = home.push(change(2, "edit", {"sortOrder": 2}), change(5, "edit", {"name": "Kopie"}))
    assert [each.fate for each in pruned.ack.results] == ["settled", "settled"]
    assert home.row.fields["name"] == "Original"


def test_what_was_made_before_a_restamped_change_and_is_sent_after_it_stays_before_it(home):
    """As what was parked: its number is a later one. Found by simulation seed 1001441."""
    home.push(change(1))
    home.now_ms += 60_000
    ahead_ms = home.now_ms + 4 * DAY_MS
    home.push(
        change(2, "edit", {"name": "später"}, at_ms=ahead_ms),
        change(3, "edit", {"name": "früher"}, at_ms=home.now_ms - 100),
        change(4, "edit", {"sortOrder": 4}, at_ms=ahead_ms + 1),
    )
    assert (home.row.fields["name"], home.row.fields["sortOrder"]) == ("später", 4)
    assert home.row.stamps["sortOrder"] > home.row.stamps["name"]


def test_the_epoch_is_looked_at_first(home):
    home.push(change(1))
    cursor = home.cursor().to_text()
    home.repository.new_epoch()
    assert home.hello(cursor=cursor, acknowledged=99).reset == "operator"


def test_a_cursor_whose_fingerprint_was_pruned_lies_beyond_the_horizon(home):
    home.push(change(1))
    cursor = home.cursor()
    home.push(change(2, "edit", {"sortOrder": 2}))
    home.now_ms = NOW + upkeep.RETENTION_MS + DAY_MS
    home.call(upkeep.compact, home.now_ms)
    assert engine.why_lost(home.repository, home.repository.read_head(), cursor) == "horizon"
    newest = home.cursor()
    assert engine.why_lost(home.repository, home.repository.read_head(), newest) is None


def test_the_heads_own_fingerprint_is_kept_for_ever(home):
    home.push(change(1))
    cursor = home.cursor()
    home.now_ms = NOW + 10 * upkeep.RETENTION_MS
    home.call(upkeep.compact, home.now_ms)
    assert engine.why_lost(home.repository, home.repository.read_head(), cursor) is None


def test_an_ack_of_another_past_means_a_restored_database(home):
    """Whatever numbers and cursor say: a copy has used up the numbers, no page was read."""
    cursor, backup = home.cursor().to_text(), home.repository.dump()
    ack = home.push(change(1)).ack
    assert home.hello(cursor=cursor, acknowledged=1, anchor=ack.anchor).reset is None
    home.repository.restore(backup)
    assert home.hello(cursor=cursor, anchor=ack.anchor).reset == "restored", "it is ahead"
    home.repository.restore(backup)
    other = home.push(change(1, fields={"name": "Urlaub"})).ack
    assert (other.head, other.anchor != ack.anchor) == (ack.head, True)
    home.push(change(2, "edit", {"name": "Giro"}))
    said = {"cursor": cursor, "acknowledged": 1}
    assert home.hello(**said, anchor=ack.anchor).reset == "restored", "it is another"
    for anchor in (other.anchor, "", "nonsense", "1.00"):
        assert home.hello(**said, anchor=anchor, reset="restored").reset is None


def test_a_cursor_that_had_read_past_what_was_compacted_still_holds(home):
    home.push(change(1), change(2, "delete"))
    read = home.cursor()
    begun = engine.changes_since(home.repository, None, ANNA).cursor.at(text_position(0))
    home.now_ms = NOW + upkeep.RETENTION_MS + DAY_MS
    assert home.call(upkeep.compact, home.now_ms) == 1
    head = home.repository.read_head()
    assert engine.why_lost(home.repository, head, read) is None
    assert engine.why_lost(home.repository, head, begun) == "horizon"


def text_position(seq):
    return text_to_cursor(f"{'0' * 32}.{seq}...0.{'0' * 16}.0").position


def test_a_device_that_heals_holds_compaction_back(home):
    home.push(change(1), change(2, "delete"))
    home.push(change(3, "create", row_id=BEN), acknowledged=2)
    backup = home.repository.dump()
    home.push(change(4, "edit", {"sortOrder": 4}, row_id=BEN), acknowledged=3)
    home.repository.restore(backup)
    home.now_ms = NOW + upkeep.RETENTION_MS + DAY_MS
    assert home.hello(acknowledged=4).reset == "restored"
    assert home.call(upkeep.compact, home.now_ms) == 0
    home.hello(acknowledged=4, reset="restored")
    row = row_to_wire(home.repository.all_rows()["account_group", BEN])
    home.call(engine.apply_rows, PHONE, ANNA, Rows(rows=[row], last=True), home.now_ms)
    ping = Ping(cursor=home.cursor().to_text())
    home.call(greetings.note_ping, PHONE, ANNA, ping, home.now_ms)
    assert home.call(upkeep.compact, home.now_ms) == 1


def test_a_ping_under_a_database_that_was_restored_since_ends_the_conversation(home):
    """What was acknowledged is missing; the next welcome tells why."""
    home.push(change(1))
    backup = home.repository.dump()
    anchor = home.push(change(2, "edit", {"name": "Urlaub"}), acknowledged=1).ack.anchor

    def ping(**told):
        return home.call(greetings.note_ping, PHONE, ANNA, Ping(), NOW, **told)

    assert ping(anchor=anchor, acknowledged=2).seq == 2
    home.repository.restore(backup)
    home.edit("edit", {"name": "von jemand anderem"})
    for told in ({"anchor": anchor}, {"acknowledged": 2}):
        with pytest.raises(Restarting):
            ping(**told)
    assert home.hello(acknowledged=1, anchor=anchor).reset == "restored"


# --- retention --------------------------------------------------------------------------------


def test_the_server_drops_a_conflict_after_ninety_days(home):
    home.hello(TABLET)
    home.push(change(1))
    home.push(change(1, "edit", {"name": "Urlaub"}, device=TABLET, at_ms=NOW + 9), device=TABLET)
    (conflict,) = home.repository.all_conflicts()
    assert (conflict.losing_value, conflict.losing_user) == ("Sparen", ANNA)
    home.call(upkeep.compact, NOW + upkeep.RETENTION_MS - DAY_MS)
    assert home.repository.all_conflicts() == [conflict]
    home.call(upkeep.compact, NOW + upkeep.RETENTION_MS + DAY_MS)
    assert home.repository.all_conflicts() == []


# --- references ----------------------------------------------------------------------------


def test_a_reference_to_another_households_row_cannot_be_told_from_one_to_nothing(home):
    other = Home()
    other.hello()
    other.push(change(1))
    answers = []
    for number, target in ((1, GROUP), (2, BEN)):  # the other household's, and nobody's
        fields = {"name": "Giro", "accountGroupId": target}
        row_id = f"0e8dd58a-61c2-4fb8-a22e-00000000000{number}"
        stamp = change(number).stamp
        account = Change(number, "account", row_id, "create", stamp, fields)
        (result,) = home.push(account).ack.results
        answers.append((result.fate, result.code, result.message))
        assert home.repository.all_rows()["account", row_id].fields["accountGroupId"] == target
    assert answers == [("applied", "", "")] * 2


# --- who writes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "answer"),
    [
        (Field("icon", "text", "", max_length=9), ("applied", "", "")),
        (Field("icon", "text", max_length=9, is_required=True), ("refused", "required", "icon")),
    ],
    ids=["with a default", "without one"],
)
def test_a_device_that_does_not_know_a_new_field_is_completed_or_told_which_is_missing(
    home, field, answer
):
    """N05: an edit of a row that is there needs no such field in any case."""
    home.push(change(1))
    group = HOUSEHOLD["account_group"]
    newer = Entity(group.name, {**group.fields, field.name: field})
    home.repository.entities = {**HOUSEHOLD, group.name: newer}
    other = "70b1c2d3-e4f5-4a6b-8c7d-9e0f1a2b3c4e"
    edited, made = home.push(
        change(2, "edit", {"name": "Urlaub"}), change(3, row_id=other)
    ).ack.results
    assert edited.fate == "applied" and home.row.fields["name"] == "Urlaub"
    assert (made.fate, made.code, made.field) == answer
    if made.fate == "applied":
        assert home.repository.all_rows()["account_group", other].fields["icon"] == ""


def test_a_field_that_may_not_be_empty_any_more_is_refused_by_its_name(home):
    """N05: what an older device still sends empty; the rest of its push is taken."""
    home.push(change(1))
    group = HOUSEHOLD["account_group"]
    empty, filled = home.push(
        change(2, "edit", {"sortOrder": None}), change(3, "edit", {"name": "Urlaub"})
    ).ack.results
    assert not group.fields["sortOrder"].is_nullable
    assert (empty.fate, empty.code, empty.field) == ("refused", "required", "sortOrder")
    assert filled.fate == "applied" and home.row.fields["sortOrder"] == 0


def test_a_viewer_reads_and_writes_nothing(home):
    home.push(change(1))
    home.repository.set_role(BEN, "viewer")
    home.hello(TABLET, BEN)
    assert len(engine.changes_since(home.repository, None, BEN).rows) == 1
    mine = change(1, "edit", {"name": "x"}, device=TABLET)
    with pytest.raises(Forbidden):
        home.push(mine, device=TABLET, user=BEN)
    with pytest.raises(Forbidden):
        home.call(engine.apply_rows, TABLET, BEN, Rows(rows=[]), NOW)
    assert home.row.fields["name"] == "Sparen"


def test_who_is_no_member_hears_nothing(home):
    for attempt in (
        lambda: home.hello(TABLET, BEN),
        lambda: home.push(user=BEN),
        lambda: engine.changes_since(home.repository, None, BEN),
        lambda: home.call(greetings.note_ping, PHONE, BEN, Ping(), NOW),
    ):
        with pytest.raises(NotYours):
            attempt()


def test_a_device_that_is_not_known_any_more_says_hello_again(home):
    home.repository.revoke(PHONE)
    with pytest.raises(Restarting):
        home.push(change(1))
    assert home.hello().is_identity_taken


def test_node_zero_is_the_servers(home):
    for fields in ({"node": SERVER_NODE}, {"former_nodes": [SERVER_NODE]}):
        with pytest.raises(BadFrame):
            home.hello(TABLET, **fields)


def test_the_former_node_of_another_person_is_not_taken_over(home):
    home.repository.set_role(BEN, "editor")
    home.hello(TABLET, BEN, former_nodes=[NODES[PHONE]])
    (result,) = home.push(change(1), device=TABLET, user=BEN).ack.results
    assert (result.fate, result.code) == ("refused", "stamp_foreign")
