"""Waiting lines in Redis: a sorted set each, scored by the order of joining."""

from __future__ import annotations

from collections.abc import Sequence

from freehold.stores.line import Place
from freehold.stores.redis.link import Link, Script

_JOIN = Script("""
local rank = redis.call('ZRANK', KEYS[1], ARGV[1])
local joined = rank and 0 or 1
if joined == 1 then
  local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
  redis.call('ZADD', KEYS[1], (last[2] or 0) + 1, ARGV[1])
end
local total = redis.call('ZCARD', KEYS[1])
return {rank and rank + 1 or total, total, joined}
""")

_RESTORE = Script("""
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local before = (first[2] or 1) - #ARGV - 1
for at, member in ipairs(ARGV) do
  redis.call('ZADD', KEYS[1], before + at, member)
end
""")


class RedisLine:
    """Waiting lines that all processes share."""

    def __init__(self, link: Link, prefix: str) -> None:
        self._link = link
        self._prefix = f"{prefix}:line:"

    async def join(self, line: str, member: str) -> Place:
        position, total, joined = await self._link.script(_JOIN, [self._prefix + line], [member])
        return Place(position, total, bool(joined))

    async def position(self, line: str, member: str) -> int | None:
        rank = await self._link.command("ZRANK", self._prefix + line, member)
        return None if rank is None else rank + 1

    async def total(self, line: str) -> int:
        return int(await self._link.command("ZCARD", self._prefix + line))

    async def pop(self, line: str, count: int) -> list[str]:
        if count < 1:
            return []
        answer = await self._link.command("ZPOPMIN", self._prefix + line, count)
        return [(item[0] if isinstance(item, tuple) else item).decode() for item in answer]

    async def leave(self, line: str, member: str) -> bool:
        return bool(await self._link.command("ZREM", self._prefix + line, member))

    async def restore(self, line: str, members: Sequence[str]) -> None:
        if members:
            await self._link.script(_RESTORE, [self._prefix + line], list(dict.fromkeys(members)))

    async def forget(self, line: str) -> None:
        await self._link.command("UNLINK", self._prefix + line)
