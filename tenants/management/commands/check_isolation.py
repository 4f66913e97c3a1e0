import asyncio
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from tqdm import tqdm


@contextmanager
def silent(log: logging.Logger) -> Iterator[None]:
    """Thousands of transactions end in a wrong schema on purpose, and would all be logged."""
    log.disabled = True
    try:
        yield
    finally:
        log.disabled = False


class Command(BaseCommand):
    help = (
        "Hammer two households, made for this and deleted afterwards, through this process, "
        "and check that no statement ever ran in the wrong one."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--operations", type=int, default=10_000)
        parser.add_argument("--seed", type=int, help="repeats a run; default: a random one")

    def handle(self, *, operations: int, seed: int | None, **options: Any) -> None:
        from tenants.tests.crossings import Crossing, hammer, refuse_crossings, two_households

        seed = random.randrange(10**6) if seed is None else seed
        again = f"check_isolation --operations {operations} --seed {seed}"
        # As in a process that serves: sessions go from household to household, too.
        connection.close()
        settings.DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 2, "max_size": 12}
        with (
            silent(logging.getLogger("tenants.context")),
            two_households() as tenants,
            tqdm(total=operations, disable=None) as bar,
        ):
            try:
                outcomes = asyncio.run(hammer(tenants, operations, seed, bar.update))
                rows = refuse_crossings(tenants)
            except* Crossing as group:
                raise CommandError(f"{group.exceptions[0]}\nOnce more: {again}") from group
        connection.close()
        connection.close_pool()
        for kind, count in sorted(outcomes.items()):
            self.stdout.write(f"{count:>8}  {kind}")
        self.stdout.write(f"{operations} operations, {rows} rows, none in a wrong schema. {again}")
