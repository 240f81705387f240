"""What is Kafka's own: topics, partitions, offsets, members that hang, brokers that hang, passwords."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from freehold.buses.kafka import KafkaBus
from freehold.buses.kafka.address import Address
from freehold.buses.kafka.client import OWN
from freehold.model.envelope import Envelope
from freehold.model.errors import BusUnavailable, ConfigurationError, Refused
from freehold.model.topology import Topology
from tests import servers
from tests.buses import DEADLINE, Buses, Group, event, number, opened, publish, some, subscribe, system

pytestmark = [
    pytest.mark.guarantee("G2"),
    pytest.mark.cell(bus="kafka"),
    pytest.mark.only("they are about what is Kafka's own"),
]

QUICK = {"session": 2.0}


@pytest.fixture
async def buses() -> AsyncIterator[Buses]:
    async with opened("kafka", system(payments=["order.placed"])) as made:
        yield made


@pytest.fixture
async def breakable() -> AsyncIterator[Buses]:
    """On a broker that the test may stop; it runs again in the end."""
    async with opened("kafka", system(payments=["order.placed"]), private=True) as made:
        try:
            yield made
        finally:
            made.server.resume()


class Broker:
    """The broker as an operator sees it."""

    def __init__(self, buses: Buses) -> None:
        self.address = Address.read(buses.url)
        self.settings = {**self.address.settings, **OWN}
        self.admin = AdminClient(self.settings)
        self.group = f"{self.address.prefix}{buses.topology.system}.payments"

    def topic(self, name: str) -> str:
        return self.address.prefix + name

    def partitions(self) -> dict[str, int]:
        topics = self.admin.list_topics(timeout=10).topics
        prefix = self.address.prefix
        return {name.removeprefix(prefix): len(t.partitions) for name, t in topics.items() if name.startswith(prefix)}

    def committed(self) -> dict[int, int]:
        """The group's offsets in the topic orders, by partition."""
        asked = ConsumerGroupTopicPartitions(self.group)
        (answer,) = self.admin.list_consumer_group_offsets([asked]).values()
        return {each.partition: each.offset for each in answer.result(10).topic_partitions if each.offset >= 0}

    def put(self, body: bytes, key: str, partition: int = -1) -> None:
        """What somebody else writes into the topic orders."""
        producer = Producer({**self.settings, "partitioner": "murmur2_random"})
        producer.produce(self.topic("orders"), body, key, partition=partition)
        assert producer.flush(10) == 0

    def set(self, name: str, value: str) -> None:
        """Change a setting of the topic orders."""
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, self.topic("orders"), incremental_configs=[entry])
        for answer in self.admin.incremental_alter_configs([resource]).values():
            answer.result(10)

    def read(self, topic: str, count: int) -> list[Message]:
        """All that a topic holds, once there are so many."""
        topic = self.topic(topic)
        consumer = Consumer({**self.settings, "group.id": "reader", "auto.offset.reset": "earliest"})
        partitions = self.admin.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        found: list[Message] = []
        deadline = time.monotonic() + DEADLINE
        while len(found) < count and time.monotonic() < deadline:
            found += [message for message in consumer.consume(count - len(found), 0.1) if message.error() is None]
        consumer.close()
        assert len(found) == count, f"{topic} holds {len(found)} messages"
        return found


async def until(condition: Callable[[], Any], deadline: float = DEADLINE) -> None:
    """Ask the broker until it holds: it tells nobody by itself."""
    async with asyncio.timeout(deadline):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.05)


# --- topics -----------------------------------------------------------------------------------------------------------


async def test_topics_have_the_declared_partitions_whoever_comes_first() -> None:
    numbers = {"orders": 3, "stock": 5}
    topology = Topology(system().system, numbers, {"payments": {"order.placed": "orders"}})
    async with opened("kafka", topology) as buses:
        await asyncio.gather(*(publish(buses.open(), [event(n)]) for n in range(6)))
        assert Broker(buses).partitions() == numbers


