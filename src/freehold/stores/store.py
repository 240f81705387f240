"""From an address to a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from freehold.model.errors import ConfigurationError
from freehold.stores.cache import Cache, MemoryCache
from freehold.stores.counters import Counters
from freehold.stores.line import Line, MemoryLine
from freehold.stores.memory_counters import MemoryCounters
from freehold.stores.rate_limits import MemoryRateLimits, RateLimits

SCHEMES = ("memory://", "redis://", "rediss://")


@dataclass(frozen=True, slots=True)
class Shelf:
    """What one owner keeps in the store; no other owner meets its keys."""

    cache: Cache
    rate_limits: RateLimits
    counters: Counters
    line: Line

    def given(self) -> Mapping[type[Any], Any]:
        """The four by their ports, to be injected by type."""
        return {Cache: self.cache, RateLimits: self.rate_limits, Counters: self.counters, Line: self.line}


@dataclass
class Store:
    """A store in memory, and what the one in Redis has in common with it.

    Attributes:
        prefix: what all of its keys begin with.
    """

    prefix: str
    _shelves: dict[str, Shelf] = field(default_factory=dict)

    def shelf(self, owner: str) -> Shelf:
        """What the owner, a service, keeps here; the same one whenever it is asked for."""
        if owner not in self._shelves:
            self._shelves[owner] = self._make(f"{self.prefix}:{owner}")
        return self._shelves[owner]

    def _make(self, prefix: str) -> Shelf:
        return Shelf(MemoryCache(), MemoryRateLimits(), MemoryCounters(), MemoryLine())

    async def ping(self) -> None:
        """Raise `StoreUnavailable` unless the store answers."""

    async def close(self) -> None:
        """Let go of its connections."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def open_store(url: str, prefix: str) -> Store:
    """The store for `memory://` or `redis://user:password@host:port/db`; nothing is connected yet.

    Args:
        url: where it is; `rediss://` speaks TLS, with `?ca=/path` trusting the authorities in that file.
        prefix: what all keys begin with, so that several systems can share a Redis.

    Raises:
        ConfigurationError: an unknown scheme, an address that cannot be right, or a client that is not installed; never
            with the password.
    """
    scheme = url.partition("://")[0]
    if scheme == "memory":
        return Store(prefix)
    if f"{scheme}://" not in SCHEMES:
        raise ConfigurationError("store", "the address begins with no scheme known here", f"Use {' or '.join(SCHEMES)}")
    try:
        from freehold.stores.redis import RedisStore
    except ImportError as error:
        raise ConfigurationError(
            "store", f"the client for {scheme}:// is missing ({error.name})", "pip install 'freehold[redis]'"
        ) from error
    return RedisStore(url, prefix)
