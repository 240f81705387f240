"""Connections to one Redis, and what happens when it does not answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha1
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from freehold.model.errors import ConfigurationError, StoreUnavailable

log = logging.getLogger("freehold.stores.redis")
T = TypeVar("T")
Argument = str | bytes | int | float
_LOST = (RedisConnectionError, RedisTimeoutError, OSError, TimeoutError)


class Script:
    """A Lua script, which Redis carries out indivisibly, and the name that Redis knows it by."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.name = sha1(text.encode(), usedforsecurity=False).hexdigest()


class Link:
    """A pool of connections.

    A call is tried once and takes `timeout` at most. After Redis was lost, calls fail at once, and one at a time tries
    again every `pause`: nobody waits in a row for a Redis that is away.

    Args:
        url: where Redis is.
        connections: how many are opened at most.
        timeout: seconds.
        pause: seconds.

    Raises:
        ConfigurationError: the address cannot be right.
    """

    def __init__(self, url: str, *, connections: int = 32, timeout: float = 1.0, pause: float = 0.25) -> None:
        self._timeout = timeout
        self._pause = pause
        pool = BlockingConnectionPool(
            max_connections=connections,
            timeout=timeout,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            **_options(url),
        )
        self._redis: Any = Redis.from_pool(pool)  # its commands have no types
        self._lost_until: float | None = None

    async def command(self, *words: Argument) -> Any:
        """Carry out a command. Raises StoreUnavailable."""
        return await self._try(lambda: self._redis.execute_command(*words))

    async def commands(self, several: Sequence[Sequence[Argument]]) -> list[Any]:
        """Carry out several commands on one way there and back. Raises StoreUnavailable."""
        pipeline = self._redis.pipeline(transaction=False)
        for words in several:
            pipeline.execute_command(*words)
        return await self._try(pipeline.execute)

    async def script(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument] = ()) -> Any:
        """Carry out a script. Raises StoreUnavailable."""
        rest = (len(keys), *keys, *arguments)

        async def run() -> Any:
            try:
                return await self._redis.execute_command("EVALSHA", script.name, *rest)
            except NoScriptError:
                return await self._redis.execute_command("EVAL", script.text, *rest)

        return await self._try(run)

    async def close(self) -> None:
        await self._redis.aclose()

    async def _try(self, call: Callable[[], Awaitable[T]]) -> T:
        self._admit()
        try:
            async with asyncio.timeout(self._timeout):
                answer = await call()
        except _LOST as error:
            if self._lost_until is None:
                log.warning("Redis is away: %s", error or type(error).__name__)
            self._lost_until = time.monotonic() + self._pause
            raise StoreUnavailable("Redis does not answer") from error
        except RedisError as error:  # full, read-only, still loading
            log.warning("Redis refuses: %s", error)
            raise StoreUnavailable("Redis refuses") from error
        if self._lost_until is not None:
            self._lost_until = None
            log.info("Redis answers again")
        return answer

    def _admit(self) -> None:
        """While Redis is lost, let one call through each time that the pause is over."""
        if self._lost_until is None:
            return
        now = time.monotonic()
        if now < self._lost_until:
            raise StoreUnavailable("Redis did not answer a moment ago")
        self._lost_until = now + self._timeout + self._pause


def _options(url: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        port = parts.port or 6379
        query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        database = int(parts.path.strip("/") or 0)
    except ValueError:
        raise ConfigurationError(
            "store", "is no address", "Write redis://user:password@host:port/db, special characters %-encoded"
        ) from None
    if unknown := sorted(query.keys() - {"ca"}):
        raise ConfigurationError("store", f"the address has an option {unknown[0]!r}", "There is: ca (a file)")
    options: dict[str, Any] = {
        "host": parts.hostname or "localhost",
        "port": port,
        "db": database,
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
    }
    if parts.scheme != "rediss":
        return {**options, "connection_class": Connection}
    return {**options, "connection_class": SSLConnection, "ssl_ca_certs": query.get("ca")}
