"""Everything that a system keeps in one Redis."""

from __future__ import annotations

from freehold.stores.redis.cache import RedisCache
from freehold.stores.redis.counters import RedisCounters
from freehold.stores.redis.line import RedisLine
from freehold.stores.redis.link import Link
from freehold.stores.redis.rate_limits import RedisRateLimits
from freehold.stores.store import Shelf, Store


class RedisStore(Store):
    """A store in Redis; all owners share its connections."""

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(prefix)
        self._link = Link(url)

    def _make(self, prefix: str) -> Shelf:
        link = self._link
        return Shelf(
            RedisCache(link, prefix),
            RedisRateLimits(link, prefix),
            RedisCounters(link, prefix),
            RedisLine(link, prefix),
        )

    async def ping(self) -> None:
        await self._link.command("PING")

    async def close(self) -> None:
        await self._link.close()
