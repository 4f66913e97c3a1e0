"""The light devices of the crowd do as they are told: to be let go, they have to end."""

from __future__ import annotations

import asyncio
import random
import uuid

import pytest

from syncapp.core.session import Heard

from .crowd import LightDevice


class Unheard(LightDevice):
    """Its connection never opens."""

    async def _converse(self, generation: int) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("steps", range(5))
def test_a_device_that_hears_something_while_it_is_let_go_ends_all_the_same(steps: int) -> None:
    """With `asyncio.wait_for` of Python 3.11 it went on for ever: that gives what it waited for
    instead of the cancellation, if both come at once."""

    async def live() -> bool:
        device = Unheard("ws://nowhere", uuid.uuid4(), "", random.Random(1))
        life = asyncio.ensure_future(device.run())
        for _ in range(10):
            await asyncio.sleep(0)
        device._inbox.put_nowait(Heard(0))
        for _ in range(steps):
            await asyncio.sleep(0)
        life.cancel()
        for _ in range(20):
            await asyncio.sleep(0)
        has_ended = life.cancelled()
        life.cancel()  # or the loop could not be closed
        return has_ended

    assert asyncio.run(live())
