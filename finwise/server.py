"""What script/server does: everything from an empty folder to a household that syncs.

Each step is skipped when there is nothing to do, so a second start takes a moment.
"""

import argparse
import fcntl
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TextIO

from finwise import places
from finwise.commandline import database_sentence
from finwise.postgres.lease import hold, release_all
from finwise.problem import Problem


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    # `kill` ends us in order, too. While serving, uvicorn does the same for both.
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.default_int_handler)
    try:
        run(options)
    except Problem as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        release_all()
        say("\nStopped. Start again at any time.")
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="script/server",
        description="Start FinWise on this machine, with its own database unless DATABASE_URL "
        "names another one.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: only this machine")
    parser.add_argument("--port", type=int, default=8000, help="default: 8000")
    parser.add_argument("--no-demo", action="store_true", help="make no demo household")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    began_s = time.monotonic()
    state_dir = places.state_dir()
    with only_server(state_dir, options) as lock:
        from finwise.serving import reserve, serve

        listener = reserve(options.host, options.port)
        options.port = listener.getsockname()[1]
        note_address(lock, options)
        answer_to_names(options.host)
        has_own_database = not os.environ.get("DATABASE_URL")
        if has_own_database:
            start_database(state_dir)
        prepare_tables()
        check_redis()
        welcome(state_dir, options, time.monotonic() - began_s)
        serve(listener)


def only_server(state_dir: Path, options: argparse.Namespace) -> TextIO:
    """Two servers of one process each would not hear of each other's news without Redis.

    Raises Problem if one runs here already.
    """
    path = state_dir / "server.lock"
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        lock = path.open("a+")
    except OSError as error:
        raise Problem(
            f"FinWise keeps its data in {state_dir}, and this user may not write there. Start "
            "it as the user who owns that folder, or choose another one: "
            "FINWISE_STATE_DIR=/some/folder"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        who = lock.read().strip() or "it is just starting"
        lock.close()
        raise Problem(
            f"FinWise already runs with the data in {state_dir}: {who}. Stop that one, or choose "
            "another folder for this one: FINWISE_STATE_DIR=/some/folder"
        ) from error
    return lock


def note_address(lock: TextIO, options: argparse.Namespace) -> None:
    lock.truncate(0)
    lock.write(f"{address(options)}, process {os.getpid()}\n")
    lock.flush()


def address(options: argparse.Namespace) -> str:
    host = "127.0.0.1" if options.host in ("0.0.0.0", "::") else options.host  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{options.port}"


def answer_to_names(host: str) -> None:
    """Requests that name another host are refused; allow the names that --host implies."""
    names = {name for name in os.environ.get("FINWISE_HOSTS", "").split(",") if name}
    if host in ("0.0.0.0", "::"):  # noqa: S104
        names |= {socket.gethostname(), *own_addresses()}
    else:
        names.add(f"[{host}]" if ":" in host else host)
    if os.environ.get("FINWISE_ENV", "local") == "local":
        os.environ["FINWISE_HOSTS"] = ",".join(sorted(names))


def own_addresses() -> set[str]:
    import psutil

    found = [each for interface in psutil.net_if_addrs().values() for each in interface]
    plain = {each.address for each in found if each.family == socket.AF_INET}
    long = {f"[{each.address.split('%')[0]}]" for each in found if each.family == socket.AF_INET6}
    return plain | long


def start_database(state_dir: Path) -> None:
    lease = hold(state_dir, tell=say)
    lease.keep()
    for note in lease.notes:
        say(note)
    os.environ["DATABASE_URL"] = lease.url


def prepare_tables() -> None:
    """Bring every table up to date: what all share, the template, each household."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "finwise.settings")
    import django

    django.setup()
    from django.core.management import CommandError, call_command
    from django.db import OperationalError, connection
    from django.db.migrations.executor import MigrationExecutor

    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            say("Making or updating the tables …")
            call_command("migrate", interactive=False, verbosity=0)
        from tenants import template
        from tenants.models import Tenant
        from tenants.provisioning import needs_migration

        reason = template.prepare()
        if reason:
            say(reason)
        live = Tenant.objects.exclude(status=Tenant.Status.DELETED)
        if any(needs_migration(tenant) or tenant.trouble for tenant in live):
            say("Updating the households …")
            call_command("migrate_tenants")
    except CommandError as error:
        # One household's trouble is not the others': they are served, that one answers so.
        say(f"Some households are in maintenance:\n{error}")
    except OperationalError as error:
        raise Problem(database_sentence(error)) from error


def check_redis() -> None:
    """Say at once what would otherwise only show as slow news."""
    url = os.environ.get("REDIS_URL")
    if not url:
        return
    import redis

    try:
        redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2).ping()
    except redis.RedisError as error:
        say(
            f"Redis does not answer ({error}). Devices still get everything, but hear of it up to "
            "20 seconds later; FinWise uses Redis as soon as it is back."
        )
    except ValueError as error:
        raise Problem(f"REDIS_URL is no address of a Redis: {error}") from error


def welcome(state_dir: Path, options: argparse.Namespace, took_s: float) -> None:
    """Say that it runs, and who can sign in where."""
    from django.conf import settings

    url = address(options)
    say(f"FinWise runs at {url} (ready after {took_s:.1f} s). Ctrl-C stops it.")
    if options.no_demo or settings.IS_PRODUCTION:
        return
    from finwise.demo import demo_household

    demo = demo_household(state_dir)
    say(
        f"""
  Sign in       {url}/
                e-mail    {demo.email}
                password  {demo.password}
  Household     {demo.name}, {demo.tenant_id}

  Connect a device, in another terminal (two stores are two devices):
    .venv/bin/python manage.py device --url {url} --tenant {demo.tenant_id} \\
        --token {demo.token} --store phone.sqlite sync
"""
    )


def say(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:  # nobody reads any more; that is no reason to end
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
