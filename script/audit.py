"""Known vulnerabilities in what is pinned: a finding fails, a source out of reach does not.

Runs on the machine's own Python; pip-audit and its thirty packages live in an environment of
their own. Whatever cannot be asked is said in one line, so that nobody takes silence for safety.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environment

ROOT = environment.ROOT
TOOL = ROOT / "requirements-audit.txt"
AUDITED = ("requirements.txt", "requirements-dev.txt", "requirements-node.txt")
IGNORED = ROOT / "script" / "audit-ignored.txt"
LINE = re.compile(
    r"(?P<id>[A-Za-z]+-[\w-]+)\s+until\s+(?P<until>\d{4}-\d{2}-\d{2})\s+(?P<why>\S.+)"
)
PATIENCE_S = 180
# For as long as a source is asked for one file; out of reach is known within seconds.
SERVICES = ("pypi", "osv")


class Unreachable(Exception):
    """Nobody could be asked; the sentence says whom and why."""


@dataclass(frozen=True)
class Finding:
    where: str
    package: str
    id: str
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        return {self.id, *self.aliases}

    def __str__(self) -> str:
        return f"{self.where}: {self.package} has {self.id}"


def main() -> int:
    try:
        ignored = read_ignored(IGNORED.read_text(encoding="utf-8"), today())
    except ValueError as error:
        print(f"audit: {error}", file=sys.stderr)
        return 1
    found: list[Finding] = []
    for look in (python_packages, browser_packages):
        try:
            found += look()
        except (Unreachable, environment.Problem) as reason:
            print(f"audit: not checked: {' '.join(str(reason).split())}")
    left = [each for each in found if not each.names & ignored]
    for each in left:
        print(f"audit: {each}", file=sys.stderr)
    if left:
        print(f"audit: {len(left)} known vulnerabilities. Update, or see {IGNORED.name}.")
        return 1
    return 0


def today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def read_ignored(text: str, now: datetime.date) -> set[str]:
    """The ids that do not count today. Raises ValueError for a line that is none, or is over."""
    ignored = set()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = LINE.fullmatch(line.strip())
        if found is None:
            raise ValueError(f"line {number} of {IGNORED.name} is not 'ID until YYYY-MM-DD reason'")
        until = datetime.date.fromisoformat(found["until"])
        if until < now:
            raise ValueError(f"{found['id']} was ignored until {until}: look at it again")
        ignored.add(found["id"])
    return ignored


# --- Python ------------------------------------------------------------------------------


def python_packages() -> list[Finding]:
    """Raises Unreachable if none of the sources answers for our packages."""
    venv = ROOT / "var" / "audit"
    environment.ensure(venv, [TOOL])
    reasons = []
    for service in SERVICES:
        try:
            return [each for name in AUDITED for each in audit_file(venv, service, name)]
        except Unreachable as reason:
            reasons.append(str(reason))
    raise Unreachable("; ".join(reasons))


def audit_file(venv: Path, service: str, name: str) -> list[Finding]:
    command = [
        str(venv / "bin" / "python"), "-m", "pip_audit", "--requirement", name,
        "--no-deps", "--disable-pip", "--vulnerability-service", service,
        "--format", "json", "--progress-spinner", "off", "--timeout", "10",
    ]  # fmt: skip
    done = run(command, ROOT)
    return python_findings(done.stdout, done.stderr, name, service)


def python_findings(out: str, err: str, name: str, service: str) -> list[Finding]:
    """What pip-audit said. A package that its source does not know was not audited."""
    try:
        packages = json.loads(out)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (err.strip().splitlines() or ["it said nothing"])[-1]
        why = last.split(":")[0][:120]
        raise Unreachable(f"{service} could not be asked about {name} ({why})") from None
    skipped = [each for each in packages if "skip_reason" in each]
    if skipped and len(skipped) == len(packages):
        raise Unreachable(f"{service} knows none of the {len(packages)} packages of {name}")
    for each in skipped:
        print(f"audit: not checked: {service} does not know {each['name']}")
    return [
        Finding(name, f"{each['name']} {each['version']}", one["id"], tuple(one.get("aliases", ())))
        for each in packages
        for one in each.get("vulns", ())
    ]


# --- the browser's -----------------------------------------------------------------------


def browser_packages() -> list[Finding]:
    npm = shutil.which("npm")
    if npm is None:
        raise Unreachable("there is no npm on this machine to ask about frontend/")
    done = run([npm, "audit", "--json", "--package-lock-only"], ROOT / "frontend")
    return browser_findings(done.stdout)


def browser_findings(out: str) -> list[Finding]:
    """What npm audit said; its answers about advisories name each by its address."""
    try:
        told: dict[str, Any] = json.loads(out)
    except ValueError:
        raise Unreachable("npm audit did not answer") from None
    if "vulnerabilities" not in told:
        said = told.get("message") or told.get("error", {}).get("summary") or "no reason given"
        raise Unreachable(f"npm's advisories could not be asked ({without_address(said)[:120]})")
    found = []
    for name, each in told["vulnerabilities"].items():
        for via in each.get("via", ()):
            if isinstance(via, dict):  # else the name of a package that is listed itself
                advisory = str(via.get("url", "")).rsplit("/", 1)[-1] or f"npm-{via.get('source')}"
                found.append(Finding("frontend", name, advisory))
    return sorted(set(found), key=str)


def without_address(text: str) -> str:
    return re.sub(r"\s*-?\s*\w+ https?://\S+", "", str(text))


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "npm_config_update_notifier": "false", "npm_config_fund": "false"}
    try:
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S, env=variables
        )
    except subprocess.TimeoutExpired:
        raise Unreachable(f"{Path(command[0]).name} did not end within {PATIENCE_S} s") from None


if __name__ == "__main__":
    sys.exit(main())
