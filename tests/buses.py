"""Buses under test: what each promises, and how a test gets one of its own on the broker that they share."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from freehold import uuid7
from freehold.buses.factory import open_bus
from freehold.model.envelope import Envelope
from freehold.model.errors import BusUnavailable
from freehold.model.ports import Bus
from freehold.model.topology import Topology
from tests import servers
from tests.servers.private import PrivateServer

DEADLINE = 60.0
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Features:
    """What a bus promises beyond what all do: every event to every group that has subscribed, per key in order.

    Args:
        keeps: events wait at the broker for groups that come later, and are delivered again until they end well.
        shares: instances of a group share its keys, and take over from each other.
        restarts: the broker may stop, or be killed, at any time.
        limits: one event can be too large.
        rereads: what is finished may come again, to another process of the group: behind an earlier event that is not, or when
            the last commit of one that leaves meets a rebalance.
    """

    keeps: bool = False
    shares: bool = False
    restarts: bool = False
    limits: bool = False
    rereads: bool = False


FEATURES = {
    "local": Features(),
    "rabbitmq": Features(keeps=True, shares=True, restarts=True, limits=True),
    "kafka": Features(keeps=True, shares=True, restarts=True, limits=True, rereads=True),
}
KINDS = tuple(FEATURES)


def having(*features: str) -> list[str]:
    """The kinds of bus that promise all of these."""
    return [kind for kind, promised in FEATURES.items() if all(asdict(promised)[feature] for feature in features)]


class Broker(Protocol):
    """What a kind of bus needs to be tested."""

    def url(self) -> str:
        """Where events can be published, for as long as tests run."""
        ...

    def server(self) -> PrivateServer:
        """The server behind the URL, to stop and to kill."""
        ...

    def alone(self, url: str, topology: Topology) -> str:
        """The URL under which this system meets no other's topics."""
        ...

    async def settle(self) -> None:
        """Wait until what was declared outlives a kill."""
        ...

    async def forget(self, url: str, topology: Topology) -> None:
        """Delete what a system left at the broker."""
        ...


class LocalBroker:
    def url(self) -> str:
        return "local://"

    def server(self) -> PrivateServer:
        raise NotImplementedError("it has none")

    def alone(self, url: str, topology: Topology) -> str:
        return url

    async def settle(self) -> None:
        pass

    async def forget(self, url: str, topology: Topology) -> None:
        pass


class RabbitBroker:
    def url(self) -> str:
        return servers.rabbitmq_url()

    def server(self) -> PrivateServer:
        return servers.rabbitmq()

    def alone(self, url: str, topology: Topology) -> str:
        return url

    async def settle(self) -> None:
        # RabbitMQ 3.10 writes down new quorum queues up to three seconds later, and killed before that never finds them.
        await asyncio.sleep(4)

    async def forget(self, url: str, topology: Topology) -> None:
        from freehold.buses.rabbitmq import forget

        await forget(url, topology)


class KafkaBroker:
    def url(self) -> str:
        return servers.kafka_url()

    def server(self) -> PrivateServer:
        return servers.kafka()

    def alone(self, url: str, topology: Topology) -> str:
        return f"{url}/{topology.system}"

    async def settle(self) -> None:
        pass

    async def forget(self, url: str, topology: Topology) -> None:
        """The topics, with what could not be read; an empty group goes by itself."""
        from confluent_kafka.admin import AdminClient

        from freehold.buses.kafka.address import Address
        from freehold.buses.kafka.client import OWN

        address = Address.read(url)

        def delete() -> None:
            admin = AdminClient({**address.settings, **OWN})
            mine = [topic for topic in admin.list_topics(timeout=10).topics if topic.startswith(address.prefix)]
            for answer in (admin.delete_topics(mine) if mine else {}).values():
                answer.result(10)

        await asyncio.to_thread(delete)


