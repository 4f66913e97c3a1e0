"""`manage.py device`: no database is touched here (pytest-django would refuse it)."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.management import call_command

from syncapp.core.errors import Forbidden
from syncapp.core.messages import Push
from syncapp.registry import entities

from .harness import HOME, Server
from .live import TOKEN, LiveServer, RealTime

ROOT = Path(__file__).parents[3]
HOUR_MS = 3_600_000
SAMPLE = ROOT / "docs" / "examples" / "household.csv"


class Shell:
    """One store and what is typed at it."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.url = "ws://127.0.0.1:1"
        self.code, self.out, self.err = 0, "", ""

    def __call__(self, *arguments: str, code: int | None = 0) -> str:
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command(
                "device", "--store", str(self.store), "--url", self.url, *arguments,
                stdout=out, stderr=err,
            )  # fmt: skip
            self.code = 0
        except SystemExit as ending:
            self.code = ending.code
        self.out, self.err = out.getvalue(), err.getvalue()
        assert code is None or self.code == code, (self.out, self.err)
        return self.out

    def json(self, *arguments: str, code: int | None = 0):
        return json.loads(self("--json", *arguments, code=code))


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Shell]:
    monkeypatch.setenv("FINWISE_TOKEN", TOKEN)

    def make(name: str = "phone") -> Shell:
        return Shell(tmp_path / f"{name}.sqlite")

    return make


@pytest.fixture
def server() -> Iterator[LiveServer]:
    """A server with its own event loop, as the command has its own."""
    made = Server(RealTime(), entities())
    made.add()
    loop = asyncio.new_event_loop()
    serving: list[LiveServer] = []
    is_up = threading.Event()

    async def up() -> None:
        serving.append(LiveServer(made))
        await serving[0].up()
        is_up.set()

    def work() -> None:
        loop.run_until_complete(up())
        loop.run_forever()

    thread = threading.Thread(target=work)
    thread.start()
    is_up.wait(10)
    yield serving[0]
    asyncio.run_coroutine_threadsafe(serving[0].down(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


# --- offline ------------------------------------------------------------------------------------


def test_a_household_is_kept_without_a_network(shell):
    a = shell()
    assert "lives in" in a("new-household", "--name", "Familie Süß")
    a("add-group", "Girokonten", "--set", "sortOrder=3")
    a(
        *("add-account", "Giro", "--group", "girokonten", "--type", "Current account"),
        *("--balance", "1.234,50", "--iban", "DE97 9990 0001 7000 0123 45", "--offline-budget"),
    )
    (group, account) = a.json("list")
    assert (group["name"], group["sortOrder"]) == ("Girokonten", 3)
    assert (account["balance"], account["iban"], account["accountType"]) == (
        "1234.5",
        "DE97999000017000012345",
        "giro",
    )
    assert account["isOfflineBudget"] is True and account["accountGroupId"] == group["id"]
    assert "is changed" in a("edit", "Giro", "--set", "balance=7,5", "--set", "isActive=nein")
    assert "is so already" in a("edit", "giro", "--set", "balance=7.50")
    listed = a("list")
    assert "* " in listed and "Giro" in listed and "7.5" in listed and "not decided" in listed
    a("delete", account["id"][:8])
    assert [row["name"] for row in a.json("list")] == ["Girokonten"]
    assert [row["name"] for row in a.json("list", "account", "--deleted")] == ["Giro"]
    status = a.json("status")
    # Two creates, an edit, and the delete: it does not take away what the edit wrote.
    assert (status["pending"], status["acknowledged"]) == (4, False)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("list",), "There is no store"),
        (("--household", "x", "list"), "not the UUID"),
        (("new-household", "--name", "\n"), "A household needs a name"),
        (("--household", HOME, "edit", "nichts", "--set", "a=b"), "There is no row 'nichts'"),
        (("--household", HOME, "add-account", "x", "--type", "y"), "is no type of account"),
        (("--household", HOME, "add-account", "x", "--balance", "viel"), "is no amount"),
        (("--household", HOME, "add-account", "x", "--set", "farbe=rot"), "There is no such field"),
        (("--household", HOME, "add-account", "x", "--set", "farbe"), "write FIELD=VALUE"),
        (("--household", HOME, "add-account", "x", "--iban", "DE00"), "iban"),
        (("--household", HOME, "import", "nirgends.csv"), "nirgends.csv: No such file"),
        (("--household", HOME, "refused", "--discard", "7"), "no refused change 7"),
        (("--household", HOME, "conflicts", "--dismiss", "7"), "no open conflict 7"),
        (("--url", "ftp://x", "--household", HOME, "status"), "no address of a server"),
    ],
)
def test_wrong_usage_says_what_to_do(shell, arguments, sentence):
    a = shell()
    a(*arguments, code=2)
    assert sentence in a.err and "Traceback" not in a.err


def test_a_store_serves_one_household(shell):
    a = shell()
    a("--household", HOME, "status")
    a("--household", HOME.replace("b", "c"), "status", code=1)
    assert "belongs to the household" in a.err
    a("new-household", "--name", "x", code=2)
    assert "already" in a.err


def test_a_name_that_means_several_rows_is_not_guessed(shell):
    a = shell()
    a("--household", HOME, "add-group", "Bar")
    a("add-account", "Bar")
    a("delete", "bar", code=2)
    assert "several" in a.err and "Use the id" in a.err


def test_without_a_token_nothing_is_sent(shell, monkeypatch):
    monkeypatch.delenv("FINWISE_TOKEN")
    a = shell()
    a("--household", HOME, "sync", code=2)
    assert "--token" in a.err


