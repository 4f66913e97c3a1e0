"""Waiting for processes to be gone."""

import time

import psutil

from finwise.postgres.cluster import has_ended

PATIENCE_S = 20


def wait_for_end(*processes: psutil.Process) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not all(has_ended(process) for process in processes):
        assert time.monotonic() < deadline_s, "still running"
