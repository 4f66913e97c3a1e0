"""A pool in front of PostgreSQL that hands each transaction another session."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from django.db import connection

from syncapp.tests.household import Household
from syncapp.tests.socket.phone import Phone
from syncapp.tests.socket.processes import ServerProcess, database_url

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("pgbouncer"), reason="needs pgbouncer"),
]
CHANGES = 25


@pytest.fixture
def pool_url(households: object) -> Iterator[str]:
    """The test database through PgBouncer in transaction mode, with very few sessions."""
    target = connection.settings_dict
    account = pwd.getpwuid(Path(target["HOST"]).stat().st_uid).pw_name
    folder = Path(tempfile.mkdtemp(prefix="finwise-pool-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "users").write_text(f'"{target["USER"]}" "{target["PASSWORD"]}"\n')
    (folder / "ini").write_text(
        f"""[databases]
* = host={target["HOST"]} port={target["PORT"] or 5432}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
ignore_startup_parameters = options,extra_float_digits
logfile = {folder}/log
pidfile = {folder}/pid
"""
    )
    folder.chmod(0o755)
    shutil.chown(folder, account)
    for each in folder.iterdir():
        shutil.chown(each, account)
    command = ["pgbouncer", str(folder / "ini")]
    if os.geteuid() == 0:
        command[1:1] = ["-u", account]
    pool = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        gives_up_s = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert time.monotonic() < gives_up_s and pool.poll() is None
        yield f"postgresql://{quote(target['USER'])}:x@127.0.0.1:{port}/{target['NAME']}"
    finally:
        pool.terminate()
        pool.wait(10)
        shutil.rmtree(folder)


def test_households_stay_apart_and_in_step_through_a_pool_of_three_sessions(
    pool_url: str,
    households: Callable[[], Household],
    new_phone: Callable[..., Phone],
    raw_connection: psycopg.Connection,
) -> None:
    server = ServerProcess(
        environment={"DATABASE_URL": pool_url, "FINWISE_LISTEN_URL": database_url()}
    )
    try:
        homes = [households() for _ in range(4)]
        phones = [new_phone(at=home, url=server.url).online() for home in homes]

        def write(phone: Phone) -> set[str]:
            written = set()
            for _ in range(CHANGES):
                change = phone.new_group(str(phone.tenant_id))
                assert phone.push_and_settle(change)[0]["fate"] == "applied"
                written.add(str(change["id"]))
            return written

        with ThreadPoolExecutor(len(phones)) as pool:
            written = list(pool.map(write, phones))
        for home, ids in zip(homes, written, strict=True):
            rows = home.rows()
            assert {row_id for _, row_id in rows} == ids
            assert {row.fields["name"] for row in rows.values()} == {str(home.id)}
        # A write by hand is heard by the connection that goes past the pool.
        tablet = new_phone(at=homes[0], url=server.url).online()
        tablet.ping()
        raw_connection.execute(f'UPDATE "{homes[0].schema}".account_group SET sort_order = 7')
        raw_connection.commit()
        assert len(tablet.take_live()) == CHANGES
    finally:
        said = server.stop()
    assert "Traceback" not in said and "LISTEN is down" not in said, said
