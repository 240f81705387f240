"""The stores in Redis."""

from freehold.stores.redis.store import RedisStore

__all__ = ["RedisStore"]
