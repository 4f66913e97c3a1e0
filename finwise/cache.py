"""Django's cache in Redis, for counting attempts in all processes together.

A Redis that is away must not lock everybody out: until it is back, each process counts for
itself. Values are JSON and never pickled, because unpickling runs what it is told.
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import redis
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache

log = logging.getLogger(__name__)

# A Redis that just failed is not asked again for so long: each try may wait for its timeout.
PAUSE_S = 5.0


class JsonSerializer:
    """Values as JSON text; whole numbers as they are, so that Redis can count with them."""

    def dumps(self, value: Any) -> Any:
        return value if type(value) is int else json.dumps(value)

    def loads(self, stored: bytes) -> Any:
        return json.loads(stored)


class ForgivingRedisCache(BaseCache):
    """Redis while it answers, else the memory of this process."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._shared = RedisCache(server, params)
        self._own = LocMemCache("forgiving", params)
        self._asks_again_at_s = 0.0

    def add(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None
    ) -> bool:
        return self._do("add", key, value, timeout, version)

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        return self._do("get", key, default, version)

    def set(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None
    ) -> None:
        self._do("set", key, value, timeout, version)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        return self._do("touch", key, timeout, version)

    def delete(self, key: Any, version: Any = None) -> bool:
        return self._do("delete", key, version)

    def incr(self, key: Any, delta: int = 1, version: Any = None) -> int:
        return self._do("incr", key, delta, version)

    def clear(self) -> None:
        self._do("clear")

    def _do(self, name: str, *arguments: Any) -> Any:
        if time.monotonic() >= self._asks_again_at_s:
            try:
                return getattr(self._shared, name)(*arguments)
            except redis.RedisError as error:
                self._asks_again_at_s = time.monotonic() + PAUSE_S
                log.warning(
                    "Redis is away (%s); this process counts for itself", type(error).__name__
                )
        return getattr(self._own, name)(*arguments)
