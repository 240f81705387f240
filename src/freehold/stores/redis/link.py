"""Connections to one Redis, and what happens when it does not answer."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context as Variables
from dataclasses import dataclass
from hashlib import sha1
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import Connection, ConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from freehold.model.errors import ConfigurationError, StoreUnavailable

log = logging.getLogger("freehold.stores.redis")
T = TypeVar("T")
BATCH = 200
TIMEOUT = 1.0
Argument = str | bytes | int | float
_LOST = (RedisConnectionError, RedisTimeoutError, OSError, TimeoutError)


class Script:
    """A Lua script, which Redis carries out indivisibly, and the name that Redis knows it by."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.name = sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(slots=True, eq=False)
class _Call:
    words: Sequence[bytes]
    answer: asyncio.Future[Any]


class Link:
    """A few connections, and on each as many calls on one way as wait for it, in the order in which they came.

    A call is tried once and takes a second at most, or the `timeout` of the address. After Redis was lost, calls fail
    at once, and one at a time tries again every `pause`: nobody waits in a row for a Redis that is away.

    Args:
        url: where Redis is.
        connections: how many are opened at most.
        pause: seconds.

    Raises:
        ConfigurationError: the address cannot be right.
    """

    def __init__(self, url: str, *, connections: int = 4, pause: float = 0.25) -> None:
        address = _read(url)
        self._timeout = address.timeout
        self._pause = pause
        self._connections = connections
        pool = ConnectionPool(max_connections=connections, retry=Retry(NoBackoff(), 0), protocol=2, **address.pool)
        self._redis: Any = Redis.from_pool(pool)  # its commands have no types
        self._lost_until: float | None = None
        self._waiting: deque[_Call] = deque()
        self._senders: set[asyncio.Task[None]] = set()

    async def command(self, *words: Argument) -> Any:
        """Carry out a command. Raises StoreUnavailable."""
        (answer,) = await self.commands([words])
        return answer

    async def commands(self, several: Sequence[Sequence[Argument]]) -> list[Any]:
        """Carry out several commands, each by itself. Raises StoreUnavailable."""
        return await self._try(lambda: asyncio.gather(*map(self._submit, several)))

    async def script(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument] = ()) -> Any:
        """Carry out a script. Raises StoreUnavailable."""
        rest = (len(keys), *keys, *arguments)

        async def run() -> Any:
            try:
                return await self._submit(("EVALSHA", script.name, *rest))
            except NoScriptError:
                return await self._submit(("EVAL", script.text, *rest))

        return await self._try(run)

    async def close(self) -> None:
        """End what is at work, and the connections."""
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)
        await self._redis.aclose()

    async def _try(self, call: Callable[[], Awaitable[T]]) -> T:
        self._admit()
        try:
            async with asyncio.timeout(self._timeout):
                answer = await call()
        except _LOST as error:
            if self._lost_until is None:
                log.warning("Redis is away: %s", str(error) or type(error).__name__)
            self._lost_until = time.monotonic() + self._pause
            raise StoreUnavailable("Redis does not answer") from error
        except RedisError as error:  # full, read-only, still loading
            log.warning("Redis refuses: %s", error)
            raise StoreUnavailable("Redis refuses") from error
        if self._lost_until is not None:
            self._lost_until = None
            log.info("Redis answers again")
        return answer

    def _submit(self, words: Sequence[Argument]) -> asyncio.Future[Any]:
        call = _Call(list(map(_encoded, words)), asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if len(self._senders) < self._connections:
            sender = asyncio.create_task(self._send(), context=Variables())
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)
        return call.answer

    async def _send(self) -> None:
        """Send what waits until nothing does."""
        while self._waiting:
            calls = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH))]
            calls = [call for call in calls if not call.answer.done()]  # whoever has left is not served
            pipeline = self._redis.pipeline(transaction=False)
            for call in calls:
                pipeline.execute_command(*call.words)
            try:
                async with asyncio.timeout(self._timeout):
                    answers = await pipeline.execute(raise_on_error=False)
            except (RedisError, OSError) as error:  # a TimeoutError is an OSError
                answers = [error] * len(calls)
            for call, answer in zip(calls, answers, strict=True):
                if call.answer.done():
                    continue
                if isinstance(answer, Exception):
                    call.answer.set_exception(answer)
                else:
                    call.answer.set_result(answer)

    def _admit(self) -> None:
        """While Redis is lost, let one call through each time that the pause is over."""
        if self._lost_until is None:
            return
        now = time.monotonic()
        if now < self._lost_until:
            raise StoreUnavailable("Redis did not answer a moment ago")
        self._lost_until = now + self._timeout + self._pause


def _encoded(word: Argument) -> bytes:
    """The word as it is sent: any text, also what is no proper Unicode, for one call must not spoil those beside it.

    As bytes it also keeps the client from interpreting the answer, which it does by a command's name.
    """
    return word if isinstance(word, bytes) else str(word).encode(errors="surrogatepass")


@dataclass(frozen=True, slots=True)
class _Address:
    """Where Redis is, as the client's pool takes it, and how long a call may take, in seconds."""

    pool: dict[str, Any]
    timeout: float


def _read(url: str) -> _Address:
    try:
        parts = urlsplit(url)
        port = parts.port or 6379
        query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        timeout = float(query.pop("timeout", TIMEOUT))
        database = int(parts.path.strip("/") or 0)
        if not 0 < timeout < math.inf:
            raise ValueError("no time at all")
    except ValueError:
        raise ConfigurationError(
            "store", "is no address", "Write redis://user:password@host:port/db?timeout=1, special characters %-encoded"
        ) from None
    authority = query.pop("ca", None)
    if query:
        raise ConfigurationError("store", f"the address has an option {min(query)!r}", "There are: ca, timeout")
    pool: dict[str, Any] = {
        "host": parts.hostname or "localhost",
        "port": port,
        "db": database,
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "connection_class": Connection,
    }
    if parts.scheme == "rediss":
        pool |= {"connection_class": SSLConnection, "ssl_ca_certs": authority}
    return _Address(pool, timeout)
