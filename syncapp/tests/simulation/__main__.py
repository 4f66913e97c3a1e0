"""Many seeds: `script/simulate --seeds 10000`. A failing seed comes as a command to replay it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tqdm import tqdm


def main(arguments: list[str]) -> int:
    """0: all ended equal; 1: some did not."""
    options = parse(arguments)
    seeds = (
        [options.seed]
        if options.seed is not None
        else range(options.first, options.first + options.seeds)
    )
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "finwise.settings")
    failed = []
    with ExitStack() as stack:
        ground = stack.enter_context(on_postgres()) if options.postgres else None
        from .ground import MemoryGround
        from .simulation import STEPS, Simulation, SimulationFailed

        steps = options.steps or STEPS
        for seed in tqdm(seeds, unit=" seeds", disable=None):
            try:
                Simulation(seed, steps, ground or MemoryGround, options.more).run()
            except SimulationFailed as failure:
                failed.append(seed)
                tqdm.write(f"{failure}\n\nReplay it with: {replay(options, seed)}\n")
    where = "PostgreSQL" if options.postgres else "memory"
    print(
        f"{len(seeds)} seeds on {where}: {len(seeds) - len(failed)} ended equal, "
        f"{len(failed)} failed."
    )
    for seed in failed:
        print(replay(options, seed))
    return 1 if failed else 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="script/simulate",
        description="Devices, a server, a bad network, crashes, clocks that step: one seed decides "
        "each story, and at its end all replicas have to be equal to the oracle.",
    )
    parser.add_argument("--seeds", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--first", "--from", type=int, default=0, help="the first (default: 0)")
    parser.add_argument("--seed", type=int, help="replay only this one")
    parser.add_argument("--steps", type=int, help="steps of a story (default: 160)")
    parser.add_argument(
        "--more", default="", choices=["failover", "operator", "twins", "long_walks", "portions"],
        help="stories in which a standby that lags takes over under open sockets, an operator "
        "resets, revokes, forgets and imports, backups of devices go on beside them, pages are "
        "small while all that goes on, or devices carry less where connections break",
    )  # fmt: skip
    parser.add_argument("--postgres", action="store_true", help="on a real PostgreSQL")
    return parser.parse_args(arguments)


def replay(options: argparse.Namespace, seed: int) -> str:
    parts = ["script/simulate", f"--seed {seed}"]
    if options.steps:
        parts.append(f"--steps {options.steps}")
    if options.more:
        parts.append(f"--more {options.more}")
    if options.postgres:
        parts.append("--postgres")
    return " ".join(parts)


@contextmanager
def on_postgres() -> Iterator[Callable[..., Any]]:
    """A household on a test database of its own, made on the embedded PostgreSQL."""
    import django

    from finwise import places
    from finwise.postgres import running

    with ExitStack() as stack:
        if not os.environ.get("DATABASE_URL"):
            lease = stack.enter_context(running(places.state_dir() / "test", durable=False))
            os.environ["DATABASE_URL"] = lease.url
        django.setup()
        from django.db import connection
        from django.test.utils import setup_databases, teardown_databases

        connection.settings_dict["TEST"]["NAME"] = f"simulate_{os.getpid()}"
        made = setup_databases(0, interactive=False, aliases={"default"})
        stack.callback(teardown_databases, made, 0)
        stack.callback(connection.close)
        from syncapp.tests.household import Household
        from tenants import template

        from .postgres import PostgresGround

        template.prepare()
        yield PostgresGround.of(Household.provision("Simulated"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
