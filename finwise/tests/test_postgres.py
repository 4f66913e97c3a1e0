"""The embedded PostgreSQL: shared, never left behind, back after every kill."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from finwise.places import ROOT
from finwise.postgres import Lease, running
from finwise.postgres.cluster import has_ended
from finwise.postgres.place import Place
from finwise.problem import Problem
from finwise.tests.ending import PATIENCE_S, wait_for_end

HOLD_A_LEASE = """
import sys
from pathlib import Path
from finwise.postgres import ensure_running
print(ensure_running(Path(sys.argv[1]), durable=False), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def lease(state_dir: Path) -> Iterator[Lease]:
    with running(state_dir, durable=False) as lease:
        yield lease


def postmaster(state_dir: Path) -> psutil.Process:
    text = (state_dir / "postgres" / "data" / "postmaster.pid").read_text()
    return psutil.Process(int(text.split()[0]))


def supervisor(state_dir: Path) -> psutil.Process:
    parent = postmaster(state_dir).parent()
    assert parent is not None
    return parent


def ask(url: str, statement: str) -> list[tuple]:
    with psycopg.connect(url, connect_timeout=5) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def eventually(attempt: Callable[[], object]) -> None:
    """Until it no longer raises; a server that recovers refuses connections for a moment."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            attempt()
        except psycopg.OperationalError:
            if time.monotonic() > deadline_s:
                raise
        else:
            return


def another_process(state_dir: Path) -> "subprocess.Popen[str]":
    """A process that holds a lease until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_A_LEASE, str(state_dir)],
        cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout and process.stdout.readline().startswith("postgresql://")
    return process


def test_processes_share_one_server_which_ends_with_the_last_of_them(state_dir: Path) -> None:
    with running(state_dir, durable=False) as first:
        server = postmaster(state_dir)
        second = another_process(state_dir)
        first.release()
        assert not has_ended(server)
        assert postmaster(state_dir) == server
        second.communicate("")
        wait_for_end(server)


def test_a_killed_process_leaves_nothing_running(state_dir: Path) -> None:
    process = another_process(state_dir)
    left = [postmaster(state_dir), supervisor(state_dir)]
    process.kill()
    process.communicate()
    wait_for_end(*left)
    assert all(has_ended(each) for each in left)


def test_killed_postgresql_comes_back_with_what_was_committed(
    state_dir: Path, lease: Lease
) -> None:
    ask(lease.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    before = postmaster(state_dir)
    before.kill()
    wait_for_end(before)
    eventually(lambda: ask(lease.url, "SELECT 1"))
    assert ask(lease.url, "SELECT answer FROM kept") == [(42,)]
    assert postmaster(state_dir) != before


def test_a_killed_supervisor_takes_postgresql_along_and_is_replaced(
    state_dir: Path, lease: Lease
) -> None:
    lease.keep()
    victims = [supervisor(state_dir), postmaster(state_dir)]
    url = lease.url
    victims[0].kill()
    wait_for_end(*victims)
    eventually(lambda: ask(url, "SELECT 1"))
    assert lease.url == url


def test_the_application_is_no_superuser_and_the_text_order_is_byte_order(lease: Lease) -> None:
    assert ask(lease.url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [
        (False,)
    ]
    assert ask(lease.url, "SELECT 'Z' < 'a', 'z' < 'ä'") == [(True, True)]


def test_secrets_are_for_their_owner_only_and_nothing_listens_on_the_network(
    state_dir: Path, lease: Lease
) -> None:
    secrets = Place.in_state_dir(state_dir).secrets
    assert secrets.stat().st_mode & 0o777 == 0o600
    assert (state_dir / "postgres" / "socket").stat().st_mode & 0o777 == 0o700
    assert postmaster(state_dir).net_connections(kind="inet") == []


def test_lost_secrets_are_replaced(state_dir: Path) -> None:
    secrets = Place.in_state_dir(state_dir).secrets
    with running(state_dir, durable=False):
        old = json.loads(secrets.read_text())
    secrets.unlink()
    with running(state_dir, durable=False) as lease:
        assert ask(lease.url, "SELECT 1") == [(1,)]
        assert json.loads(secrets.read_text()) != old


def test_a_pid_file_that_names_another_program_does_not_stop_the_start(state_dir: Path) -> None:
    with running(state_dir, durable=False):
        left = (state_dir / "postgres" / "data" / "postmaster.pid").read_text().splitlines()
    left[0] = str(os.getpid())
    (state_dir / "postgres" / "data" / "postmaster.pid").write_text("\n".join(left))
    with running(state_dir, durable=False) as lease:
        assert ask(lease.url, "SELECT 1") == [(1,)]


def test_a_server_without_a_supervisor_is_stopped_before_the_next_starts(state_dir: Path) -> None:
    with running(state_dir, durable=False) as lease:
        stray = postmaster(state_dir)
        # Both at once: the supervisor cannot restart, and where the kernel does not help, the
        # server stays. (Here it helps, so it is usually gone already.)
        supervisor(state_dir).send_signal(signal.SIGKILL)
        with running(state_dir, durable=False) as next_one:
            assert ask(next_one.url, "SELECT 1") == [(1,)]
            assert has_ended(stray)
        lease.released = True


@pytest.mark.parametrize(("version", "ours"), [("99", "older"), ("12", "newer")])
def test_data_of_another_major_version_is_refused_and_untouched(
    fresh_state_dir: Path, version: str, ours: str
) -> None:
    data = fresh_state_dir / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text(f"{version}\n")
    with pytest.raises(Problem, match=f"by PostgreSQL {version}.* the {ours} PostgreSQL 1"):
        Lease(fresh_state_dir, durable=False, tell=print)
    assert [each.name for each in data.iterdir()] == ["PG_VERSION"]


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Problem, match="FinWise cannot write"):
        Lease(tmp_path / "file", durable=False, tell=print)
