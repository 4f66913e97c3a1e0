"""A new household: milliseconds until it is ready, as a call and as a device sees it."""

from __future__ import annotations

import asyncio
import time
import uuid

from tenants.models import User
from tenants.provisioning import provision
from tenants.tokens import create_token

from ..figures import Figure, percentile
from ..house import House
from ..households import make_user
from ..scale import Scale
from ..speaker import Speaker


def measure(house: House, scale: Scale) -> list[Figure]:
    user = make_user()
    _provision(user)  # opens the connection, reads the template
    direct_ms = [_provision(user) for _ in range(scale.provisionings)]
    token = create_token(user, "bench")
    hello_ms = [asyncio.run(_hello(house, token)) for _ in range(scale.provisionings)]
    return [
        Figure("p50", "A new household, p50", percentile(direct_ms, 50), "ms", at_most=100),
        Figure("p95", "· p95", percentile(direct_ms, 95), "ms"),
        Figure(
            "hello_p50",
            "· by a device's hello until its welcome, p50",
            percentile(hello_ms, 50),
            "ms",
            at_most=100,
        ),
        Figure("hello_p95", "· p95", percentile(hello_ms, 95), "ms", is_detail=True),
    ]


def _provision(user: User) -> float:
    began_s = time.perf_counter()
    provision(uuid.uuid4(), "Bench", user.id, by_operator=True)
    return (time.perf_counter() - began_s) * 1000


async def _hello(house: House, token: str) -> float:
    speaker = await Speaker.connect(house.address, uuid.uuid4(), token)
    began_s = time.perf_counter()
    await speaker.hello(new_household="Bench")
    elapsed_ms = (time.perf_counter() - began_s) * 1000
    await speaker.close()
    return elapsed_ms
