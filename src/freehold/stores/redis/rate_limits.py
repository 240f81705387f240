"""Token buckets in Redis."""

from __future__ import annotations

from freehold.model.errors import StoreUnavailable
from freehold.stores.rate_limits import MemoryRateLimits, Verdict
from freehold.stores.redis.link import Link, Script

# By Redis's own clock, which all processes share. A full bucket is the same as none: it lapses.
_TAKE = Script("""
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local bucket = redis.call('HMGET', KEYS[1], 'level', 'since')
local level = tonumber(bucket[1] or burst)
level = math.min(burst, level + math.max(0, now - tonumber(bucket[2] or now)) * rate)
local allowed = level >= 1 and 1 or 0
level = level - allowed
redis.call('HSET', KEYS[1], 'level', string.format('%.17g', level), 'since', string.format('%.17g', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - level) / rate * 1000) + 1)
return {allowed, string.format('%.17g', level)}
""")


class RedisRateLimits:
    """Token buckets that all processes share.

    While Redis is away, each process limits by buckets of its own: requests go on, and nobody may do more than the
    limit times the number of processes.
    """

    def __init__(self, link: Link, prefix: str) -> None:
        self._link = link
        self._prefix = f"{prefix}:bucket:"
        self._own = MemoryRateLimits()

    async def take(self, bucket: str, per_second: float, burst: int) -> Verdict:
        try:
            allowed, level = await self._link.script(_TAKE, [self._prefix + bucket], [per_second, burst])
        except StoreUnavailable:
            return await self._own.take(bucket, per_second, burst)
        return Verdict.of(allowed=bool(allowed), level=float(level), per_second=per_second, burst=burst)