async def test_a_topic_with_another_number_of_partitions_is_an_error_that_says_what_to_do(buses: Buses) -> None:
    await publish(buses.open(), [event(1)])
    wider = Topology(buses.topology.system, {"orders": 6, "stock": 4}, buses.topology.groups)
    bus = buses.open(wider)
    says = "topic t.*orders: the broker has it with 4 partitions, the system declares 6.*Declare 4 partitions, or"
    with pytest.raises(ConfigurationError, match=says):
        await bus.publish([event(2)])
    with pytest.raises(ConfigurationError, match=says):
        await subscribe(bus, wider, "payments", Group())
    with pytest.raises(ConfigurationError, match=says):
        await bus.ping()
    assert Broker(buses).partitions()["orders"] == 4


async def test_a_key_is_where_other_clients_of_kafka_look_for_it() -> None:
    """The hashes are those that Kafka's own clients are tested with."""
    hashes = {
        "kafka": 0xD067CF64,
        "giberish123456789": 0x8F552B0C,
        "1234": 0x9FC97B14,
        "234": 0xE7C009CA,
        "": 0x106E08D9,
    }
    async with opened("kafka", Topology(system().system, {"orders": 7}, {})) as buses:
        await publish(buses.open(), [event(n, key) for n in range(3) for key in hashes])
        found = await asyncio.to_thread(Broker(buses).read, "orders", 15)
    places = {((m.key() or b"").decode(), m.partition()) for m in found}
    assert places == {(key, (value & 0x7FFFFFFF) % 7) for key, value in hashes.items()}


async def test_a_message_is_a_cloud_event_to_others(buses: Buses) -> None:
    sent = event(1, "schlüssel")
    await publish(buses.open(), [sent])
    (message,) = await asyncio.to_thread(Broker(buses).read, "orders", 1)
    assert message.headers() == [("content-type", b"application/cloudevents+json")]
    assert (message.key(), message.value()) == ("schlüssel".encode(), sent.to_wire())


# --- what is refused ----------------------------------------------------------------------------------------------------


async def test_later_events_of_a_refused_one_s_key_wait_for_it(buses: Buses) -> None:
    events = [event(0, "b"), event(1, "a", size=2_000_000), event(2, "a"), event(3, "b"), event(4, "a")]
    answers = await asyncio.gather(*await buses.open().publish(events), return_exceptions=True)
    assert [type(answer) for answer in answers] == [type(None), Refused, Refused, type(None), Refused]
    assert "2000" in str(answers[1])
    assert "an earlier event of its key" in str(answers[2])


async def test_an_event_for_no_topic_of_the_system_is_refused(buses: Buses) -> None:
    (answer,) = await asyncio.gather(*await buses.open().publish([event(1, topic="order")]), return_exceptions=True)
    assert isinstance(answer, Refused)
    assert "the system has no topic order" in str(answer)
    assert set(Broker(buses).partitions()) == {"orders", "stock"}, "a typing error made a topic"


async def test_a_limit_that_an_operator_lowers_is_noticed_and_keeps_the_order(buses: Buses) -> None:
    bus, payments = buses.open(), Group()
    await subscribe(bus, buses.topology, "payments", payments)
    await publish(bus, [event(0, "a")])
    Broker(buses).set("max.message.bytes", "20000")
    large = [event(1000, "large", size=30_000)]
    pending = [event(n, f"k{n % 5}", size=3000) for n in range(1, 300)]
    pending[150:150] = large
    refused: set[int] = set()
    async with asyncio.timeout(DEADLINE):
        while pending:
            answers = await asyncio.gather(*await bus.publish(pending), return_exceptions=True)
            refused |= {number(e) for e, a in zip(pending, answers, strict=True) if isinstance(a, Refused)}
            pending = [e for e, a in zip(pending, answers, strict=True) if isinstance(a, BusUnavailable)]
            await asyncio.sleep(0.02)
    assert refused == {1000}
    await payments.until(300)
    for key in range(5):
        assert payments.first(f"k{key}") == [n for n in range(1, 300) if n % 5 == key]