BROKERS: dict[str, Broker] = {"local": LocalBroker(), "rabbitmq": RabbitBroker(), "kafka": KafkaBroker()}


class Buses:
    """The buses of one test: each is what one process would have, all of one system on one broker.

    The local bus is within a process, so that all of its are the same.
    """

    def __init__(self, kind: str, topology: Topology, *, private: bool = False) -> None:
        self.kind = kind
        self.topology = topology
        self.broker = BROKERS[kind]
        url: str = self.broker.server().url if private else self.broker.url()  # type: ignore[attr-defined]
        self.url = self.broker.alone(url, topology)
        self._opened: list[Bus] = []
        self._processes: list[asyncio.subprocess.Process] = []

    def open(self, topology: Topology | None = None, **options: Any) -> Bus:
        """Another process' bus."""
        if self.kind == "local" and self._opened:
            return self._opened[0]
        bus = open_bus(self.url, topology or self.topology, **options)
        self._opened.append(bus)
        return bus

    @property
    def server(self) -> PrivateServer:
        return self.broker.server()

    async def consumer(self, group: str, *, hold: bool = False) -> Consumer:
        """A process of the group that notes what it gets and ends it well, or with `hold` never."""
        arguments = json.dumps({"url": self.url, "topology": asdict(self.topology), "group": group, "hold": hold})
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.buses", arguments, stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[1],
        )  # fmt: skip
        self._processes.append(process)
        return Consumer(process)

    async def close(self) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        for bus in self._opened:
            await bus.close()
        await self.broker.forget(self.url, self.topology)


