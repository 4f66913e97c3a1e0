"""The load is what real devices would send."""

from bench.content import Content
from bench.speaker import Speaker, pushes_of
from syncapp.core.messages import BATCH_MAX_BYTES, BATCH_MAX_ROWS, Push, text_to_up


def test_the_same_seed_makes_the_same_rows():
    assert Content(7).account() == Content(7).account()
    assert Content(7).account() != Content(8).account()


def test_ibans_have_the_right_check_digits():
    iban = Content(7).iban()
    assert len(iban) == 22
    assert int(f"{iban[4:]}1314{iban[2:4]}") % 97 == 1


def test_pushes_keep_the_limits_of_the_protocol_and_lose_nothing():
    speaker, content = Speaker(None), Content(7)  # type: ignore[arg-type]
    changes = [speaker.change("create", content.row_id(), content.account()) for _ in range(1_100)]
    changes += [speaker.change("edit", content.row_id(), {"note": "x" * 2_000}) for _ in range(400)]
    pushes = list(pushes_of(changes))
    assert all(len(each) <= BATCH_MAX_BYTES for each in pushes)
    frames = [text_to_up(each) for each in pushes]
    assert all(isinstance(each, Push) and len(each.changes) <= BATCH_MAX_ROWS for each in frames)
    assert [change for frame in frames for change in frame.changes] == changes
    last = 0
    for frame in frames:
        assert frame.acknowledged == last
        last = frame.changes[-1].number
