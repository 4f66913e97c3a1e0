"""What Prometheus is told: counts and times, never whose or how much."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable
from urllib.request import urlopen

import pytest
from django.conf import settings
from prometheus_client.parser import text_string_to_metric_families

from finwise.monitoring import answer_prometheus
from finwise.problem import Problem
from syncapp import metrics
from syncapp.core.errors import FRAME_ERRORS, REFUSAL_CODES
from syncapp.core.messages import Result
from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.processes import ServerProcess

AMOUNT = "13371337.1337"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found["finwise_" + name, frozenset(labels.items())]


def test_a_serving_process_tells_what_it_does_and_not_for_whom(
    household: Household, new_phone: Callable[..., Phone]
) -> None:
    port = free_port()
    running = ServerProcess(environment={"FINWISE_METRICS_PORT": str(port)})
    try:
        phone, tablet = (new_phone(url=running.url).online() for _ in range(2))
        results = phone.push_and_settle(
            phone.new_group("Girokonten"),
            phone.change("create", "account", str(uuid.uuid4()), {"name": "x", "balance": AMOUNT}),
            phone.change("create", "account", str(uuid.uuid4()), {"name": "x", "balance": "1e9"}),
            phone.change("edit", "account", str(uuid.uuid4()), {"name": AMOUNT}),
        )
        assert [each["fate"] for each in results] == ["applied", "applied", "refused", "refused"]
        tablet.take_live()
        tablet.ping()
        phone.say({"type": "push", "changes": AMOUNT})
        phone.hear_until("error")
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            text = answer.read().decode()
        found = samples(text)
        assert value(found, "sockets") == 2
        assert value(found, "households_served") == 1
        assert value(found, "changes_total", fate="applied") == 2
        assert value(found, "changes_total", fate="refused") == 2
        assert value(found, "refusals_total", code="type") == 1
        assert value(found, "refusals_total", code="row_missing") == 1
        assert value(found, "refusals_total", code="iban") == 0
        assert value(found, "frames_refused_total", code="bad_frame") == 1
        assert value(found, "push_seconds_count") == 1
        assert value(found, "delivery_seconds_count") >= 1
        assert value(found, "executor_wait_seconds_count") >= 3
        for secret in (str(household.id), household.id.hex, phone.id, AMOUNT, "Girokonten"):
            assert secret not in text
        phone.hang_up()
        tablet.hang_up()
    finally:
        said = running.stop()
    assert "Traceback" not in said


def test_labels_come_from_closed_lists() -> None:
    """Whatever somebody sends, it makes no new series."""

    def series() -> int:
        return len(next(iter(metrics._frames.collect())).samples)

    before = series()
    metrics.note_refused_frame("x" * 1000)
    metrics.note_answer([Result(1, "refused", code="made up")], 0.001)
    assert series() == before
    assert set(metrics._by_refusal) == {*REFUSAL_CODES, "other"}
    assert set(metrics._by_frame) == {*(each.code for each in FRAME_ERRORS), "other"}


def test_nobody_is_answered_unless_a_port_is_named() -> None:
    assert settings.METRICS_PORT == 0
    assert settings.METRICS_HOST == "127.0.0.1"
    answer_prometheus("127.0.0.1", 0)


def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Problem, match="FINWISE_METRICS_PORT"):
            answer_prometheus("127.0.0.1", taken.getsockname()[1])
