"""A cache in Redis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from freehold.model.errors import StoreUnavailable
from freehold.stores.cache import Cache
from freehold.stores.redis.link import Link


class RedisCache(Cache):
    """A cache that all processes share."""

    def __init__(self, link: Link, prefix: str) -> None:
        super().__init__()
        self._link = link
        self._prefix = f"{prefix}:cache:"

    async def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        wanted = list(keys)
        if not wanted:
            return {}
        try:
            values = await self._link.command("MGET", *(self._prefix + key for key in wanted))
        except StoreUnavailable:
            return {}
        return {key: value for key, value in zip(wanted, values, strict=True) if value is not None}

    async def put_many(self, values: Mapping[str, bytes], seconds: float) -> None:
        lasts = int(seconds * 1000)
        if lasts < 1:
            await self._remove(values)
            return
        try:
            await self._link.commands(
                [("SET", self._prefix + key, value, "PX", lasts) for key, value in values.items()]
            )
        except StoreUnavailable:
            return

    async def _remove(self, keys: Iterable[str]) -> None:
        gone = [self._prefix + key for key in keys]
        if not gone:
            return
        try:
            await self._link.command("UNLINK", *gone)
        except StoreUnavailable:
            return
