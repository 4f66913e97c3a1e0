"""Make the virtual environment in .venv and install what the requirement files pin.

Runs on the machine's own Python, before anything is installed: standard library only.
Nothing is done when the environment already holds what the files ask for, which a digest
remembered inside it tells.
"""

import argparse
import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = ROOT / "requirements.txt"
DEVELOPMENT = ROOT / "requirements-dev.txt"
NODE = ROOT / "requirements-node.txt"
OLDEST_PYTHON = (3, 11)
FREE_BYTES_NEEDED = 600 * 1024 * 1024  # a development environment takes about 360 MiB


class Problem(Exception):
    """Something that a person has to mend; the text says what and how."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="script/setup", description=__doc__.splitlines()[0])
    parser.add_argument("--runtime", action="store_true", help="only what the server needs")
    parser.add_argument("--node", action="store_true", help="only Node.js, to build the app")
    options = parser.parse_args(arguments)
    files = [RUNTIME] if options.runtime else [NODE] if options.node else [RUNTIME, DEVELOPMENT]
    venv = Path(os.environ.get("FINWISE_VENV") or ROOT / ".venv")
    try:
        ensure(venv, files)
    except Problem as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Start it again at any time; it goes on from where it was.")
        return 130
    return 0


def ensure(venv: Path, files: list[Path]) -> None:
    """Bring `venv` to what `files` pin. Raises Problem with a sentence for a person."""
    if sys.version_info < OLDEST_PYTHON:
        raise Problem(
            f"FinWise needs Python 3.11 or newer; this is {sys.version.split()[0]}. Install a "
            "newer one, or name it: FINWISE_PYTHON=/path/to/python3.12"
        )
    if all(is_installed(venv, file) for file in files):
        return
    with only_one(venv):
        if not is_usable(venv):
            create(venv)
        for file in files:
            if not is_installed(venv, file):
                install(venv, file)


def digest(venv: Path, file: Path) -> str:
    """What has to be equal for `file` to count as installed in `venv`.

    Holds the place too: a virtual environment that was moved or copied does not work.
    """
    facts = file.read_bytes() + str(venv.resolve()).encode()
    return hashlib.sha256(facts).hexdigest()


def is_installed(venv: Path, file: Path) -> bool:
    note = venv / f"{file.stem}.installed"
    try:
        return note.read_text() == digest(venv, file) and (venv / "bin" / "python").exists()
    except OSError:
        return False


def is_usable(venv: Path) -> bool:
    python = venv / "bin" / "python"
    check = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    try:
        return subprocess.run([python, "-c", check], capture_output=True).returncode == 0
    except OSError:
        return False


def create(venv: Path) -> None:
    """Make an empty environment. Raises Problem, and then leaves nothing behind."""
    say(f"Making a Python environment in {short(venv)} …")
    free = shutil.disk_usage(existing_parent(venv)).free
    if free < FREE_BYTES_NEEDED:
        raise Problem(
            f"The disk that holds {venv.parent} has {free // 2**20} MiB left and FinWise needs "
            f"about {FREE_BYTES_NEEDED // 2**20}. Free some space and start again."
        )
    result = run([sys.executable, "-m", "venv", "--clear", str(venv)])
    if result.returncode == 0 and is_usable(venv):
        return
    shutil.rmtree(venv, ignore_errors=True)
    if "ensurepip" in result.stdout or "No module named venv" in result.stdout:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise Problem(
            "This Python cannot make virtual environments: its part for that is packaged "
            "separately.\nInstall it (Debian and Ubuntu: apt-get install python3-venv, or "
            f"python{version}-venv) and start again."
        )
    raise Problem(sentence_for(result.stdout, f"Could not make {venv}"))


def install(venv: Path, file: Path) -> None:
    """Install what `file` pins, and note that it is there. Raises Problem."""
    say(f"Installing what {file.name} lists (half a minute or so the first time) …")
    result = run(
        [
            str(venv / "bin" / "python"), "-m", "pip", "install", "--require-hashes",
            "--disable-pip-version-check", "--no-input", "--only-binary", ":all:",
            "--progress-bar", "off", "-q", "-r", str(file),
        ]
    )  # fmt: skip
    if result.returncode != 0:
        raise Problem(sentence_for(result.stdout, f"Could not install what {file.name} lists"))
    (venv / f"{file.stem}.installed").write_text(digest(venv, file))


def sentence_for(output: str, what: str) -> str:
    """A sentence for a person from what a tool printed while failing."""
    if "No space left on device" in output:
        return f"{what}: the disk is full. Free some space and start again."
    if "Permission denied" in output or "Read-only file system" in output:
        return (
            f"{what}: this user may not write there. Start as the user who owns {ROOT}, or put "
            "the environment elsewhere: FINWISE_VENV=/some/folder"
        )
    offline = ("Temporary failure in name resolution", "Failed to establish a new connection",
               "NewConnectionError", "Name or service not known", "Network is unreachable",
               "ConnectTimeout", "Could not fetch URL", "No route to host",
               "nodename nor servname", "ProxyError")  # fmt: skip
    if any(sign in output for sign in offline):
        return (
            f"{what}: the package index cannot be reached. Check the network (and the proxy "
            "settings, if you use one) and start again; what has arrived so far is kept."
        )
    if "DO NOT MATCH THE HASHES" in output:
        return (
            f"{what}: a downloaded package is not the one that was pinned. Do not go on; tell "
            "the people who maintain FinWise."
        )
    if "No matching distribution" in output:
        return (
            f"{what}: there is no ready-made package for this system "
            f"({sys.platform}, Python {sys.version.split()[0]}). FinWise runs on Linux and macOS "
            f"with Python 3.11 to 3.14.\n{last_lines(output)}"
        )
    return f"{what}.\n{last_lines(output)}"


def last_lines(output: str, count: int = 6) -> str:
    return "\n".join(output.strip().splitlines()[-count:])


def run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run quietly and keep everything it says, for the sentence if it fails."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONHOME"}
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


@contextlib.contextmanager
def only_one(venv: Path) -> Iterator[None]:
    """Two set-ups at the same moment: the second waits for the first."""
    import fcntl

    try:
        venv.parent.mkdir(parents=True, exist_ok=True)
        lock = open(venv.parent / f".{venv.name.lstrip('.')}.lock", "w")  # noqa: SIM115
    except OSError as error:
        raise Problem(sentence_for(str(error), f"Could not make {venv}")) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("Another set-up is running here; waiting for it …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def existing_parent(path: Path) -> Path:
    return next(parent for parent in [path, *path.parents] if parent.exists())


def short(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
