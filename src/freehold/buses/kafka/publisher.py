"""The idempotent producer: many messages outstanding, in order per key whatever fails.

The client's queue of answers is emptied by the event loop itself, not by a thread: each answer takes the interpreter's
lock, and a thread would wait for it behind a busy loop every time.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from freehold.buses.kafka.client import OWN, Errors, describe
from freehold.buses.kafka.topics import LARGEST
from freehold.model.errors import BusUnavailable, Refused

SHORTEST, LONGEST, IDLE = 0.001, 0.02, 1.0
"""Seconds between two looks for answers: while they come, while they do not, and when nothing is outstanding."""
PATIENCE = 5.0
"""Seconds without any answer after which the broker counts as gone."""
DOWN = 1.0
"""The same, when no broker can be reached."""
ENDING = 2.0
"""Seconds that a producer with a fatal error has to say what became of each message."""
ENDURANCE = 12
"""Times that patience, after which it does even if it answered others."""
_REFUSALS = {KafkaError.INVALID_RECORD, KafkaError.INVALID_TIMESTAMP, KafkaError.POLICY_VIOLATION}
_CHANGED = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}
_CHANGED |= {KafkaError._UNKNOWN_PARTITION, KafkaError.RECORD_LIST_TOO_LARGE}


class Publisher:
    """Sends messages, one future each.

    A message never overtakes an earlier one of its key: those of a partition are written in their order and without a
    gap, and when the broker is given up, all that are outstanding fail together.

    Args:
        settings: how to reach the broker.
        patience: seconds without any answer after which what is outstanding fails.
    """

    def __init__(self, settings: Mapping[str, Any], patience: float = PATIENCE) -> None:
        self._settings = settings
        self._patience = patience
        self._producer: Producer | None = None
        self._errors = Errors("publishing")
        self._outstanding: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._answered_at = 0.0
        self._pause = SHORTEST
        self._look: asyncio.TimerHandle | None = None
        self._broken = ""
        self._ending_at = 0.0
        self.limits: Mapping[str, int] = {}
        """Bytes of a message at most, by topic."""
        self.changed = False
        """The broker refused what its topics as we know them would take: look at them again."""

    def send(
        self, topic: str, key: bytes, body: bytes, headers: list[tuple[str, str | bytes | None]]
    ) -> asyncio.Future[None]:
        """Hand one message over. The future raises Refused or BusUnavailable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        if self._broken:
            future.set_exception(BusUnavailable(self._broken))
            return future
        producer = self._producer or self._connect()
        try:
            producer.produce(topic, body, key, headers=headers, on_delivery=partial(self._answered, future))
        except BufferError:
            future.set_exception(BusUnavailable("more is outstanding than the client can hold"))
        except KafkaException as error:
            self._answered(future, error.args[0])
        else:
            self._outstanding.append((loop.time(), future))
        self._look_after(SHORTEST)
        return future

    async def close(self) -> None:
        """Disconnect; what is outstanding fails."""
        self._give_up("the bus is closed")
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _connect(self) -> Producer:
        limits = self.limits.values() or (LARGEST,)
        self._errors = Errors("publishing")
        self._producer = Producer({
            **self._settings,
            **OWN,
            "error_cb": self._errors,
            "enable.idempotence": True,  # with it acks=all
            "enable.gapless.guarantee": True,  # a batch that fails takes along what would overtake it
            "message.timeout.ms": 0,  # the client's own time-out lets later messages overtake; ours takes them all
            "partitioner": "murmur2_random",  # Kafka's own: other clients find a key in the same partition
            "linger.ms": 0,  # while answers are out, the next batch gathers by itself
            "message.max.bytes": max(limits) + 65536,
            "batch.size": min(LARGEST, *limits),  # the broker measures a topic's limit by batches
        })  # fmt: skip
        return self._producer

    # --- answers ------------------------------------------------------------------------------------------------------

    def _look_after(self, pause: float) -> None:
        """Look for answers in so many seconds, or earlier if that is planned."""
        loop = asyncio.get_running_loop()
        if self._look is not None:
            if self._look.when() <= loop.time() + pause:
                return
            self._look.cancel()
        self._pause = pause
        self._look = loop.call_later(pause, self._take_answers)

    def _take_answers(self) -> None:
        self._look = None
        if self._producer is None:
            return
        now = asyncio.get_running_loop().time()
        try:
            came = self._producer.poll(0)
        except KafkaException as error:  # it writes nothing more, and will now say of each message why
            came, self._broken, self._ending_at = 1, describe(error.args[0]), now + ENDING
        while self._outstanding and self._outstanding[0][1].done():
            self._outstanding.popleft()
        if self._broken and (not self._outstanding or now >= self._ending_at):
            self._give_up(self._broken)
        elif self._outstanding and self._is_lost(now):
            self._give_up(self._errors.last or f"no answer for {self._patience:g} s")
        if self._outstanding:
            self._look_after(SHORTEST if came else min(2 * self._pause, LONGEST))
        else:
            self._look_after(IDLE)

    def _is_lost(self, now: float) -> bool:
        since = self._outstanding[0][0]
        patience = min(DOWN, self._patience) if self._errors.nobody else self._patience
        silent = now - max(since, self._answered_at) > patience
        return silent or now - since > ENDURANCE * self._patience

    def _answered(self, future: asyncio.Future[None], error: KafkaError | None, message: Message | None = None) -> None:
        if future.done():
            return
        if error is None:
            self._answered_at = asyncio.get_running_loop().time()
            self._errors.over()
            future.set_result(None)
        else:
            self._broken = self._broken or describe(error)
            future.set_exception(self._meaning(error))

    def _meaning(self, error: KafkaError) -> Refused | BusUnavailable:
        if error.code() in _REFUSALS:
            return Refused(describe(error))
        self.changed = self.changed or error.code() in _CHANGED
        return BusUnavailable(describe(error))

    def _give_up(self, reason: str) -> None:
        """Fail all that is outstanding, and with it the producer that might still send it.

        What it has on the wire may yet be written, in its order and from its first unacknowledged message on: whoever
        sends all of it again in order doubles messages and reorders none.
        """
        producer, self._producer = self._producer, None
        self._broken = reason  # until those who wait have been told: what they send meanwhile would overtake
        outstanding, self._outstanding = self._outstanding, deque()
        for _, future in outstanding:
            if not future.done():
                future.set_exception(BusUnavailable(reason))
        asyncio.get_running_loop().call_soon(self._mend)
        if producer is not None:
            _retire(producer)

    def _mend(self) -> None:
        """The next message gets another producer."""
        self._broken, self._ending_at = "", 0.0


def _retire(producer: Producer) -> None:
    """Let go of a producer elsewhere: its own threads are waited for."""

    def end() -> None:
        producer.purge(blocking=False)
        with suppress(KafkaException):  # it complains of what it has lost, which we know
            producer.close()

    threading.Thread(target=end, name="freehold-kafka-retire", daemon=True).start()