class Consumer:
    """A consumer in a process of its own, to be killed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.deliveries: list[tuple[str, int]] = []

    async def until(self, count: int) -> None:
        """Until it has got so many deliveries."""
        assert self._process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            while len(self.deliveries) < count:
                line = await self._process.stdout.readline()
                assert line, "the consumer ended"
                self.deliveries.append(tuple(json.loads(line)))

    async def kill(self) -> None:
        """kill -9; what it said before is read to its end."""
        assert self._process.stdout is not None
        self._process.kill()
        while line := await self._process.stdout.readline():
            self.deliveries.append(tuple(json.loads(line)))
        await self._process.wait()


class Group:
    """A consumer group of the test's own: notes each delivery, and ends it well at once unless told to hold it.

    Args:
        hold: which events stay unfinished until `release`.
        fail: how the first delivery of an event ends otherwise: with this error, or cancelled for CancelledError.
        pause: seconds between a delivery and its end.
        beside: another process of the group, whose deliveries `until` looks at as well.
    """

    def __init__(
        self,
        hold: Callable[[Envelope], bool] = lambda event: False,
        *,
        fail: Callable[[Envelope], BaseException | None] = lambda event: None,
        pause: float = 0.0,
        beside: Group | None = None,
    ) -> None:
        self._hold, self._fail, self._pause = hold, fail, pause
        self._arrived: asyncio.Event = asyncio.Event() if beside is None else beside._arrived
        self._held: list[asyncio.Future[None]] = []
        self.deliveries: list[tuple[str, int]] = []
        self.unfinished: dict[str, int] = defaultdict(int)
        self.most_unfinished = 0

    def __call__(self, event: Envelope) -> asyncio.Future[None]:
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.deliveries.append((event.key, number(event)))
        self.unfinished[event.key] += 1
        self.most_unfinished = max(self.most_unfinished, sum(self.unfinished.values()))
        ended.add_done_callback(lambda _: self._finished(event.key))
        error = self._fail(event)
        if isinstance(error, asyncio.CancelledError):
            ended.cancel()
        elif error is not None:
            ended.set_exception(error)
        elif self._hold(event):
            self._held.append(ended)
        elif self._pause:
            asyncio.get_running_loop().call_later(self._pause, lambda: ended.done() or ended.set_result(None))
        else:
            ended.set_result(None)
        self._arrived.set()
        return ended

    def _finished(self, key: str) -> None:
        self.unfinished[key] -= 1
        if not self.unfinished[key]:
            del self.unfinished[key]

    def release(self) -> None:
        """End well what was held, and hold nothing more."""
        self._hold = lambda event: False
        for ended in self._held:
            if not ended.done():
                ended.set_result(None)
        self._held.clear()

    def numbers(self, key: str | None = None) -> list[int]:
        """The numbers of what was delivered, in order; of one key or of all."""
        return [number for k, number in self.deliveries if key in (None, k)]

    def first(self, key: str | None = None) -> list[int]:
        """Each number once, in the order of first deliveries."""
        return list(dict.fromkeys(self.numbers(key)))

    async def until(self, condition: int | Callable[[], bool], deadline: float = DEADLINE) -> None:
        """Until so many different events have come, or the condition holds, asked at each delivery."""
        holds = (lambda: len(set(self.deliveries)) >= condition) if isinstance(condition, int) else condition
        async with asyncio.timeout(deadline):
            while not holds():
                self._arrived.clear()
                await self._arrived.wait()


def number(event: Envelope) -> int:
    """The number that the test gave it."""
    found: int = json.loads(event.payload)["number"]
    return found


def event(number: int, key: str = "k", kind: str = "order.placed", topic: str = "orders", size: int = 0) -> Envelope:
    """An event with a number, and so many bytes more."""
    payload = json.dumps({"number": number, **({"filling": "x" * size} if size else {})})
    return Envelope(uuid7(), kind, 1, "orders", topic, key, datetime.now(UTC), payload)


def some(numbers: Iterable[int], keys: int = 1_000_000) -> list[Envelope]:
    """Events with these numbers, on so many keys by turns."""
    return [event(number, f"k{number % keys}") for number in numbers]


def system(**groups: Iterable[str]) -> Topology:
    """A topology under a name of its own: groups with the types that they take, on four partitions."""
    topics = {"order.placed": "orders", "order.paid": "orders", "stock.taken": "stock"}
    name = f"t{os.getpid()}x{next(_numbers)}"
    taken = {group: {kind: topics[kind] for kind in kinds} for group, kinds in groups.items()}
    return Topology(name, dict.fromkeys(topics.values(), 4), taken)


async def subscribe(bus: Bus, topology: Topology, group: str, deliver: Any) -> None:
    """As a unit does it."""
    taken = topology.groups[group]
    await bus.subscribe(group, list(taken), sorted(set(taken.values())), deliver)


async def publish(bus: Bus, events: Sequence[Envelope], deadline: float = DEADLINE) -> None:
    """Publish as a relay does: in order, and again from the first that did not get through while the bus is away."""
    async with asyncio.timeout(deadline):
        pending = list(events)
        while pending:
            try:
                answers = await bus.publish(pending)
            except BusUnavailable:
                await asyncio.sleep(0.05)
                continue
            results = await asyncio.gather(*answers, return_exceptions=True)
            failed = [result for result in results if isinstance(result, BaseException)]
            if wrong := [error for error in failed if not isinstance(error, BusUnavailable)]:
                raise wrong[0]
            pending = [e for e, result in zip(pending, results, strict=True) if isinstance(result, BusUnavailable)]
            if pending:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def opened(kind: str, topology: Topology, *, private: bool = False) -> AsyncIterator[Buses]:
    buses = Buses(kind, topology, private=private)
    try:
        yield buses
    finally:
        await buses.close()


async def _consume(url: str, topology: dict[str, Any], group: str, hold: bool) -> None:
    def deliver(event: Envelope) -> asyncio.Future[None]:
        print(json.dumps([event.key, number(event)]), flush=True)
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not hold:
            ended.set_result(None)
        return ended

    bus = open_bus(url, Topology(**topology))
    await subscribe(bus, Topology(**topology), group, deliver)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_consume(**json.loads(sys.argv[1])))
