"""One connection to the broker, kept: made again when it is lost, with everything declared before anybody uses it."""

from __future__ import annotations

import asyncio
import logging
import random
from itertools import count

import aiormq
from aiormq.abc import AbstractChannel, AbstractConnection
from yarl import URL

from freehold.buses.ending import end
from freehold.buses.rabbitmq.layout import PATIENCE, Layout
from freehold.model.errors import BusUnavailable, ConfigurationError

log = logging.getLogger(__name__)
WAITS = (0.1, 5.0)
HEARTBEAT = 10
SILENCE = (aiormq.AMQPError, OSError, RuntimeError, asyncio.CancelledError)
"""What aiormq raises when a connection or channel is gone; it also cancels its futures when it closes them itself."""


class Link:
    """Connects on first use, and from then on whenever it has to.

    Args:
        url: `amqp://user:password@host:port/vhost`, or `amqps://`.
        layout: what is declared on every new connection.
    """

    def __init__(self, url: str, layout: Layout) -> None:
        self._url, self.address = _parse(url, layout.exchange)
        self._layout = layout
        self._connection: AbstractConnection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self._declaring = asyncio.Lock()
        self._reason = ""
        self._closed = False

    async def connection(self) -> AbstractConnection:
        """The connection as it is now; the very first attempt is waited for. Raises BusUnavailable."""
        self._start()
        async with self._changed:
            await self._changed.wait_for(lambda: self._connection or self._reason or self._closed)
        if self._connection is None or self._closed:
            raise BusUnavailable(f"RabbitMQ at {self.address}: {'closed' if self._closed else self._reason}")
        return self._connection

    async def up(self) -> AbstractConnection:
        """The connection, as soon as there is one."""
        self._start()
        async with self._changed:
            await self._changed.wait_for(lambda: self._connection)
            assert self._connection is not None  # noqa: S101 - waited for
            return self._connection

    async def declare(self) -> None:
        """Make what somebody has deleted since. Raises aiormq's errors and BusUnavailable."""
        async with self._declaring:
            await self._declare(await self.connection())

    async def ping(self) -> None:
        """Raise BusUnavailable unless the broker answers."""
        connection = await self.connection()
        try:
            channel = await open_channel(connection)
            await channel.exchange_declare(self._layout.exchange, passive=True, timeout=PATIENCE)
            await channel.close()
        except SILENCE as error:
            heed_cancellation()
            raise BusUnavailable(f"RabbitMQ at {self.address}: {reason(error)}") from None

    async def close(self) -> None:
        """Disconnect for good."""
        self._closed = True
        if self._keeper is not None:
            await end(self._keeper)
        if self._connection is not None:
            await self._connection.close()
        await self._change(None, "closed")

    def _start(self) -> None:
        if self._keeper is None and not self._closed:
            self._keeper = asyncio.create_task(self._keep(), name=f"rabbitmq {self.address}")

    async def _keep(self) -> None:
        loop, (first, longest) = asyncio.get_running_loop(), WAITS
        wait = first
        while True:
            try:
                connection = await self._connect()
            except SILENCE as error:
                heed_cancellation()
                log.warning("no connection to RabbitMQ at %s: %s", self.address, reason(error))
                await self._change(None, reason(error))
            except Exception as error:
                log.exception("the connection to RabbitMQ at %s stumbled and starts over", self.address)
                await self._change(None, reason(error))
            else:
                since = loop.time()
                await self._change(connection, "")
                await asyncio.wait([connection.closing])
                log.warning("the connection to RabbitMQ at %s is lost", self.address)
                await self._change(None, "the connection is lost")
                if loop.time() - since > longest:
                    wait = first
            await asyncio.sleep(random.uniform(wait / 2, wait))
            wait = min(2 * wait, longest)

    async def _connect(self) -> AbstractConnection:
        async with asyncio.timeout(PATIENCE):
            connection = await aiormq.connect(self._url)
        try:
            await self._declare(connection)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _declare(self, connection: AbstractConnection) -> None:
        channel = await open_channel(connection)
        await self._layout.declare(channel)
        await channel.close()

    async def _change(self, connection: AbstractConnection | None, reason: str) -> None:
        async with self._changed:
            self._connection, self._reason = connection, reason
            self._changed.notify_all()


async def open_channel(connection: AbstractConnection, *, confirms: bool = False) -> AbstractChannel:
    """A channel under the lowest free number: aiormq counts up, and brokers have a limit, of 2047 by default."""
    number = next(number for number in count(1) if number not in connection.channels)
    return await connection.channel(number, publisher_confirms=confirms, on_return_raises=False, timeout=PATIENCE)


async def leave(channel: AbstractChannel) -> None:
    """Close a channel that may be gone already; and wait for the broker to know it.

    Whoever is cancelled meanwhile goes at once: aiormq's own calls keep a cancellation until they are answered.
    """
    closing = asyncio.ensure_future(channel.close())
    closing.add_done_callback(lambda closed: closed.cancelled() or closed.exception())
    await asyncio.wait([closing], timeout=PATIENCE)


def heed_cancellation() -> None:
    """Raise CancelledError when somebody has cancelled this task.

    Asked after each of aiormq's errors: it cancels futures of its own, and makes other errors of a cancellation.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def reason(error: BaseException) -> str:
    """What the error says, or else its kind; aiormq puts no password into either."""
    return str(error) or type(error).__name__


def _parse(url: str, name: str) -> tuple[URL, str]:
    """The address for aiormq, and the part of it that may be shown."""
    try:
        parsed = URL(url)
        if not parsed.host:
            raise ValueError
    except ValueError:
        raise ConfigurationError(
            "bus",
            "the address cannot be read (it is not shown, as it may hold a password)",
            "Write amqp://user:password@host:port/vhost, special characters %-encoded",
        ) from None
    given = {"heartbeat": str(HEARTBEAT), "name": name} | dict(parsed.query)
    return parsed.with_query(given), f"{parsed.host}:{parsed.port or ''}".rstrip(":")
