"""What is RabbitMQ's own: queues that somebody deletes or declares otherwise, messages of strangers, and secrets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiormq
import pytest
from aiormq.abc import AbstractChannel

from freehold import Service, System, Tx, uuid7
from freehold.buses.factory import open_bus
from freehold.buses.rabbitmq.layout import Layout
from freehold.deploy.config import Deployment
from freehold.deploy.process import Process
from freehold.model.errors import BusUnavailable, ConfigurationError
from freehold.model.topology import Topology
from tests.buses import DEADLINE, Buses, Group, event, number, opened, publish, some, subscribe, system
from tests.conformance.shop import Placed

pytestmark = [
    pytest.mark.guarantee("G2"),
    pytest.mark.cell(bus="rabbitmq"),
    pytest.mark.only("they are about what is RabbitMQ's own"),
]


@pytest.fixture
async def buses() -> AsyncIterator[Buses]:
    async with opened("rabbitmq", system(payments=["order.placed"], statistics=["order.placed"])) as made:
        yield made


@asynccontextmanager
async def channel(buses: Buses) -> AsyncIterator[AbstractChannel]:
    """The broker as an operator has it."""
    async with aiormq.connect(buses.url) as connection:
        yield await connection.channel()


async def test_everything_is_declared_for_everybody_before_the_first_event_is_published(buses: Buses) -> None:
    await publish(buses.open(), some(range(40), keys=10))
    layout = Layout(buses.topology)
    async with channel(buses) as operator:
        for group in ("payments", "statistics"):
            counts = [(await operator.queue_declare(q, passive=True)).message_count for q in layout.queues(group)]
            assert sum(count or 0 for count in counts) == 40
            assert len(counts) == 4


@pytest.mark.parametrize(
    "broken",
    [
        b"", b"\xff\xfe", b"[]", b"{}", b'{"id": 1}',
        event(9).to_wire().replace(b'"k"', b"7"), event(9).to_wire().replace(b"+00:00", b""),
    ],
)  # fmt: skip
async def test_a_message_that_is_no_event_is_kept_for_operators_and_the_queue_goes_on(
    buses: Buses, broken: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    payments, layout = Group(), Layout(buses.topology)
    await subscribe(buses.open(), buses.topology, "payments", payments)
    await publish(buses.open(), [event(0)])
    await payments.until(1)
    key = layout.routing_key(event(0))
    async with channel(buses) as operator:
        headers = aiormq.spec.Basic.Properties(headers={"topic": "orders"})
        await operator.basic_publish(broken, exchange=layout.entrance("payments"), routing_key=key, properties=headers)
        await publish(buses.open(), [event(1)])
        await payments.until(2)
        kept = await get(operator, layout.broken)
        assert kept.body == broken
        assert (kept.header.properties.headers or {})["queue"] in layout.queues("payments")
        assert "CloudEvents" in str((kept.header.properties.headers or {})["error"])
    assert "cannot be read and is kept in" in caplog.text
    assert payments.numbers() == [0, 1]


async def get(operator: AbstractChannel, queue: str) -> aiormq.abc.DeliveredMessage:
    async with asyncio.timeout(DEADLINE):
        while not isinstance((found := await operator.basic_get(queue, no_ack=True)).delivery, aiormq.spec.Basic.GetOk):
            await asyncio.sleep(0.01)
    return found


async def test_queues_that_somebody_deletes_are_made_anew_and_events_wait_for_them_in_order(buses: Buses) -> None:
    bus, layout = buses.open(), Layout(buses.topology)
    await publish(bus, [event(0)])
    async with channel(buses) as operator:
        for group in ("payments", "statistics"):
            for queue in layout.queues(group):
                await operator.queue_delete(queue)
    events = some(range(1, 3001), keys=1)  # many: some are on the way while the queues are made
    answers = await asyncio.gather(*await bus.publish(events), return_exceptions=True)
    assert all(isinstance(answer, BusUnavailable) for answer in answers)
    payments = Group()
    await subscribe(buses.open(), buses.topology, "payments", payments)
    await publish(bus, events)
    await payments.until(3000)
    assert payments.first() == list(range(1, 3001))


async def test_a_consumer_whose_queue_is_deleted_comes_back(buses: Buses) -> None:
    payments, layout = Group(), Layout(buses.topology)
    await subscribe(buses.open(), buses.topology, "payments", payments)
    await publish(buses.open(), some(range(40), keys=10))
    await payments.until(40)
    async with channel(buses) as operator:
        for queue in layout.queues("payments"):
            await operator.queue_delete(queue)
        async with asyncio.timeout(DEADLINE):
            for queue in layout.queues("payments"):
                while not await exists(buses, queue):
                    await asyncio.sleep(0.05)
    # A queue may be there a moment before it is bound; whoever publishes for the first time sees to both before.
    await publish(buses.open(), some(range(40, 80), keys=10))
    await payments.until(80)


async def exists(buses: Buses, queue: str) -> bool:
    async with channel(buses) as operator:
        try:
            await operator.queue_declare(queue, passive=True)
        except aiormq.ChannelNotFoundEntity:
            return False
    return True


async def test_a_queue_that_is_there_with_other_properties_is_named(
    buses: Buses, caplog: pytest.LogCaptureFixture
) -> None:
    queue = Layout(buses.topology).queues("statistics")[2]
    async with channel(buses) as operator:
        await operator.queue_declare(queue, durable=True)
    with pytest.raises(BusUnavailable, match=queue):
        await buses.open().ping()
    async with channel(buses) as operator:
        await operator.queue_delete(queue)


async def test_an_event_that_fails_again_and_again_stays_where_it_is(
    buses: Buses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newer brokers drop what is given back twenty times, and put it last when they may not."""
    monkeypatch.setattr("freehold.buses.rabbitmq.consumer.WAITS", (0.01, 0.02))
    payments = Group(fail=lambda e: RuntimeError("no") if number(e) == 1 and payments.numbers().count(1) < 40 else None)
    await publish(buses.open(), some(range(5), keys=1))
    bus = buses.open()
    await subscribe(bus, buses.topology, "payments", payments)
    await payments.until(lambda: payments.numbers().count(1) == 40 and payments.numbers()[-1] == 4)
    assert payments.first() == [0, 1, 2, 3, 4]
    assert payments.numbers()[-4:] == [1, 2, 3, 4]
    connection = await bus._link.connection()  # type: ignore[attr-defined]
    assert max(connection.channels) < 10, "channel numbers grow, and a broker has 2047"


