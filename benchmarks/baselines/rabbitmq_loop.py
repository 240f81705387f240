"""aiormq by hand: confirms from a quorum queue, many outstanding, and a consumer that acknowledges what it handled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiormq
from aiormq import spec
from aiormq.abc import AbstractChannel, AbstractConnection, DeliveredMessage

from benchmarks.baselines.broker_loop import BATCH, Handle, Message

PREFETCH = 2000


def open(address: str, name: str) -> RabbitMQ:
    """Nothing is connected yet."""
    return RabbitMQ(address, name)


class RabbitMQ:
    """One queue."""

    _connection: AbstractConnection
    _publishing: AbstractChannel
    _consuming: AbstractChannel

    def __init__(self, url: str, queue: str) -> None:
        self._url = url
        self._queue = queue
        self._stopped = asyncio.Event()

    async def open(self) -> None:
        self._connection = await aiormq.connect(self._url)
        self._publishing = await self._connection.channel(publisher_confirms=True)
        self._consuming = await self._connection.channel()
        await self._consuming.basic_qos(prefetch_count=PREFETCH)
        await self._consuming.queue_declare(self._queue, durable=True, arguments={"x-queue-type": "quorum"})

    async def publish(self, messages: Sequence[Message]) -> None:
        for start in range(0, len(messages), BATCH):
            await asyncio.gather(*(self._publish_one(*message) for message in messages[start : start + BATCH]))

    async def _publish_one(self, key: str, payload: str) -> None:
        await self._publishing.basic_publish(
            payload.encode(), routing_key=self._queue, mandatory=True,
            properties=spec.Basic.Properties(delivery_mode=2, content_type="application/json", message_id=key),
        )  # fmt: skip

    async def consume(self, handle: Handle, workers: int) -> None:
        waiting: asyncio.Queue[DeliveredMessage] = asyncio.Queue()
        consuming = await self._consuming.basic_consume(self._queue, waiting.put)

        async def work() -> None:
            while True:
                message = await waiting.get()
                await handle(message.body)
                assert message.delivery_tag is not None
                await self._consuming.basic_ack(message.delivery_tag, wait=False)

        working = [asyncio.create_task(work()) for _ in range(workers)]
        await self._stopped.wait()
        for worker in working:
            worker.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        await self._consuming.basic_cancel(str(consuming.consumer_tag))

    def stop(self) -> None:
        self._stopped.set()

    async def close(self) -> None:
        await self._consuming.queue_delete(self._queue)
        await self._connection.close()
