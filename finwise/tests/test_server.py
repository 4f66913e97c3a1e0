"""script/server from an empty folder: ready, killed, started again, ended in order."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from finwise.places import ROOT
from finwise.tests.ending import wait_for_end

ADDRESS = re.compile(r"FinWise runs at (http://127\.0\.0\.1:\d+)")


class Server:
    """A running finwise.server; `said` is what a person would have read."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.process = subprocess.Popen(
            [sys.executable, "-m", "finwise.server", "--port", "0"],
            cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "FINWISE_STATE_DIR": str(state_dir)},
        )  # fmt: skip
        self.said = ""
        assert self.process.stdout
        for line in self.process.stdout:
            self.said += line
            if "--token" in line:
                break
        found = ADDRESS.search(self.said)
        assert found, self.said
        self.url = found[1]

    @property
    def demo(self) -> dict[str, Any]:
        return json.loads((self.state_dir / "demo.json").read_text())

    def processes(self) -> list[psutil.Process]:
        """Ours, the supervisor's and PostgreSQL's."""
        pid = (self.state_dir / "postgres" / "data" / "postmaster.pid").read_text().split()[0]
        postgres = psutil.Process(int(pid))
        supervisor = postgres.parent()
        assert supervisor is not None
        return [psutil.Process(self.process.pid), supervisor, postgres]

    def kill(self) -> None:
        left = self.processes() if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        wait_for_end(*left)

    def end(self, sign: signal.Signals) -> str:
        """Send a signal and return what was said from then on."""
        self.process.send_signal(sign)
        rest, _ = self.process.communicate(timeout=30)
        return rest

    def socket(self) -> ClientConnection:
        return connect(
            f"{self.url.replace('http', 'ws')}/ws/sync/{self.demo['tenant_id']}/",
            additional_headers={"Authorization": f"Bearer {self.demo['token']}"},
            subprotocols=["finwise.sync.v1"],
            origin=None,
        )


@pytest.fixture
def server(state_dir: Path) -> Iterator[Server]:
    server = Server(state_dir)
    yield server
    server.kill()


def greet(socket: ClientConnection) -> dict[str, Any]:
    device = uuid.uuid4()
    hello = {"type": "hello", "device": str(device), "node": device.hex[:16]}
    socket.send(json.dumps(hello))
    return json.loads(socket.recv(timeout=10))


def test_it_prints_a_sign_in_that_is_random_private_and_works(server: Server) -> None:
    demo = server.demo
    assert demo["password"] in server.said
    assert len(demo["password"]) >= 12
    assert (server.state_dir / "demo.json").stat().st_mode & 0o777 == 0o600
    page = urllib.request.urlopen(f"{server.url}/accounts/login/").read().decode()
    assert "Sign in" in page
    style = urllib.request.urlopen(f"{server.url}/static/finwise/style.css").read().decode()
    assert "--accent" in style
    with server.socket() as socket:
        assert greet(socket)["type"] == "welcome"


def test_ctrl_c_says_goodbye_to_every_socket_and_leaves_nothing_running(server: Server) -> None:
    processes = server.processes()
    with server.socket() as socket:
        greet(socket)
        server.process.send_signal(signal.SIGINT)
        told = []
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                told.append(json.loads(socket.recv(timeout=20)))
        assert "shutting_down" in [frame.get("state") for frame in told]
        assert closed.value.rcvd and closed.value.rcvd.code == 1012
    rest, _ = server.process.communicate(timeout=30)
    assert rest.endswith("Stopped. Start again at any time.\n")
    assert "Traceback" not in rest
    assert server.process.returncode == 0
    wait_for_end(*processes)


def test_kill_ends_it_in_order_too(server: Server) -> None:
    processes = server.processes()
    assert server.end(signal.SIGTERM).endswith("Stopped. Start again at any time.\n")
    assert server.process.returncode == 0
    wait_for_end(*processes)


@pytest.mark.parametrize("victim", [0, 1, 2], ids=["server", "supervisor", "postgres"])
def test_after_a_kill_of_any_process_a_new_start_finds_everything(
    server: Server, victim: int
) -> None:
    before = server.demo
    server.processes()[victim].kill()
    if victim == 0:
        server.process.wait()
    else:
        server.end(signal.SIGTERM)
    again = Server(server.state_dir)
    try:
        assert again.demo == before
        with again.socket() as socket:
            assert greet(socket)["type"] == "welcome"
    finally:
        again.end(signal.SIGTERM)


def test_another_terminals_command_uses_the_running_database(server: Server) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "list_tenants"],
        cwd=ROOT, text=True, capture_output=True,
        env={"PATH": os.environ["PATH"], "FINWISE_STATE_DIR": str(server.state_dir)},
    )  # fmt: skip
    assert server.demo["tenant_id"] in done.stdout
    assert done.returncode == 0
    with server.socket() as socket:
        assert greet(socket)["type"] == "welcome"