async def test_nothing_that_is_handed_over_behind_a_failure_overtakes_it(buses: Buses) -> None:
    """A batch that is larger than the topic takes by now fails; those behind it are small enough to pass."""
    bus, payments = buses.open(), Group()
    await subscribe(bus, buses.topology, "payments", payments)
    await publish(bus, [event(0)])
    Broker(buses).set("max.message.bytes", "20000")
    sent: list[Envelope] = []
    answers: list[asyncio.Future[None]] = []
    while not any(answer.done() and answer.exception() for answer in answers):  # until the failure is told
        if all(answer.done() for answer in answers):  # at first, and when they went in small batches
            numbers, size = range(len(sent) + 1, len(sent) + 40), 3000
        else:
            numbers, size = range(len(sent) + 1, len(sent) + 2), 0
        sent += [event(n, size=size) for n in numbers]
        answers += await bus.publish(sent[len(answers) :])
        await asyncio.sleep(0.0002)
    results = await asyncio.gather(*answers, return_exceptions=True)
    assert len(results) > 40
    await publish(bus, [e for e, result in zip(sent, results, strict=True) if result is not None])
    await payments.until(len(sent) + 1)
    assert payments.first() == list(range(len(sent) + 1))


async def test_what_the_broker_refuses_for_itself_is_told_with_its_reason(buses: Buses) -> None:
    bus = buses.open()
    await publish(bus, [event(0)])
    Broker(buses).set("message.timestamp.before.max.ms", "0")  # too old is what arrives a millisecond later
    answer: object = None
    async with asyncio.timeout(DEADLINE):
        while answer is None:
            (answer,) = await asyncio.gather(*await bus.publish([event(1)]), return_exceptions=True)
    assert isinstance(answer, Refused)
    assert "INVALID_TIMESTAMP" in str(answer)
    Broker(buses).set("message.timestamp.before.max.ms", "9223372036854775807")
    await publish(bus, [event(2)])


# --- consuming ----------------------------------------------------------------------------------------------------------


async def test_nothing_is_committed_at_or_above_the_lowest_unfinished_message() -> None:
    topology = Topology(system().system, {"orders": 1}, {"payments": {"order.placed": "orders"}})
    async with opened("kafka", topology) as buses:
        broker, payments = Broker(buses), Group(hold=lambda e: number(e) == 30)
        await subscribe(buses.open(), topology, "payments", payments)
        await publish(buses.open(), some(range(100)))
        await payments.until(100)
        await until(lambda: broker.committed() == {0: 30})
        await publish(buses.open(), some(range(100, 200)))
        await payments.until(200)
        await asyncio.sleep(1.5)  # a commit would follow after a second
        assert broker.committed() == {0: 30}
        payments.release()
        await until(lambda: broker.committed() == {0: 200})


async def test_a_handler_that_takes_longer_than_a_member_may_hang_keeps_its_partition(buses: Buses) -> None:
    payments = Group(hold=lambda e: e.key == "slow")
    await subscribe(buses.open(poll_interval=2.0, **QUICK), buses.topology, "payments", payments)
    bus = buses.open()
    await publish(bus, [event(0, "slow")])
    await payments.until(1)
    for step in range(1, 30):  # for more than twice that time; the others go on
        await publish(bus, [event(step, "quick")])
        await asyncio.sleep(0.15)
    payments.release()
    await payments.until(30)
    await publish(bus, [event(100, "slow")])
    await payments.until(31)
    assert payments.numbers("slow") == [0, 100]
    assert payments.numbers("quick") == list(range(1, 30))


