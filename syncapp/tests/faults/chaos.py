"""Devices work while processes die (Q01): nothing is lost, and all are equal afterwards.

    python -m syncapp.tests.faults.chaos --rounds 50 --seed 1

Each round: everybody edits, something is killed or cut at a random moment, and then all
come home. Rows that only one device edits must end as it left them.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from syncapp.device.client import DeviceClient
from syncapp.tests.faults.devices import Devices, assert_same, bring_home
from syncapp.tests.faults.proxy import Proxy
from syncapp.tests.faults.real_server import RealServer

DEVICES = 3
EDITS_OF_A_ROUND = 25


class Chaos:
    """tally: how often what happened."""

    def __init__(self, server: RealServer, folder: Path, seed: int) -> None:
        self._server, self._folder = server, folder
        self._random = random.Random(seed)
        self._stack = AsyncExitStack()
        self.tally: Counter[str] = Counter()
        # What each device's own rows must end as: name by id, None for deleted.
        self._own: list[dict[str, str | None]] = [{} for _ in range(DEVICES)]
        self._shared: list[str] = []

    async def __aenter__(self) -> Chaos:
        self._proxy = await self._stack.enter_async_context(Proxy(self._server.port))
        demo = self._server.demo
        devices = Devices(self._folder, demo["tenant_id"], demo["token"])
        await self._stack.enter_async_context(devices)
        self.clients = [
            await devices.add(self._proxy.url, f"device {number}") for number in range(DEVICES)
        ]
        await bring_home(self.clients)
        for number in range(5):
            name = {"name": f"shared {number}"}
            self._shared.append(self.clients[0].create("account_group", name))
        await bring_home(self.clients)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def round(self) -> None:
        """Edits and one fault, then quiet. Raises AssertionError if anything is lost."""
        fault = self._random.choice(
            [
                self._kill_server,
                self._kill_postgres,
                self._kill_supervisor,
                self._restart_server,
                self._cut,
                self._swallow,
            ]
        )
        self.tally.update([fault.__name__.strip("_")])
        edits = [self._edit(number) for number in range(DEVICES)]
        await asyncio.gather(*edits, self._at_some_moment(fault))
        try:
            await bring_home(self.clients)
        except AssertionError as error:
            raise AssertionError(f"after {fault.__name__}: {error}") from error
        rows = assert_same(self.clients)
        for number, own in enumerate(self._own):
            for row_id, name in own.items():
                row = rows["account_group", row_id]
                found = row.fields["name"] if row.is_here else None
                assert found == name, f"device {number}: {row_id} is {found!r}, not {name!r}"

    async def _edit(self, number: int) -> None:
        client, own = self.clients[number], self._own[number]
        for count in range(EDITS_OF_A_ROUND):
            self._edit_once(client, own, f"{number}/{self.tally.total()}/{count}")
            if self._random.random() < 0.5:
                await asyncio.sleep(self._random.uniform(0, 0.02))

    def _edit_once(self, client: DeviceClient, own: dict[str, str | None], name: str) -> None:
        here = [row_id for row_id, value in own.items() if value is not None]
        match self._random.randrange(6):
            case 0 | 1:
                own[client.create("account_group", {"name": name})] = name
            case 2 | 3 if here:
                row_id = self._random.choice(here)
                client.edit("account_group", row_id, {"name": name})
                own[row_id] = name
            case 4 if len(here) > 10:
                row_id = self._random.choice(here)
                client.delete("account_group", row_id)
                own[row_id] = None
            case _:
                shared = self._random.choice(self._shared)
                client.edit("account_group", shared, {"name": name})

    async def _at_some_moment(self, fault: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(self._random.uniform(0, 0.3))
        await fault()

    # --- faults

    async def _kill_server(self) -> None:
        await asyncio.to_thread(self._server.kill)
        await asyncio.to_thread(self._server.start)

    async def _restart_server(self) -> None:
        await asyncio.to_thread(self._server.stop)
        await asyncio.to_thread(self._server.start)

    async def _kill_postgres(self) -> None:
        self._server.postgres().kill()

    async def _kill_supervisor(self) -> None:
        supervisor = self._server.postgres().parent()
        if supervisor is not None:
            supervisor.kill()

    async def _cut(self) -> None:
        self._proxy.cut()

    async def _swallow(self) -> None:
        """Pushes arrive and their answers do not; then the connection breaks."""
        self._proxy.swallows_answers = True
        await asyncio.sleep(self._random.uniform(0, 0.2))
        self._proxy.swallows_answers = False
        self._proxy.cut()


async def run(server: RealServer, folder: Path, rounds: int, seed: int) -> Counter[str]:
    async with Chaos(server, folder, seed) as chaos:
        for number in range(1, rounds + 1):
            await chaos.round()
            bar = "#" * (40 * number // rounds)
            if sys.stdout.isatty() or number % 10 == 0 or number == rounds:
                print(f"\r[{bar:40}] {number} of {rounds} rounds ", end="", flush=True)
        return chaos.tally


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="chaos", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="finwise-chaos-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)  # the account that runs PostgreSQL has to get through
        server = RealServer(folder / "var")
        try:
            tally = asyncio.run(run(server, folder, options.rounds, options.seed))
        except AssertionError as error:
            print(f"\n{server.stop()[-3_000:]}\nFAILED: {error}")
            return 1
        finally:
            said = server.stop()
    print()
    for fault, count in sorted(tally.items()):
        print(f"{count:6}  {fault}")
    if "Traceback" in said:
        print(said[-5_000:])
    return int("Traceback" in said)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
