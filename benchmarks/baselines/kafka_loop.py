"""confluent-kafka by hand: an idempotent producer with acks=all, and a consumer that commits what it has handled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from benchmarks.baselines.broker_loop import BATCH, Handle, Message

PARTITIONS = 8


def open(address: str, name: str) -> Kafka:
    """Nothing is connected yet."""
    return Kafka(address.removeprefix("kafka://").partition("/")[0], name)


class Kafka:
    """One topic."""

    def __init__(self, servers: str, topic: str) -> None:
        self._topic = topic
        self._stopped = False
        at: dict[str, Any] = {"bootstrap.servers": servers}
        self._admin = AdminClient(at)
        self._producer = Producer({**at, "enable.idempotence": True, "acks": "all", "linger.ms": 0})
        self._consumer = Consumer({
            **at, "group.id": topic, "auto.offset.reset": "earliest", "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 10,
        })  # fmt: skip

    async def open(self) -> None:
        (made,) = self._admin.create_topics([NewTopic(self._topic, PARTITIONS)]).values()
        await asyncio.to_thread(made.result, 10)
        self._consumer.subscribe([self._topic])

    async def publish(self, messages: Sequence[Message]) -> None:
        def all_of_them() -> None:
            failed: list[KafkaError] = []
            for key, payload in messages:
                self._producer.produce(
                    self._topic, payload, key, on_delivery=lambda error, _: failed.append(error) if error else None
                )
                self._producer.poll(0)
            self._producer.flush()
            if failed:
                raise RuntimeError(failed[0].str())

        await asyncio.to_thread(all_of_them)

    async def consume(self, handle: Handle, workers: int) -> None:
        while not self._stopped:
            messages = await asyncio.to_thread(self._consumer.consume, BATCH, 0.01)
            bodies = iter([message.value() or b"" for message in messages if message.error() is None])

            async def work(bodies: Any = bodies) -> None:
                for body in bodies:
                    await handle(body)

            await asyncio.gather(*(work() for _ in range(workers)))
            if messages:
                self._consumer.commit(asynchronous=True)

    def stop(self) -> None:
        self._stopped = True

    async def close(self) -> None:
        await asyncio.to_thread(self._consumer.close)
        (gone,) = self._admin.delete_topics([self._topic]).values()
        await asyncio.to_thread(gone.result, 10)