def test_the_sample_household_is_imported_with_the_rules_of_the_model(shell):
    """Every IBAN passes the model's own check."""
    a = shell()
    report = a.json("--household", HOME, "import", str(SAMPLE))
    assert (report["accountsNew"], report["groupsNew"], report["bad"]) == (60, 12, [])
    assert "60 as before" not in a("import", str(SAMPLE))
    assert "72 as before" in a.out
    listed = a("list")
    assert (
        listed.index("Girokonten") < listed.index("Gehaltskonto Anna") < listed.index("Rücklagen")
    )


def test_bad_lines_are_told_and_the_exit_code_says_so(shell, tmp_path):
    file = tmp_path / "falsch.csv"
    file.write_text("Name;Saldo\nGut;1\nSchlecht;viel\n")
    a = shell()
    out = a("--household", HOME, "import", str(file), code=3)
    assert "1 new account" in out and "line 3: balance: 'viel' is no amount." in out


# --- with a server ------------------------------------------------------------------------------


def test_two_devices_meet(shell, server):
    a, b = shell("a"), shell("b")
    a.url = b.url = server.url
    a("--household", HOME, "import", str(SAMPLE))
    assert "Up to date: 72 changes sent" in a("sync")
    assert "72 rows received" in b("--household", HOME, "sync")
    assert a("list") == b("list")
    assert b.json("sync")["isUpToDate"] is True


def test_the_keys_of_a_row_come_in_one_order_wherever_it_was_made(shell, server):
    a, b = shell("a"), shell("b")
    a.url = b.url = server.url
    a("--household", HOME, "add-group", "Giro")
    a("sync")
    b("--household", HOME, "sync")
    (made,), (told,) = a.json("list"), b.json("list")
    assert list(made) == list(told) == ["entity", "id", *sorted(made.keys() - {"entity", "id"})]
    assert made == told


def test_a_clock_that_is_an_hour_off_is_told_until_it_is_right_and_hinders_nothing(shell, server):
    """D07."""
    a = shell()
    a.url = server.url
    server.server.time.off_ms = -HOUR_MS
    a("--household", HOME, "add-group", "Giro")
    told = a("sync")
    assert "Up to date: 1 change sent" in told
    assert "This device's clock is 1 hour ahead." in told
    assert "1 hour ahead" in a("list") and "1 hour ahead" in a("status")
    assert a.json("sync")["clockOffMs"] == pytest.approx(HOUR_MS, abs=30_000)
    server.server.time.off_ms = 0
    assert "clock is" not in a("sync") + a("list") + a("status")
    server.server.time.off_ms = 50 * HOUR_MS
    assert "This device's clock is 2 days behind." in a("sync")


def test_the_server_is_remembered_and_the_token_is_not(shell, server):
    a = shell()
    a.url = server.url
    a("--household", HOME, "--token", TOKEN, "sync")
    assert a.json("status")["url"] == server.url
    assert TOKEN.encode() not in b"".join(each.read_bytes() for each in a.store.parent.iterdir())


def test_a_server_that_is_down_leaves_everything_safe(shell, monkeypatch):
    a = shell()
    a("--household", HOME, "add-group", "Giro")
    monkeypatch.setattr("syncapp.device.command.online.REACH_S", 0.1)
    out = a("sync", code=1)
    assert "cannot be reached" in out and "1 change of yours is safe in" in out


def test_a_token_that_is_not_valid_is_told(shell, server):
    a = shell()
    a.url = server.url
    a("--household", HOME, "--token", "wrong", "sync", code=1)
    assert "make a new one" in a.out


def test_refusals_and_conflicts_need_you(shell, server):
    a, b = shell("a"), shell("b")
    a.url = b.url = server.url
    a("--household", HOME, "add-group", "Giro")
    a("sync")
    b("--household", HOME, "sync")
    b("edit", "Giro", "--set", "name=von B")
    a("edit", "Giro", "--set", "name=von A")
    b("sync")
    a("sync")
    b("sync", code=3)
    assert "was overruled: see `conflicts`" in b.out
    (conflict,) = b.json("conflicts", code=3)
    assert (conflict["winningValue"], conflict["losingValue"]) == ("von A", "von B")
    assert "overruled: 'von B' (yours)" in b("conflicts", code=3)
    b("conflicts", "--use-mine", conflict["id"])
    b("sync")
    a("sync")
    assert a.json("list")[0]["name"] == "von B"
    (conflict,) = a.json("conflicts", code=None) or [None]
    assert conflict is None or conflict["isMine"]


def test_a_viewer_is_told_that_nothing_can_be_sent(shell, server):
    a = shell()
    a.url = server.url
    a("--household", HOME, "add-group", "Giro")

    def read_only(frame) -> None:
        if isinstance(frame, Push):
            raise Forbidden()

    server.server.gate = read_only
    out = a("sync", code=1)
    assert "You may read this household" in out and "1 change of yours is safe" in out


def test_it_runs_without_any_database_or_network(tmp_path):
    """The whole program, as it is started; the named database does not exist."""
    environment = {
        **os.environ,
        "DATABASE_URL": "postgres://nobody:nothing@127.0.0.1:1/nowhere",
        "FINWISE_STORE": str(tmp_path / "phone.sqlite"),
    }
    for arguments in (["new-household", "--name", "Familie"], ["add-group", "Giro"], ["list"]):
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), "device", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
    assert "Giro" in done.stdout
