"""A bounded memory of recent answers."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from freehold.model.errors import ConfigurationError

K = TypeVar("K")
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """Keeps the `size` most recently used entries and forgets the one unused for longest when it is full."""

    __slots__ = ("_entries", "_size")

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ConfigurationError("cache_size", f"{size} entries hold nothing", "Give 1 or more")
        self._size = size
        self._entries: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        if entry is not None:
            try:
                self._entries.move_to_end(key)
            except KeyError:  # another thread evicted it meanwhile; what was read is still right
                return entry
        return entry

    def put(self, key: K, entry: V) -> None:
        self._entries[key] = entry
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def discard(self, key: K) -> None:
        self._entries.pop(key, None)

    def __len__(self) -> int:
        return len(self._entries)