async def test_full_partitions_wait_and_hold_up_neither_the_member_nor_the_others() -> None:
    topology = Topology(
        system().system, {"orders": 1, "stock": 1}, {"payments": {"order.placed": "orders", "taken": "stock"}}
    )
    async with opened("kafka", topology) as buses:
        payments = Group(hold=lambda e: e.type == "order.placed")
        bus = buses.open()
        await publish(bus, some(range(6000), keys=100))
        await subscribe(buses.open(poll_interval=2.0, **QUICK), topology, "payments", payments)
        await payments.until(500)
        for step in range(25):
            await publish(bus, [event(10_000 + step, "quick", "taken", "stock")])
            await payments.until(lambda: 10_000 + step in payments.numbers("quick"))  # noqa: B023
            await asyncio.sleep(0.1)
        assert payments.most_unfinished <= 501
        payments.release()
        await payments.until(6025)
        assert Counter(payments.numbers()) == Counter([*range(6000), *range(10_000, 10_025)])


@pytest.mark.parametrize(
    "body", [b"\xff no json", b'{"specversion": "1.0", "type": "order.placed"}', b"", b"[" * 100_000]
)
async def test_what_is_no_event_lies_where_an_operator_finds_it_and_the_partition_goes_on(
    body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    topology = Topology(system().system, {"orders": 1}, {"payments": {"order.placed": "orders"}})
    async with opened("kafka", topology) as buses:
        broker, payments, bus = Broker(buses), Group(), buses.open()
        await publish(bus, [event(0)])
        await asyncio.to_thread(broker.put, body, "theirs")
        await publish(bus, [event(1)])
        await subscribe(bus, topology, "payments", payments)
        await payments.until(2)
        assert payments.numbers() == [0, 1]
        await until(lambda: broker.committed() == {0: 3})
        (copy,) = await asyncio.to_thread(broker.read, "orders.unreadable", 1)
        assert (copy.key(), copy.value() or b"") == (b"theirs", body)
        told = {name: (text or b"").decode() for name, text in copy.headers() or []}  # type: ignore[union-attr]
        assert (told["topic"], told["partition"], told["offset"]) == (broker.topic("orders"), "0", "1")
        assert told["group"] == broker.group
        assert told["problem"]
        assert any("offset 1; a copy is in" in record.message for record in caplog.records)


async def test_a_deleted_value_is_no_event_either(buses: Buses) -> None:
    """A tombstone, as compacted topics have them."""
    broker, payments, bus = Broker(buses), Group(), buses.open()
    await publish(bus, [event(0)])
    await asyncio.to_thread(broker.put, None, "theirs")  # type: ignore[arg-type]
    await publish(bus, [event(1)])
    await subscribe(bus, buses.topology, "payments", payments)
    await payments.until(2)
    await until(lambda: sum(broker.committed().values()) == 3)
    await asyncio.to_thread(broker.read, "orders.unreadable", 1)


# --- members ------------------------------------------------------------------------------------------------------------


async def test_a_partition_changes_hands_only_when_what_is_at_work_is_finished(buses: Buses) -> None:
    first = Group(hold=lambda e: number(e) < 100)
    await subscribe(buses.open(**QUICK), buses.topology, "payments", first)
    bus = buses.open()
    await publish(bus, some(range(100), keys=20))
    await first.until(100)
    second = Group(beside=first)
    await subscribe(buses.open(**QUICK), buses.topology, "payments", second)
    for step in range(15):  # some heartbeats long: the rebalance has begun
        await publish(bus, some(range(100 + 20 * step, 120 + 20 * step), keys=20))
        await asyncio.sleep(0.2)
        assert second.deliveries == [], "it got a partition while the first was at work in it"
    first.release()
    await first.until(lambda: len(set(first.deliveries) | set(second.deliveries)) == 400)
    assert Counter([*first.numbers(), *second.numbers()]) == Counter(range(400))
    assert second.deliveries
    for key in range(20):
        assert [*first.numbers(f"k{key}"), *second.numbers(f"k{key}")] == list(range(key, 400, 20))


async def test_a_member_that_hung_commits_nothing_over_those_who_took_over(buses: Buses) -> None:
    broker, bus = Broker(buses), buses.open()
    consumer = await buses.consumer("payments", hold=True)
    await publish(bus, some(range(100), keys=10))
    await consumer.until(100)
    pid = consumer._process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        payments = Group()
        await subscribe(buses.open(), buses.topology, "payments", payments)
        await payments.until(100)
        await until(lambda: sum(broker.committed().values()) == 100)
    finally:
        os.kill(pid, signal.SIGCONT)
    for start in range(100, 700, 20):
        await publish(bus, some(range(start, start + 20), keys=10))
        await asyncio.sleep(0.1)
        assert sum(broker.committed().values()) >= 100
    await consumer.kill()
    await payments.until(700)
    for key in range(10):
        assert payments.first(f"k{key}") == list(range(key, 700, 10))


async def test_it_is_idle_when_nothing_happens(buses: Buses) -> None:
    payments, bus = Group(), buses.open()
    await subscribe(bus, buses.topology, "payments", payments)
    await publish(bus, [event(0)])
    await payments.until(1)
    await asyncio.sleep(1.2)  # for the commit
    cpu = time.process_time()
    await asyncio.sleep(2)
    assert time.process_time() - cpu < 0.1


# --- a broker that hangs --------------------------------------------------------------------------------------------------


async def test_a_broker_that_hangs_fails_what_is_published_and_what_it_wakes_up_with_is_in_order(
    breakable: Buses,
) -> None:
    """What was on the wire when it hung may still be written, and so may what was sent again meanwhile."""
    payments, bus = Group(), breakable.open(patience=1.0)
    await subscribe(breakable.open(), breakable.topology, "payments", payments)
    await publish(bus, some(range(200), keys=10))
    await payments.until(200)
    process = breakable.server._process
    assert process is not None
    sent = asyncio.create_task(_publish_in_steps(bus, 200, 5000))
    await payments.until(1000)
    process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        other = breakable.open(patience=1.0)
        with pytest.raises(BusUnavailable):
            await other.ping()
        assert time.monotonic() - began < 5
        answers = await asyncio.gather(*await bus.publish([event(9999, "alone")]), return_exceptions=True)
        assert [type(answer) for answer in answers] == [BusUnavailable]
        assert time.monotonic() - began < 8
    finally:
        process.send_signal(signal.SIGCONT)
    await sent
    await payments.until(lambda: set(range(5000)) <= set(payments.numbers()))
    for key in range(10):
        assert payments.first(f"k{key}") == list(range(key, 5000, 10))


async def _publish_in_steps(bus: Any, first: int, end: int) -> None:
    for start in range(first, end, 100):
        await publish(bus, some(range(start, start + 100), keys=10))


# --- passwords and TLS ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_a_user_over_tls(mechanism: str) -> None:
    server, topology = servers.kafka(), system(payments=["order.placed"])
    user = f"{server.USER}:{quote(server.PASSWORD, safe='')}"
    url = (
        f"kafka://{user}@127.0.0.1:{server.secure_port}/{topology.system}?tls=true&ca={server.ca}&mechanism={mechanism}"
    )
    bus, payments = KafkaBus(url, topology), Group()
    await subscribe(bus, topology, "payments", payments)
    await publish(bus, [event(1)])
    await payments.until(1)
    await bus.ping()
    await bus.close()


@pytest.mark.parametrize(
    ("query", "says"),
    [("?tls=true&ca={ca}", "Invalid username or password"), ("?tls=true", "certificate"), ("", "")],
    ids=["password", "authority", "no tls"],
)
async def test_who_may_not_in_is_told_why_and_no_password_is_written(
    query: str, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server, topology = servers.kafka(), system(payments=["order.placed"])
    bus = KafkaBus(f"kafka://shop:wr0ng-one@127.0.0.1:{server.secure_port}{query.format(ca=server.ca)}", topology)
    joining = asyncio.create_task(subscribe(bus, topology, "payments", Group()))
    with pytest.raises(BusUnavailable) as error:
        await bus.ping()
    await joining
    assert says in str(error.value)
    assert "wr0ng" not in f"{error.value!r} {bus!r} {caplog.text}"
    assert "will be joined when it is back" in caplog.text
    await bus.close()