async def test_closing_ends_whatever_it_is_doing(buses: Buses, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiormq makes other errors of some cancellations, and a task that takes them for a lost channel goes on for ever."""
    monkeypatch.setattr("freehold.buses.rabbitmq.consumer.BALANCE", 0.001)
    await publish(buses.open(), [event(0)])
    for turn in range(60):
        bus = buses.open()
        await subscribe(bus, buses.topology, "payments", Group())
        await bus.ping()
        await asyncio.sleep(turn / 1000)
        async with asyncio.timeout(10):
            await bus.close()


async def test_types_that_a_group_no_longer_takes_count_as_done(buses: Buses) -> None:
    await publish(buses.open(), [event(0), event(1)])
    payments = Group()
    bus = buses.open()
    await bus.subscribe("payments", ["order.paid"], ["orders"], payments)
    queue = Layout(buses.topology).queues("payments")
    async with channel(buses) as operator, asyncio.timeout(DEADLINE):
        while any([(await operator.queue_declare(name, passive=True)).message_count for name in queue]):
            await asyncio.sleep(0.05)
    await bus.close()
    assert payments.deliveries == []
    again = Group()
    await subscribe(buses.open(), buses.topology, "payments", again)
    await publish(buses.open(), [event(2)])
    await again.until(1)
    assert again.numbers() == [2]


async def test_what_is_delivered_again_while_it_is_still_at_work_is_not_handled_twice(buses: Buses) -> None:
    payments = Group(hold=lambda e: True)
    bus = buses.open()
    await subscribe(bus, buses.topology, "payments", payments)
    await publish(buses.open(), some(range(20), keys=5))
    await payments.until(20)
    connection = await bus._link.connection()  # type: ignore[attr-defined]
    await connection.close()
    await publish(buses.open(), some(range(20, 40), keys=5))
    await payments.until(40)
    assert len(payments.deliveries) == 40
    payments.release()
    await bus.close()
    again = Group()
    await subscribe(buses.open(), buses.topology, "payments", again)
    await publish(buses.open(), [event(99)])
    await again.until(1)
    assert again.numbers() == [99]


@pytest.mark.parametrize("url", ["amqp://user:se%20cret@127.0.0.1:1/", "amqp://user:se%20cret@[::1/", "amqp:///"])
async def test_the_password_appears_nowhere(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = ""
    try:
        bus = open_bus(url, system(payments=["order.placed"]))
        await bus.subscribe("payments", ["order.placed"], ["orders"], Group())
        try:
            await bus.ping()
        except BusUnavailable as error:
            told = str(error)
        await bus.close()
    except ConfigurationError as error:
        told = str(error)
    assert told
    assert "se%20cret" not in told + caplog.text
    assert "se cret" not in told + caplog.text


async def test_a_wrong_password_is_told_without_it(buses: Buses, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bus = open_bus(buses.url.replace("freehold:", "freehold:wr0ng"), buses.topology)
    with pytest.raises(BusUnavailable, match="ACCESS_REFUSED"):
        await bus.ping()
    await bus.close()
    assert "wr0ng" not in caplog.text


async def test_a_group_that_the_system_does_not_have_is_refused(buses: Buses) -> None:
    with pytest.raises(ConfigurationError, match="group nobody"):
        await buses.open().subscribe("nobody", ["order.placed"], ["orders"], Group())


def test_the_hash_of_a_key_does_not_change_between_versions() -> None:
    """Another one would mix the order of keys whose events are still in their queues."""
    layout = Layout(Topology("shop", {"orders": 8}, {}))
    keys = ["", "k", "schlüssel", "0199b2f0-7d8c-7a3e-9f4b-2f1c8d5e6a70"]
    assert [layout.routing_key(event(1, key)) for key in keys] == [
        "0.order.placed", "5.order.placed", "6.order.placed", "6.order.placed",
    ]  # fmt: skip


async def test_a_queue_whose_events_take_long_goes_on_though_another_process_should_have_it(
    buses: Buses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freehold.buses.rabbitmq.consumer.BALANCE", 0.05)
    monkeypatch.setattr("freehold.buses.rabbitmq.consumer.SETTLE", 0.2)
    slow = Group(hold=lambda e: e.key.startswith("slow"))
    await subscribe(buses.open(), buses.topology, "payments", slow)
    bus, keys = buses.open(), [f"slow{number}" for number in range(20)]  # in every queue
    await publish(bus, [event(0, key) for key in keys])
    await slow.until(20)
    other = Group(beside=slow)
    await subscribe(buses.open(), buses.topology, "payments", other)
    began = asyncio.get_running_loop().time()
    for first in range(0, 400, 40):
        await publish(bus, some(range(first, first + 40), keys=40))
        await slow.until(lambda first=first: len(set(slow.deliveries) - {(key, 0) for key in keys}) == first + 40)  # type: ignore[misc]
    assert asyncio.get_running_loop().time() - began < 5
    assert other.deliveries == []
    slow.release()


async def test_a_whole_system_runs_over_it(tmp_path: Path) -> None:
    orders, payments = Service("orders", publishes=[Placed]), Service("payments")
    seen, all_seen = list[int](), asyncio.Event()

    @payments.on(Placed)
    async def pay(placed: Placed, tx: Tx) -> None:
        seen.append(placed.number)
        if len(seen) == 10:
            all_seen.set()

    whole = System(system().system, services=[orders, payments])
    topology = Topology.of(whole, partitions=2)
    async with opened("rabbitmq", topology) as buses:
        deployment = Deployment(bus=buses.url, partitions=2, data=tmp_path)
        assert buses.url not in repr(deployment)
        async with Process(whole, deployment) as process:
            await process.bus.ping()
            async with process.units["orders"].host.work().transaction() as tx:
                tx.publish(*(Placed(order_id=uuid7(), number=number) for number in range(10)))
            async with asyncio.timeout(DEADLINE):
                await all_seen.wait()
    assert sorted(seen) == list(range(10))
