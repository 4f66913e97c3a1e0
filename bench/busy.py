"""Keep a household busy from a process of its own: push after push, until ended.

    python -m bench.busy HOST:PORT HOUSEHOLD TOKEN

Says "busy" when the first push is through.
"""

from __future__ import annotations

import asyncio
import sys
import uuid

from .content import Content
from .speaker import Speaker, pushes_of

ROWS = 500  # created once, then edited over and over: a push each


async def main(address: str, household: str, token: str) -> None:
    speaker = await Speaker.connect(address, uuid.UUID(household), token)
    await speaker.hello()
    await speaker.pull()
    content = Content(seed=6)
    rows = [speaker.change("create", content.row_id(), content.account()) for _ in range(ROWS)]
    await speaker.flush(pushes_of(rows))
    print("busy", flush=True)
    while True:
        rows = [speaker.change("edit", each.id, content.edit(), each.stamp) for each in rows]
        await speaker.flush(pushes_of(rows, speaker.acknowledged))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
