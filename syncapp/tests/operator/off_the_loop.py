"""What an operator does while a test's devices run: on a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from django.db import connections

Result = TypeVar("Result")


async def off_the_loop(function: Callable[[], Result]) -> Result:
    def do() -> Result:
        try:
            return function()
        finally:
            connections.close_all()

    return await asyncio.to_thread(do)
