"""Whether this process lives, and whether it can serve: for whoever starts and balances it.

Quick, without secrets, and asked of the database at most once a second, however often
somebody asks here.
"""

import asyncio
import logging
import time
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from channels.layers import get_channel_layer
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from syncapp.core.errors import SyncError
from tenants.context import run_in_public
from tenants.models import Tenant
from tenants.provisioning import migrations_behind

log = logging.getLogger(__name__)

FRESH_FOR_S = 1.0
PATIENCE_S = 2.0  # with the database, and with the layer

Facts = dict[str, Any]


@require_safe
@never_cache
async def alive(request: HttpRequest) -> HttpResponse:
    """This process answers. Says nothing about the database."""
    return JsonResponse({"status": "alive"})


@require_safe
@never_cache
async def ready(request: HttpRequest) -> HttpResponse:
    """503 unless this process can serve: the database answers, and no migration is missing.

    Without the channel layer it can: devices then hear of news with the beat. `degraded` says so.
    """
    facts = await _answers().facts()
    return JsonResponse(facts, status=200 if facts["status"] != "not ready" else 503)


class Answers:
    """The newest answer of one event loop; whoever asks meanwhile waits for the same."""

    def __init__(self) -> None:
        self._facts: Facts = {}
        self._until_s = 0.0
        self._asking = asyncio.Lock()
        self._channel = ""

    async def facts(self) -> Facts:
        if time.monotonic() >= self._until_s:
            async with self._asking:
                if time.monotonic() >= self._until_s:
                    self._facts = await self._look()
                    self._until_s = time.monotonic() + FRESH_FOR_S
        return self._facts

    async def _look(self) -> Facts:
        (database, migrations), layer = await asyncio.gather(_ask_database(), self._ask_layer())
        if not (database["ok"] and migrations["ok"]):
            status = "not ready"
        else:
            status = "ready" if layer["ok"] else "degraded"
        return {"status": status, "database": database, "migrations": migrations, "layer": layer}

    async def _ask_layer(self) -> Facts:
        """A message to ourselves and back."""
        layer, began_s = get_channel_layer(), time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE_S):
                self._channel = self._channel or await layer.new_channel()
                await layer.send(self._channel, {"type": "health", "at": began_s})
                while (await layer.receive(self._channel)).get("at") != began_s:
                    pass  # the answer to one that we gave up
        except Exception as error:  # each layer has its own ways to fail
            log.debug("the channel layer did not answer: %r", error)
            self._channel = ""
            return {"ok": False}
        return {"ok": True, "ms": _ms_since(began_s)}


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Answers] = WeakKeyDictionary()


def _answers() -> Answers:
    return _by_loop.setdefault(asyncio.get_running_loop(), Answers())


async def _ask_database() -> tuple[Facts, Facts]:
    began_s = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE_S):
            behind, households = await run_in_public(_what_is_behind)
    except (SyncError, TimeoutError) as error:
        log.info("not ready: the database does not answer (%s)", type(error).__name__)
        return {"ok": False}, {"ok": False}
    except Exception:
        # Such as a database without any table.
        log.exception("not ready")
        return {"ok": False}, {"ok": False}
    return (
        {"ok": True, "ms": _ms_since(began_s)},
        {"ok": behind == 0, "behind": behind, "households_behind": households},
    )


def _what_is_behind() -> tuple[int, int]:
    """How many migrations of the shared tables are missing, and how many households wait.

    Those households answer for themselves; they are no reason to serve nobody.
    """
    applied = MigrationRecorder(connections[DEFAULT_DB_ALIAS]).applied_migrations()
    return len(_wanted() - applied.keys()), migrations_behind(Tenant.Status.READY)


@cache
def _wanted() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None).graph.nodes)


def _ms_since(began_s: float) -> float:
    return round((time.monotonic() - began_s) * 1000, 1)
