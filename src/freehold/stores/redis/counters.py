"""Live counters in Redis: each operation one indivisible script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from freehold.stores.counters import ENDED_SECONDS, Claim, Counted, Level, Outcome, check_reserve
from freehold.stores.redis.link import Link, Script

_CHUNK = 500

_RESERVE = Script("""
local counter, claim, holder = KEYS[1], KEYS[2], KEYS[3]
local quantity, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local known = redis.call('HMGET', claim, 'status', 'counter')
if known[1] then
  return {'already_' .. known[1], redis.call('HGET', known[2], 'left')}
end
local left = redis.call('HGET', counter, 'left')
if not left then
  return {'unknown_counter', false}
end
if tonumber(left) < quantity then
  return {'too_few', left}
end
if limit and tonumber(redis.call('GET', holder) or 0) + quantity > limit then
  return {'over_limit', left}
end
redis.call('HSET', claim, 'status', 'reserved', 'counter', counter, 'quantity', quantity)
if holder then
  redis.call('HSET', claim, 'holder', holder)
  redis.call('INCRBY', holder, quantity)
end
return {'done', redis.call('HINCRBY', counter, 'left', -quantity)}
""")

_CONFIRM = Script("""
local known = redis.call('HMGET', KEYS[1], 'status', 'counter')
if not known[1] then
  return {'unknown_claim', false}
end
local left = redis.call('HGET', known[2], 'left')
if known[1] ~= 'reserved' then
  return {'already_' .. known[1], left}
end
redis.call('HSET', KEYS[1], 'status', 'confirmed')
return {'done', left}
""")

_END = Script("""
local known = redis.call('HMGET', KEYS[1], 'status', 'counter', 'quantity', 'holder')
if not known[1] then
  return {'unknown_claim', false}
end
local counter, quantity, holder = known[2], tonumber(known[3]), known[4]
local left = redis.call('HGET', counter, 'left')
if known[1] ~= ARGV[1] then
  return {known[1] == 'reserved' and 'not_confirmed' or 'already_' .. known[1], left}
end
redis.call('HSET', KEYS[1], 'status', 'released')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if left then
  left = redis.call('HINCRBY', counter, 'left', quantity)
end
if holder and redis.call('EXISTS', holder) == 1 and redis.call('DECRBY', holder, quantity) <= 0 then
  redis.call('DEL', holder)
end
return {'done', left}
""")

_ADD = Script("""
return redis.call('EXISTS', KEYS[1]) == 1 and redis.call('HINCRBY', KEYS[1], 'left', ARGV[1])
""")

_KNOW = Script("""
for at = 2, #KEYS, 2 do
  local claim, holder, quantity, status = KEYS[at], KEYS[at + 1], ARGV[at - 1], ARGV[at]
  if redis.call('EXISTS', claim) == 0 then
    redis.call('HSET', claim, 'status', status, 'counter', KEYS[1], 'quantity', quantity)
    if holder ~= claim then
      redis.call('HSET', claim, 'holder', holder)
      redis.call('INCRBY', holder, quantity)
    end
  end
end
""")

_SET = Script("""
local version = redis.call('HGET', KEYS[1], 'version')
if version and tonumber(version) > tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], 'left', ARGV[1], 'version', ARGV[2])
return 1
""")


class RedisCounters:
    """Counters that all processes share.

    A claim names the keys of its counter and holder, which is why this needs one Redis, not a cluster of them.
    """

    shared = True

    def __init__(self, link: Link, prefix: str) -> None:
        self._link = link
        self._counter = f"{prefix}:counter:"
        self._claim = f"{prefix}:claim:"
        self._holder = f"{prefix}:holder:"

    async def reserve(
        self, counter: str, claim: str, quantity: int, *, holder: str = "", limit: int | None = None
    ) -> Counted:
        check_reserve(quantity, holder, limit)
        keys = [self._counter + counter, self._claim + claim, *([self._holder + holder] if holder else [])]
        return _counted(await self._link.script(_RESERVE, keys, [quantity, "" if limit is None else limit]))

    async def confirm(self, claim: str) -> Counted:
        return _counted(await self._link.script(_CONFIRM, [self._claim + claim]))

    async def release(self, claim: str) -> Counted:
        return await self._end(claim, "reserved")

    async def give_back(self, claim: str) -> Counted:
        return await self._end(claim, "confirmed")

    async def _end(self, claim: str, status: str) -> Counted:
        return _counted(await self._link.script(_END, [self._claim + claim], [status, int(ENDED_SECONDS * 1000)]))

    async def levels(self, counters: Iterable[str]) -> dict[str, Level]:
        wanted = list(counters)
        if not wanted:
            return {}
        answers = await self._link.commands(
            [("HMGET", self._counter + counter, "left", "version") for counter in wanted]
        )
        return {
            counter: Level(int(left), int(version or 0))
            for counter, (left, version) in zip(wanted, answers, strict=True)
            if left is not None
        }

    async def held(self, holder: str) -> int:
        return int(await self._link.command("GET", self._holder + holder) or 0)

    async def add(self, counter: str, difference: int) -> int | None:
        left = await self._link.script(_ADD, [self._counter + counter], [difference])
        return None if left is None else int(left)

    async def restore(self, counter: str, left: int, claims: Iterable[Claim] = ()) -> bool:
        key = self._counter + counter
        if await self._link.command("EXISTS", key):
            return False
        for some in _chunks(claims):
            keys, arguments = [key], []
            for claim in some:
                known = self._claim + claim.id
                keys += [known, self._holder + claim.holder if claim.holder else known]
                arguments += [str(claim.quantity), claim.status]
            await self._link.script(_KNOW, keys, arguments)
        return bool(await self._link.command("HSETNX", key, "left", left))

    async def set(self, counter: str, left: int, version: int) -> bool:
        return bool(await self._link.script(_SET, [self._counter + counter], [left, version]))

    async def forget(
        self, *, counters: Iterable[str] = (), claims: Iterable[str] = (), holders: Iterable[str] = ()
    ) -> None:
        gone = [self._counter + counter for counter in counters]
        gone += [self._claim + claim for claim in claims]
        gone += [self._holder + holder for holder in holders]
        if gone:
            await self._link.command("UNLINK", *gone)


def _counted(answer: list[Any]) -> Counted:
    outcome, left = answer
    return Counted(Outcome(outcome.decode()), None if left is None else int(left))


def _chunks(claims: Iterable[Claim]) -> Iterator[list[Claim]]:
    rest = iter(claims)
    while some := list(islice(rest, _CHUNK)):
        yield some
