"""Who speaks too fast gains nothing by coming anew."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from syncapp import haste


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [1_000.0]
    monkeypatch.setattr(haste, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


def test_a_burst_and_then_so_many_a_second(pass_time: Callable[[float], None]) -> None:
    bucket = haste.TokenBucket(50, 200)
    assert [bucket.take() for _ in range(201)] == [True] * 200 + [False]
    pass_time(1)
    assert [bucket.take() for _ in range(51)] == [True] * 50 + [False]
    pass_time(3_600)
    assert [bucket.take() for _ in range(201)] == [True] * 200 + [False]


def test_an_emptied_bucket_is_shared_until_it_is_full_again(
    pass_time: Callable[[float], None],
) -> None:
    hasty, other = uuid.uuid4(), uuid.uuid4()
    bucket = haste.bucket_for(hasty, 50, 200)
    while bucket.take():
        pass
    # A socket that only ended takes nothing with it.
    assert haste.bucket_for(hasty, 50, 200) is not bucket
    haste.remember(hasty, bucket)
    assert haste.bucket_for(hasty, 50, 200) is bucket
    assert haste.bucket_for(other, 50, 200) is not bucket
    pass_time(3.9)
    assert haste.bucket_for(hasty, 50, 200) is bucket
    pass_time(0.2)
    assert haste.bucket_for(hasty, 50, 200) is not bucket


def test_who_was_hasty_once_is_forgotten(pass_time: Callable[[float], None]) -> None:
    for _ in range(100):
        bucket = haste.TokenBucket(50, 200)
        while bucket.take():
            pass
        haste.remember(uuid.uuid4(), bucket)
        pass_time(1)
    assert len(haste._emptied) <= 5
