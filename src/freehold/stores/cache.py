"""Values that can be had again, kept for a while."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping

MEBIBYTE = 1024 * 1024


class Cache(ABC):
    """Keeps bytes by key until their time is up, or sooner.

    Whoever asks a cache must be able to do without: a store that is away has nothing, takes nothing and raises nothing.
    """

    def __init__(self) -> None:
        self._loading: dict[str, asyncio.Task[bytes]] = {}

    @abstractmethod
    async def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """What is kept of these; the others are missing."""

    @abstractmethod
    async def put_many(self, values: Mapping[str, bytes], seconds: float) -> None:
        """Keep these for so long, fractions of a second allowed."""

    @abstractmethod
    async def _remove(self, keys: Iterable[str]) -> None: ...

    async def get(self, key: str) -> bytes | None:
        """What is kept; None when nothing is."""
        return (await self.get_many([key])).get(key)

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        """Keep it for so long."""
        await self.put_many({key: value}, seconds)

    async def forget(self, *keys: str) -> None:
        """Keep these no longer; nor what a `load` in this process is about to bring that began before."""
        for key in keys:
            self._loading.pop(key, None)
        await self._remove(keys)

    async def load(self, key: str, make: Callable[[], Awaitable[bytes]], seconds: float) -> bytes:
        """What is kept, or what `make` returns, which is then kept for so long.

        Of many callers in this process who miss the same key at once, one makes it for all. It is made to its end even
        when that caller leaves. What `make` raises is raised to all of them, and not kept.
        """
        if (kept := await self.get(key)) is not None:
            return kept
        loading = self._loading.get(key)
        if loading is None:
            loading = self._loading[key] = asyncio.create_task(self._make(key, make, seconds))
        return await asyncio.shield(loading)

    async def _make(self, key: str, make: Callable[[], Awaitable[bytes]], seconds: float) -> bytes:
        try:
            value = await make()
            if self._loading.get(key) is asyncio.current_task():
                await self.put(key, value, seconds)
            return value
        finally:
            if self._loading.get(key) is asyncio.current_task():
                del self._loading[key]


class MemoryCache(Cache):
    """A cache of this process.

    Args:
        size: bytes that keys and values may take; what was unused for longest goes first. A value that alone takes more
            is not kept.
        now: seconds that only grow.
    """

    def __init__(self, *, size: int = 64 * MEBIBYTE, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._room = size
        self._now = now
        self._kept: OrderedDict[str, tuple[bytes, float]] = OrderedDict()

    async def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        now = self._now()
        found = {}
        for key in keys:
            value, until = self._kept.get(key, (b"", now))
            if now < until:
                self._kept.move_to_end(key)
                found[key] = value
            else:
                self._drop(key)
        return found

    async def put_many(self, values: Mapping[str, bytes], seconds: float) -> None:
        until = self._now() + seconds
        for key, value in values.items():
            self._drop(key)
            self._kept[key] = (value, until)
            self._room -= len(key) + len(value)
        while self._room < 0:
            self._drop(next(iter(self._kept)))

    async def _remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._drop(key)

    def _drop(self, key: str) -> None:
        if key in self._kept:
            value, _ = self._kept.pop(key)
            self._room += len(key) + len(value)
