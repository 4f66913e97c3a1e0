"""The device's conversation: what it sends when, and how it leaves and comes back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from syncapp.core.session import (
    ANSWER_TIMEOUT_MS,
    BACKOFF_CAP_MS,
    BEAT_MS,
    CONVERSING,
    EVIDENCE_MAX_AGE_MS,
    SLEPT_MS,
    SOON_MS,
    TOO_FAST_MS,
    Acked,
    Asked,
    Closed,
    Connect,
    Disconnect,
    Edited,
    Event,
    Facts,
    Failed,
    HeadHeard,
    Heard,
    Left,
    Opened,
    SendHello,
    SendPing,
    SendPull,
    SendPush,
    SendReport,
    SendRows,
    Session,
    Stored,
    SyncRequested,
    Timer,
    Unblocked,
    Welcomed,
    backoff_ms,
    is_up_to_date,
    step,
    wake_at,
)

NOW = 1_000_000


class Device:
    """A session with the facts that a replica would tell."""

    def __init__(self, chance: float = 0.5) -> None:
        self.session, self.facts, self.now, self.chance = Session(), Facts(), NOW, chance

    def on(self, event: Event, **facts) -> list:
        self.facts = replace(self.facts, **facts)
        self.session, actions = step(self.session, event, self.facts, self.now, self.chance)
        return actions

    @property
    def g(self) -> int:
        return self.session.generation

    def idle(self) -> Device:
        self.on(Asked())
        self.on(Opened(self.g))
        self.on(Welcomed(self.g, head=0))
        self.on(Stored(self.g, head=0, is_empty=True))
        assert self.session.phase == "idle"
        return self


PULL, ASK = SendPull(ask=False), SendPull(ask=True)


def test_a_device_pulls_up_to_the_head_then_heals_then_pushes_then_is_idle():
    device = Device()
    assert device.on(Timer()) == [Connect(1)]
    assert device.on(Opened(1)) == [SendHello()]
    facts = {"has_rows": True, "has_changes": True, "is_walking": True}
    assert device.on(Welcomed(1, head=9), **facts) == [ASK]
    assert device.on(Stored(1, head=9, more=True), read_seq=4) == [PULL]
    assert device.session.phase == "pulling"
    assert device.on(Stored(1, head=9), read_seq=9, is_walking=False) == [PULL, SendRows()]
    assert device.on(Acked(1, of="rows"), has_rows=False) == [SendPush()]
    assert device.session.phase == "pushing"
    assert device.on(Acked(1), has_changes=False) == []
    assert device.session.phase == "idle"


def test_a_device_that_is_at_the_head_pushes_without_waiting_for_the_first_answer():
    device = Device()
    device.on(Asked())
    device.on(Opened(1))
    assert device.on(Welcomed(1, head=3), read_seq=3, has_changes=True) == [ASK, SendPush()]


def test_one_push_is_unanswered_at_a_time():
    device = Device().idle()
    assert device.on(Edited(), has_changes=True) == [SendPush()]
    assert device.on(Edited()) == []
    assert device.on(Acked(device.g)) == [SendPush()]


def test_an_empty_answer_needs_no_credit():
    """G12: nothing to store, nothing to say."""
    device = Device().idle()
    device.on(Asked())
    assert device.on(Stored(device.g, head=0, is_empty=True)) == []


@pytest.mark.parametrize("is_pong", [False, True])
def test_a_head_that_is_ahead_is_pulled_once(is_pong):
    """H01: a lost hint is noticed at the next heartbeat."""
    device = Device().idle()
    assert device.on(HeadHeard(device.g, head=5, is_pong=is_pong)) == [ASK]
    assert device.on(HeadHeard(device.g, head=6)) == []
    assert device.on(Stored(device.g, head=6), read_seq=6) == [PULL]


def test_a_head_behind_what_was_read_is_asked_about_too():
    """A restored server: its answer is a reset."""
    device = Device().idle()
    device.facts = replace(device.facts, read_seq=7)
    assert device.on(HeadHeard(device.g, head=3)) == [ASK]


def test_a_frame_that_lies_ahead_counts_as_news():
    device = Device().idle()
    assert device.on(Stored(device.g, head=9, is_gap=True)) == [ASK]
    assert device.on(Stored(device.g, head=9, is_gap=True)) == []


def test_the_heartbeat_beats_and_two_missing_pongs_end_the_connection():
    """I05: a half-open connection does not stay."""
    device = Device().idle()
    for _ in range(2):
        device.now = wake_at(device.session)
        assert device.on(Timer()) == [SendPing()]
    device.now = wake_at(device.session)
    assert device.on(Timer()) == [Disconnect(1)]
    assert (device.session.phase, device.session.reason) == ("offline", "no_answer")


def test_a_pong_keeps_the_connection():
    device = Device().idle()
    for _ in range(20):
        device.now = wake_at(device.session)
        assert device.on(Timer()) == [SendPing()]
        device.on(HeadHeard(device.g, head=0, is_pong=True))


def test_after_a_sleep_the_old_socket_is_left_at_once():
    """I04."""
    device = Device().idle()
    device.now += BEAT_MS + SLEPT_MS + 1
    assert device.on(Timer()) == [Disconnect(1)]
    assert device.on(Timer()) == [Connect(2)]


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("code", [1012, 1013])
def test_a_restarting_server_is_met_again_soon_and_not_by_all_at_once(code, chance):
    """I01, I02."""
    device = Device(chance).idle()
    device.on(Closed(1, code))
    assert device.session.retry_at_ms - NOW == int(chance * SOON_MS)


@pytest.mark.parametrize(
    ("code", "reason"), [(4401, "sign_in"), (4403, "not_allowed"), (4426, "upgrade_needed")]
)
def test_some_close_codes_end_it_until_somebody_does_something(code, reason):
    """B10: the queue is kept, nothing is retried."""
    device = Device().idle()
    device.on(Closed(1, code))
    assert (device.session.phase, device.session.reason) == ("stopped", reason)
    assert wake_at(device.session) is None
    device.now += 10**9
    assert device.on(Timer()) == []
    assert device.on(Unblocked()) == [Connect(2)]


def test_asking_ends_a_stop_only_where_the_server_may_have_changed_its_mind():
    for code, actions in ((4401, []), (4426, []), (4403, [Connect(2)])):
        device = Device().idle()
        device.on(Closed(1, code))
        assert device.on(Asked()) == actions


def test_the_reason_of_a_stop_is_the_error_that_was_told():
    device = Device()
    device.on(Asked())
    device.on(Opened(1))
    device.on(Failed(1, of="hello", code="not_yours"))
    device.on(Closed(1, 4403))
    assert device.session.reason == "not_yours"


def test_a_household_that_moved_is_brought_to_the_server_at_once():
    device = Device()
    device.on(Asked())
    device.on(Opened(1))
    device.on(Failed(1, of="hello", code="not_yours", is_moved=True))
    device.on(Closed(1, 4403))
    assert (device.session.phase, device.session.retry_at_ms) == ("offline", NOW)


def test_too_fast_backs_off_for_some_seconds():
    device = Device(0.0).idle()
    device.on(Closed(1, 4429))
    assert device.session.retry_at_ms == NOW + TOO_FAST_MS


def test_retries_back_off_up_to_a_cap_and_start_over_after_success_or_on_request():
    """B08, B09: without any new local write."""
    device, waits = Device(0.999), []
    for _ in range(12):
        device.on(Timer())
        device.on(Closed(device.g, 1006))
        waits.append(device.session.retry_at_ms - device.now)
        device.now = device.session.retry_at_ms
    assert waits == sorted(waits) and waits[0] < 2000 and waits[-1] == int(0.999 * BACKOFF_CAP_MS)
    device.on(Timer())
    device.on(Opened(device.g))
    device.on(Welcomed(device.g, head=0))
    device.on(Stored(device.g, head=0))
    device.on(Closed(device.g, 1006))
    assert device.session.retry_at_ms - device.now < 2000
    assert device.on(Asked()) == [Connect(device.g)]


@given(some.integers(0, 10**6), some.floats(0, 1, exclude_max=True))
def test_full_jitter_lies_between_nothing_and_the_cap(attempt, chance):
    assert 0 <= backoff_ms(attempt, chance) < BACKOFF_CAP_MS


def test_busy_is_tried_again_after_the_time_the_server_asked_for():
    device = Device(0.0).idle()
    device.on(Edited(), has_changes=True)
    failed = Failed(1, of="push", code="busy", retryable=True, retry_after_ms=700)
    assert device.on(failed) == []
    assert device.on(Edited()) == []
    assert wake_at(device.session) == NOW + 700
    device.now += 700
    assert device.on(Timer()) == [SendPush()]


def test_a_push_that_may_not_be_sent_is_not_repeated_until_the_next_welcome():
    """S16: the queue is kept and explained."""
    device = Device().idle()
    device.on(Edited(), has_changes=True)
    assert device.on(Failed(1, of="push", code="forbidden")) == []
    assert (device.session.phase, device.session.reason) == ("idle", "forbidden")
    assert device.on(Asked()) == [ASK]
    device.on(Stored(1, head=0))
    assert device.session.reason == "forbidden"


def test_a_viewer_neither_heals_nor_pushes():
    device = Device()
    device.facts = Facts(has_rows=True, has_changes=True, may_write=False)
    device.idle()
    assert device.on(Edited()) == []


def test_a_pull_that_is_answered_by_an_error_is_not_repeated_in_a_tight_loop():
    device = Device(0.0).idle()
    device.on(HeadHeard(1, head=3))
    for _ in range(3):
        assert device.on(Failed(1, of="pull", code="bad_frame")) == []
    device.now = wake_at(device.session)
    assert device.on(Timer()) == [ASK]


def test_an_answer_that_never_comes_ends_the_connection():
    device = Device().idle()
    device.on(Edited(), has_changes=True)
    for _ in range(2):  # the server is alive, only the answer is missing
        device.now += BEAT_MS
        assert device.on(Timer()) == [SendPing()]
        device.on(HeadHeard(1, head=0, is_pong=True))
    device.now = NOW + ANSWER_TIMEOUT_MS
    assert device.on(Timer()) == [Disconnect(1)]


def test_provisioning_lets_the_greeting_take_its_time():
    device = Device()
    device.on(Asked())
    device.on(Opened(1))
    device.now += ANSWER_TIMEOUT_MS - 1
    device.on(Heard(1))
    device.now += ANSWER_TIMEOUT_MS - 1
    assert device.on(Timer()) == []


@pytest.mark.parametrize("event", [Welcomed(1, 0, says_hello_again=True), Acked(1, "push", True)])
def test_a_copy_comes_back_as_somebody_else(event):
    device = Device()
    if isinstance(event, Acked):
        device.idle()
    else:
        device.on(Asked())
        device.on(Opened(1))
    assert device.on(event) == [Disconnect(1)]
    assert device.on(Timer()) == [Connect(2)]


def test_a_sync_request_is_reported_when_all_is_done():
    device = Device().idle()
    assert device.on(SyncRequested(1, "a"), has_changes=True) == [ASK, SendPush()]
    assert device.on(Acked(1), has_changes=False) == []
    assert device.on(Stored(1, head=0, is_empty=True)) == [SendReport("a", "done")]


def test_a_sync_request_is_answered_when_the_device_knows_that_it_cannot():
    device = Device().idle()
    device.on(SyncRequested(1, "a"), has_changes=True)
    device.on(Failed(1, of="push", code="forbidden"))
    assert device.on(Stored(1, head=0, is_empty=True)) == [SendReport("a", "failed")]


def test_late_words_of_an_old_socket_are_ignored():
    """C06, I07: every event of another generation, in every phase."""
    device = Device().idle()
    device.on(Closed(1, 1012))
    device.on(Asked())
    before = device.session
    for event in (
        Opened(1),
        Stored(1, 99),
        Acked(1),
        Closed(1, 4401),
        Welcomed(1, 9),
        Failed(1, "", "busy"),
    ):
        assert device.on(event) == []
    assert device.session == before


def test_whoever_leaves_stays_away():
    device = Device().idle()
    assert device.on(Left()) == [Disconnect(1)]
    for event in (Timer(), Asked(), Edited(), Unblocked(), Closed(1, 1006)):
        assert device.on(event) == []
    assert wake_at(device.session) is None


# --- evidence before green (4.7) ---------------------------------------------------------------

EVIDENCE = {
    "pending": 0,
    "parked": 0,
    "is_healing": False,
    "is_walking": False,
    "read_seq": 7,
    "head": 7,
    "heard_ms": NOW - EVIDENCE_MAX_AGE_MS,
    "now_ms": NOW,
}


@pytest.mark.parametrize(
    ("lack", "is_green"),
    [
        ({}, True),
        ({"pending": 1}, False),
        ({"parked": 1}, False),
        ({"is_healing": True}, False),
        ({"is_walking": True}, False),
        ({"head": 8}, False),
        ({"head": 6}, False),
        ({"heard_ms": None}, False),
        ({"heard_ms": NOW - EVIDENCE_MAX_AGE_MS - 1}, False),
        ({"heard_ms": NOW + 1}, False),
    ],
)
def test_up_to_date_is_said_only_with_fresh_evidence(lack, is_green):
    assert is_up_to_date(**{**EVIDENCE, **lack}) is is_green


# --- totality ------------------------------------------------------------------------------------

near = some.integers(0, 3)
EVENTS = some.one_of(
    some.builds(Opened, near),
    some.builds(
        Closed,
        near,
        some.sampled_from([1000, 1006, 1009, 1012, 1013, 4400, 4401, 4403, 4426, 4429]),
    ),
    some.builds(Welcomed, near, near, some.booleans()),
    some.builds(Stored, near, near, some.booleans(), some.booleans(), some.booleans()),
    some.builds(Acked, near, some.sampled_from(["push", "rows"]), some.booleans()),
    some.builds(HeadHeard, near, near, some.booleans()),
    some.builds(SyncRequested, near, some.just("r")),
    some.builds(Failed, near, some.sampled_from(["", "hello", "push", "rows", "pull", "ping"]),
                some.sampled_from(["busy", "not_yours", "bad_frame"]), some.booleans(),
                some.integers(0, 5000), some.booleans()),
    some.builds(Heard, near),
    some.sampled_from([Edited(), Asked(), Unblocked(), Timer(), Timer()]),
)  # fmt: skip
FACTS = some.builds(Facts, near, some.booleans(), some.booleans(), some.booleans(), some.booleans())
MOMENTS = some.tuples(
    EVENTS, FACTS, some.sampled_from([0, 1, 50, 3000, 20_000, 100_000]), some.floats(0, 0.999)
)


@given(some.lists(MOMENTS, max_size=40))
def test_every_phase_takes_every_event(moments):
    """Total: no error, one open answer of a kind, nothing said on a closed socket."""
    session, now, hello_in = Session(), NOW, 0
    for event, facts, later, chance in moments:
        now += later
        before = session
        session, actions = step(session, event, facts, now, chance)
        sends = [each for each in actions if not isinstance(each, Connect | Disconnect)]
        if sends:
            assert session.phase in {"greeting", *CONVERSING}
        assert session.generation >= before.generation
        assert actions.count(SendPush()) + actions.count(SendRows()) <= 1
        if {SendPush(), SendRows()} & set(actions):
            assert session.awaits and facts.may_write
            assert not before.awaits or isinstance(event, Acked | Failed)
        if SendHello() in actions:
            assert session.generation > hello_in
            hello_in = session.generation
        if session.phase != "stopped":
            assert wake_at(session) is not None or session.phase in ("connecting", "greeting")
        if session.phase in ("offline", "stopped"):
            assert (session.awaits, session.is_asking, session.heard_ms) == ("", False, None)


@given(some.lists(MOMENTS, max_size=30))
def test_a_device_never_falls_silent_for_ever(moments):
    """Whatever has happened: while it is not stopped, its timer brings it on."""
    session, now = Session(), NOW
    for event, facts, later, chance in moments:
        now += later
        session, _ = step(session, event, facts, now, chance)
    generation = session.generation
    for _ in range(20):
        at = wake_at(session)
        if session.phase == "stopped" or session.generation > generation:
            return
        assert at is not None
        now = max(now, at)
        session, _ = step(session, Timer(), Facts(), now, 0.5)
    raise AssertionError(f"still in {session}")
