"""A group's member in this process: a consumer in a thread of its own, its messages handled in the event loop.

The thread only fetches, commits and takes part in rebalances; it never waits for a handler, so that slow ones do not
get the member thrown out. What it may know of partitions, it is told by the loop, and the other way round, in order.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from freehold.buses.kafka.client import OWN, Errors, describe
from freehold.buses.kafka.delivery import Partition, Record, SetAside
from freehold.model.ports import Deliver

log = logging.getLogger(__name__)
BATCH = 500
IDLE, PAUSED = 0.2, 0.02
"""Seconds that the thread waits for a message: when all partitions flow, and when one is paused."""
COMMIT_EVERY = 1.0
LEAVING = 5.0
"""Seconds that the broker has to let a member go."""
PATIENCE = 60.0
"""Seconds that a partition waits for what is at work before another member gets it."""
_NOBODYS = {KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REBALANCE_IN_PROGRESS}

Place = tuple[str, int]
"""A topic and the number of a partition."""


class Member:
    """Takes part in a group and delivers what its partitions hold.

    A partition changes hands in two steps (cooperative rebalancing): the one who has it stops, finishes what is at
    work, commits and lets go; only then it is given to another. The others work on meanwhile.

    Args:
        group: the group's name.
        topics: what it reads: each topic's name in the system, by its name at the broker.
        settings: how to reach the broker, and times.
        types: the event types it takes.
        deliver: the group's entrance.
        set_aside: what becomes of messages that are no events.
        drain: seconds that closing waits for what is at work.
    """

    def __init__(
        self,
        group: str,
        topics: Mapping[str, str],
        settings: Mapping[str, Any],
        *,
        types: Collection[str],
        deliver: Deliver,
        set_aside: SetAside,
        drain: float,
    ) -> None:
        self._drain = drain
        self._group = group
        self._topics = topics
        self._types = frozenset(types)
        self._deliver = deliver
        self._set_aside = set_aside
        self._errors = Errors(f"group {group}")
        self._settings = {
            **settings,
            **OWN,
            "group.id": group,
            "error_cb": self._errors,
            "on_commit": self._committed,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "partition.assignment.strategy": "cooperative-sticky",
            "queued.min.messages": 2000,
            "queued.max.messages.kbytes": 16384,
            "fetch.queue.backoff.ms": 10,  # its default, a second, starves quick handlers
        }
        self._loop = asyncio.get_running_loop()
        self._partitions: dict[Place, Partition] = {}
        self._orders: SimpleQueue[Callable[[Consumer], object]] = SimpleQueue()
        self._any_paused = False
        self._commit_timer: asyncio.TimerHandle | None = None
        self._stopping = threading.Event()
        self._patience = PATIENCE
        self._let_go: set[Place] = set()
        self._ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        threading.Thread(target=self._run, name=f"freehold-kafka-{group}", daemon=True).start()

    async def close(self) -> None:
        """Leave the group: finish what is at work, commit, and let others take over at once."""
        self._patience = self._drain
        self._stopping.set()
        try:
            await asyncio.wait_for(asyncio.wrap_future(self._ended), self._drain + LEAVING)
        except TimeoutError:
            log.warning("group %s: the broker does not let its member go; it will miss it", self._group)
        self._drop_all()
        if self._commit_timer is not None:
            self._commit_timer.cancel()

    # --- in the event loop --------------------------------------------------------------------------------------------

    def _open(self, places: Sequence[Place]) -> None:
        for place in places:
            self._partitions[place] = Partition(
                self._topics[place[0]], self._types, self._deliver, self._set_aside, self._progressed
            )

    def _take(self, messages: Sequence[Message], taken: threading.Event) -> None:
        try:
            for message in messages:
                self._take_one(message)
            for place, partition in self._partitions.items():
                if partition.is_full and not partition.paused:
                    self._pause(place, partition)
        finally:
            taken.set()

    def _take_one(self, message: Message) -> None:
        topic, number, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None and number is not None and offset is not None  # noqa: S101, PT018 - it is no error
        partition = self._partitions.get((topic, number))
        if partition is not None:
            partition.take(Record(topic, number, offset, message.key(), message.value() or b""))

    def _pause(self, place: Place, partition: Partition) -> None:
        partition.paused = True
        self._any_paused = True
        self._orders.put(lambda consumer: consumer.pause([TopicPartition(*place)]))

    def _progressed(self, partition: Partition) -> None:
        if self._commit_timer is None:
            self._commit_timer = self._loop.call_later(COMMIT_EVERY, self._commit)
        if partition.paused and partition.has_room:
            partition.paused = False
            places = [place for place, each in self._partitions.items() if each is partition]
            self._orders.put(lambda consumer: consumer.resume([TopicPartition(*place) for place in places]))
            self._any_paused = any(each.paused for each in self._partitions.values())

    def _commit(self) -> None:
        self._commit_timer = None
        if positions := self._positions(self._partitions):
            self._orders.put(lambda consumer: consumer.commit(offsets=positions, asynchronous=True))

    def _positions(self, places: Collection[Place]) -> list[TopicPartition]:
        """What has changed since the last commit."""
        positions = []
        for place in places:
            partition = self._partitions.get(place)
            if partition is not None and partition.position not in (None, partition.committed):
                partition.committed = partition.position
                positions.append(TopicPartition(*place, offset=partition.position))
        return positions

    def _commit_failed(self, places: Sequence[Place]) -> None:
        """Commit again with the next progress, or in a while."""
        for place in places:
            if place in self._partitions:
                self._partitions[place].committed = None
        if self._commit_timer is None and not self._stopping.is_set():
            self._commit_timer = self._loop.call_later(COMMIT_EVERY, self._commit)

    async def _release(self, places: Sequence[Place]) -> list[TopicPartition]:
        """Finish what is at work in these partitions; the positions to commit."""
        leaving = [self._partitions[place] for place in places if place in self._partitions]
        await asyncio.gather(*(partition.release(self._patience) for partition in leaving))
        positions = self._positions(places)
        self._drop(places)
        return positions

    def _drop(self, places: Sequence[Place]) -> None:
        for place in places:
            partition = self._partitions.pop(place, None)
            if partition is not None:
                partition.drop()
        self._any_paused = any(each.paused for each in self._partitions.values())

    def _drop_all(self) -> None:
        self._drop(list(self._partitions))

    # --- in the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            wait = 0.1
            while not self._stopping.is_set():
                try:
                    self._consume()
                    wait = 0.1
                except Exception:
                    if self._loop.is_closed():
                        return
                    log.exception("group %s: its consumer stumbled and starts over", self._group)
                    self._tell(self._drop_all)
                    self._stopping.wait(wait)
                    wait = min(2 * wait, 5.0)
        finally:
            self._ended.set_result(None)

    def _consume(self) -> None:
        consumer = Consumer(self._settings)
        try:
            consumer.subscribe(
                list(self._topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
            )
            while not self._stopping.is_set():
                self._turn(consumer)
                if self._errors.fatal:
                    raise RuntimeError(self._errors.last)
            self._obey(consumer)
        finally:
            self._errors.fatal = False
            consumer.close()

    def _turn(self, consumer: Consumer) -> None:
        self._obey(consumer)
        self._let_go.clear()
        first = consumer.poll(PAUSED if self._any_paused else IDLE)
        if first is None:
            return
        messages = [first, *consumer.consume(BATCH - 1, 0)]
        if (first.topic(), first.partition()) in self._let_go:
            del messages[0]
        for message in messages:
            if (error := message.error()) is not None:
                self._errors(error)
        self._hand([message for message in messages if message.error() is None])

    def _obey(self, consumer: Consumer) -> None:
        while True:
            try:
                order = self._orders.get_nowait()
            except Empty:
                return
            try:
                order(consumer)
            except KafkaException as error:
                if error.args[0].code() not in {KafkaError._STATE, KafkaError._UNKNOWN_PARTITION, *_NOBODYS}:
                    raise

    def _hand(self, messages: Sequence[Message]) -> None:
        """Give messages to the loop, and wait until it has them: a pause that it orders then comes before the next."""
        taken = threading.Event()
        self._tell(self._take, messages, taken)
        if messages:
            self._errors.over()
        while not taken.wait(1.0):
            if self._stopping.is_set() or self._loop.is_closed():
                return

    def _tell(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call it in the loop; a loop that was closed without us needs to know nothing."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    # --- in the thread, called by its consumer ------------------------------------------------------------------------

    def _assigned(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        consumer.incremental_assign(list(partitions))
        consumer.resume(list(partitions))  # the client remembers a pause from the last time they were ours
        self._tell(self._open, _places(partitions))

    def _revoked(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        places = _places(partitions)
        self._let_go.update(places)
        if self._loop.is_closed():
            return
        releasing = asyncio.run_coroutine_threadsafe(self._release(places), self._loop)
        try:
            positions = releasing.result(2 * self._patience + 1)
            if positions:
                consumer.commit(offsets=positions, asynchronous=False)
        except TimeoutError:
            log.warning("group %s: partitions are let go while the process does not answer", self._group)
        except KafkaException as error:
            log.warning("group %s: a last commit failed: %s", self._group, describe(error.args[0]))
        consumer.incremental_unassign(list(partitions))

    def _lost(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """Others may have them already: commit nothing."""
        places = _places(partitions)
        self._let_go.update(places)
        log.warning("group %s: %d partitions were lost to others", self._group, len(places))
        self._tell(self._drop, places)
        consumer.incremental_unassign(list(partitions))

    def _committed(self, error: KafkaError | None, partitions: Sequence[TopicPartition]) -> None:
        failed = [each for each in partitions if error or each.error]
        if failed:
            problem = error or failed[0].error
            if problem is not None and problem.code() not in _NOBODYS:
                self._errors(problem)
            self._tell(self._commit_failed, _places(failed))


def _places(partitions: Sequence[TopicPartition]) -> list[Place]:
    return [(each.topic, each.partition) for each in partitions]
