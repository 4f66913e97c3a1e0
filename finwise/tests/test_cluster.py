"""Refusals of one data directory, each a sentence that says what to do."""

import getpass
import os
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace

import pytest

from finwise.postgres import account, sentences
from finwise.postgres.account import Account, Home
from finwise.postgres.cluster import Cluster
from finwise.postgres.place import SOCKET_NAME, SOCKET_PATH_MAX_BYTES, Place, short_dir
from finwise.problem import Problem


def cluster_in(folder: Path, **options: object) -> Cluster:
    home = Home(folder, Account(os.geteuid(), os.getegid(), changes=False), Path("/nowhere"))
    return Cluster(home, folder, folder / "log", **options)


def test_a_full_disk_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=7 * 2**20))
    with pytest.raises(Problem, match=r"has 7 MiB left.*Free some space and start again"):
        cluster_in(tmp_path).make()
    assert list(tmp_path.iterdir()) == []


def test_programs_that_start_at_the_same_time_all_find_the_folder_made(tmp_path: Path) -> None:
    together = Barrier(8)

    def make(n: int) -> None:
        together.wait(20)
        Place.in_state_dir(tmp_path / str(n) / "var").make()

    with ThreadPoolExecutor(8) as starters:
        for n in range(20):
            list(starters.map(make, [n] * 8))
            assert (tmp_path / str(n) / "var" / "postgres").is_dir()


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Problem, match=f"port {port} .*another program has it"):
            cluster_in(tmp_path, port=port).start()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('initdb: error: could not write "x": No space left on device', "is full"),
        ("initdb: error: could not create directory: Permission denied", "may not write"),
        ("FATAL: could not create lock file: Read-only file system", "read-only"),
        ("FATAL: something nobody has seen", "something nobody has seen"),
    ],
)
def test_what_postgresql_says_becomes_a_sentence(said: str, told: str) -> None:
    assert told in sentences.for_output(said, Path("/data"))


def test_a_socket_path_is_never_too_long_for_the_system(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120) / "socket"
    found = short_dir(deep, "0123456789ab", "test", os.geteuid())
    try:
        assert len(os.fsencode(found / SOCKET_NAME)) <= SOCKET_PATH_MAX_BYTES
        assert found.stat().st_mode & 0o777 == 0o700
    finally:
        found.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to choose another account")
def test_data_goes_where_the_account_can_reach_it_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    public = tmp_path / "public"
    monkeypatch.setattr(account, "HOMES_FOR_ROOT", public)
    monkeypatch.setattr(Account, "can_enter", lambda self, folder: "private" not in folder.parts)
    monkeypatch.setattr(Account, "can_execute", lambda self, program: True)
    place = Place.in_state_dir(private)
    place.make()
    home = account.find_home(place)
    assert home.folder.parent == public
    assert "may not enter" in home.notes[0]
    assert home.account.changes


def test_another_users_data_is_refused_and_the_user_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place.in_state_dir(tmp_path)
    place.make()
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 12345)
    with pytest.raises(Problem, match=f"belongs to the user {getpass.getuser()}"):
        place.make()
