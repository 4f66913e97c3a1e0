"""What a person starts says what to do when it cannot: a sentence, an exit code, no traceback."""

import fcntl
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from finwise.places import ROOT


@pytest.fixture
def environment() -> Iterator[ModuleType]:
    """script/environment.py, which is no module of a package."""
    spec = importlib.util.spec_from_file_location("environment", ROOT / "script/environment.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module


def run(*command: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=variables, timeout=60,
    )  # fmt: skip


def path_with(folder: Path, **programs: str) -> str:
    """A PATH that holds these shell programs and what the scripts themselves use."""
    for name in ("dirname", "bash", "env"):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return str(folder)


@pytest.mark.parametrize("script", ["setup", "server", "test", "bench", "simulate"])
def test_an_old_python_is_named_and_the_way_out_told(tmp_path: Path, script: str) -> None:
    old = 'test "$1" = --version && echo "Python 3.9.2" && exit 0; exit 1'
    done = run("/bin/bash", f"script/{script}", PATH=path_with(tmp_path, python3=old))
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stdout
    assert "Python 3.9.2" in done.stdout
    assert "FINWISE_PYTHON=" in done.stdout


def test_no_python_at_all_is_told(tmp_path: Path) -> None:
    done = run("/bin/bash", "script/setup", PATH=path_with(tmp_path))
    assert done.returncode == 1
    assert "no Python" in done.stdout


def test_a_missing_python3_venv_is_told(
    tmp_path: Path, environment: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "The virtual environment was not created successfully because ensurepip is not available"
    monkeypatch.setattr(
        environment, "run", lambda command: SimpleNamespace(returncode=1, stdout=said)
    )
    with pytest.raises(environment.Problem, match="apt-get install python3-venv"):
        environment.ensure(tmp_path / "venv", [environment.RUNTIME])
    assert not (tmp_path / "venv").exists()


def test_a_full_disk_is_told_before_anything_is_installed(
    tmp_path: Path, environment: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2**20))
    with pytest.raises(environment.Problem, match="has 1 MiB left"):
        environment.ensure(tmp_path / "venv", [environment.RUNTIME])


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Failed to establish a new connection: [Errno 101]", "Check the network"),
        ("Temporary failure in name resolution", "Check the network"),
        ("ERROR: Could not install: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "not the one that was pinned"),
        ("[Errno 13] Permission denied: '.venv'", "may not write there"),
        ("something else\nthat nobody expected", "that nobody expected"),
    ],
)
def test_what_pip_says_becomes_a_sentence(environment: ModuleType, said: str, told: str) -> None:
    assert told in environment.sentence_for(said, "Could not install it")


@pytest.fixture
def current(tmp_path: Path, environment: ModuleType) -> Path:
    """An environment that says it holds what is pinned."""
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").touch()
    digest = environment.digest(venv, environment.RUNTIME)
    (venv / "requirements.installed").write_text(digest)
    return venv


def test_a_current_environment_is_left_alone(
    current: Path, environment: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    for step in ("create", "install"):
        monkeypatch.setattr(environment, step, lambda *_, step=step: steps.append(step))
    environment.ensure(current, [environment.RUNTIME])
    assert steps == []
    (current / "requirements.installed").write_text("of other requirements")
    environment.ensure(current, [environment.RUNTIME])
    assert steps == ["create", "install"]


def test_an_environment_that_was_moved_is_made_anew(current: Path, environment: ModuleType) -> None:
    assert environment.is_installed(current, environment.RUNTIME)
    moved = current.rename(current.with_name("moved"))
    assert not environment.is_installed(moved, environment.RUNTIME)


def server(state_dir: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run(
        sys.executable, "-m", "finwise.server", *arguments,
        PATH=os.environ["PATH"], FINWISE_STATE_DIR=str(state_dir),
    )  # fmt: skip


def test_a_taken_port_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = server(tmp_path, "--port", str(port))
    assert done.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken" in done.stdout
    assert f"--port {port + 1}" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "postgres").exists()


@pytest.mark.parametrize("port", ["99999", "-1"])
def test_a_port_that_is_none_is_told(tmp_path: Path, port: str) -> None:
    done = server(tmp_path, "--port", port)
    assert done.returncode == 1
    assert f"There is no port {port}" in done.stdout


def test_an_address_that_is_not_ours_is_told(tmp_path: Path) -> None:
    done = server(tmp_path, "--host", "host.invalid", "--port", "0")
    assert done.returncode == 1
    assert "There is no address 'host.invalid'" in done.stdout


def test_a_second_server_on_the_same_data_is_told_where_the_first_is(tmp_path: Path) -> None:
    with (tmp_path / "server.lock").open("w") as lock:
        lock.write("http://127.0.0.1:8000, process 4711\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = server(tmp_path, "--port", "0")
    assert done.returncode == 1
    assert "already runs" in done.stdout
    assert "http://127.0.0.1:8000, process 4711" in done.stdout


def test_a_database_that_does_not_answer_is_told(tmp_path: Path) -> None:
    done = run(
        sys.executable, "-m", "finwise.server", "--port", "0", PATH=os.environ["PATH"],
        FINWISE_STATE_DIR=str(tmp_path), DATABASE_URL="postgresql://me:secret@127.0.0.1:1/finwise",
    )  # fmt: skip
    assert done.returncode == 1
    assert "The database does not answer" in done.stdout
    assert "Traceback" not in done.stdout
    assert "secret" not in done.stdout
