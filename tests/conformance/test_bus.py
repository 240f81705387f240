"""What every bus promises, on the bus alone: all of it to every group, per key in order, and nothing lost.

Which bus promises what is declared in `tests.buses.FEATURES`; a test runs on every bus that promises what it is about.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from freehold.model.errors import BusUnavailable, Refused
from freehold.model.ports import Bus
from tests.buses import FEATURES, Buses, Group, event, having, opened, publish, some, subscribe, system
from tests.matrix import on_buses

pytestmark = pytest.mark.guarantee("G2")


@pytest.fixture
async def buses(bus_kind: str) -> AsyncIterator[Buses]:
    """Two groups take orders, one takes only stock."""
    topology = system(payments=["order.placed", "order.paid"], statistics=["order.placed"], stock=["stock.taken"])
    async with opened(bus_kind, topology) as made:
        yield made


@pytest.fixture
async def breakable(bus_kind: str) -> AsyncIterator[Buses]:
    """One group, on a broker that the test may stop and kill; it runs again in the end."""
    async with opened(bus_kind, system(payments=["order.placed"]), private=True) as made:
        try:
            yield made
        finally:
            made.server.resume()


async def joined(buses: Buses, name: str, group: Group | None = None) -> Group:
    """A process of the group that has subscribed."""
    group = group or Group()
    await subscribe(buses.open(), buses.topology, name, group)
    return group


KEEPS = on_buses(*having("keeps"), why="only brokers keep events for groups that come later")
SHARES = on_buses(*having("shares"), why="only with a broker a group may have several processes")
RESTARTS = on_buses(*having("restarts"), why="only a broker can stop and start while a process runs")
LIMITS = on_buses(*having("limits"), why="only a broker limits the size of an event")


# --- all buses ------------------------------------------------------------------------------------------------------------


async def test_everything_reaches_every_group_that_takes_it_once(buses: Buses) -> None:
    payments, statistics, stock = [await joined(buses, name) for name in ("payments", "statistics", "stock")]
    placed = some(range(100), keys=7)
    paid = [event(number, f"k{number % 7}", "order.paid") for number in range(100, 150)]
    taken = [event(number, f"k{number}", "stock.taken", "stock") for number in range(200, 220)]
    await publish(buses.open(), [*placed, *paid, *taken])
    await asyncio.gather(payments.until(150), statistics.until(100), stock.until(20))
    assert Counter(payments.numbers()) == Counter(range(150))
    assert Counter(statistics.numbers()) == Counter(range(100))
    assert Counter(stock.numbers()) == Counter(range(200, 220))


async def test_an_event_arrives_as_it_was_published(buses: Buses) -> None:
    got: list[object] = []
    group = Group(hold=lambda e: bool(got.append(e)))
    await joined(buses, "payments", group)
    sent = replace(event(1, "schlüssel/ü 1"), headers={"correlationid": "c", "undoes": "x/y"}, version=3)
    await publish(buses.open(), [sent])
    await group.until(1)
    (received,) = got
    assert received == replace(sent, seq=0)


async def test_an_event_that_nobody_takes_is_published_to_nobody(buses: Buses) -> None:
    payments = await joined(buses, "payments")
    await publish(buses.open(), [event(1, kind="order.forgotten"), event(2)])
    await payments.until(1)
    assert payments.numbers() == [2]


@pytest.mark.guarantee("G4")
async def test_events_of_a_key_keep_their_order_and_keys_run_side_by_side(buses: Buses) -> None:
    payments = await joined(buses, "payments", Group(pause=0.001))
    events = some(range(1000), keys=20)
    await publish(buses.open(), events)
    await payments.until(1000)
    for key in range(20):
        assert payments.numbers(f"k{key}") == list(range(key, 1000, 20))
    assert payments.most_unfinished > 20


@pytest.mark.guarantee("G4")
async def test_a_slow_key_does_not_hold_up_the_others(buses: Buses) -> None:
    payments = await joined(buses, "payments", Group(hold=lambda e: e.key == "slow"))
    answers = await buses.open().publish([event(0, "slow"), *(event(n, f"k{n}") for n in range(1, 101))])
    await payments.until(101)
    payments.release()
    async with asyncio.timeout(10):
        await asyncio.gather(*answers)


async def test_it_answers_a_ping(buses: Buses) -> None:
    await buses.open().ping()


# --- brokers that keep events -----------------------------------------------------------------------------------------------


@KEEPS
async def test_a_group_that_comes_later_gets_what_was_published_before(buses: Buses) -> None:
    await publish(buses.open(), some(range(50), keys=5))
    payments = await joined(buses, "payments")
    statistics = await joined(buses, "statistics")
    await asyncio.gather(payments.until(50), statistics.until(50))
    for key in range(5):
        assert payments.numbers(f"k{key}") == statistics.numbers(f"k{key}") == list(range(key, 50, 5))


@KEEPS
async def test_what_a_group_has_finished_does_not_come_again(buses: Buses) -> None:
    bus = buses.open()
    first = Group()
    await subscribe(bus, buses.topology, "payments", first)
    await publish(buses.open(), some(range(20)))
    await first.until(20)
    await bus.close()
    second = await joined(buses, "payments")
    await publish(buses.open(), [event(20, "k1")])
    await second.until(1)
    assert second.numbers() == [20]


@KEEPS
async def test_what_a_killed_process_had_not_finished_comes_again_in_order(buses: Buses) -> None:
    await publish(buses.open(), some(range(60), keys=3))
    consumer = await buses.consumer("payments", hold=True)
    await consumer.until(60)
    await consumer.kill()
    payments = await joined(buses, "payments")
    await payments.until(60)
    for key in range(3):
        assert payments.numbers(f"k{key}") == list(range(key, 60, 3))


@pytest.mark.guarantee("G5")
@KEEPS
@pytest.mark.parametrize("error", [RuntimeError("neither handled nor parked"), asyncio.CancelledError()], ids=repr)
async def test_a_delivery_that_fails_comes_again_in_order_and_not_in_haste(buses: Buses, error: BaseException) -> None:
    failures = {3: 4}

    def fail(delivered: object) -> BaseException | None:
        from tests.buses import number

        left = failures.get(number(delivered), 0)  # type: ignore[arg-type]
        failures[number(delivered)] = left - 1  # type: ignore[arg-type]
        return error if left > 0 else None

    payments = await joined(buses, "payments", Group(fail=fail))
    began = time.monotonic()
    await publish(buses.open(), [*(event(number) for number in range(6)), *(event(n, f"k{n}") for n in range(10, 40))])
    await payments.until(lambda: payments.numbers().count(3) == 5 and len(set(payments.numbers())) == 36)
    assert time.monotonic() - began > 0.5, "four failures followed each other without a pause"
    await payments.until(lambda: payments.numbers("k")[-3:] == [3, 4, 5])
    assert payments.first("k") == list(range(6))


@KEEPS
async def test_unfinished_deliveries_are_bounded(buses: Buses) -> None:
    await publish(buses.open(), some(range(5000), keys=50))
    payments = await joined(buses, "payments", Group(hold=lambda e: True))
    await payments.until(500)
    await asyncio.sleep(0.5)  # for more to come, if there were no bound
    assert payments.most_unfinished <= 2000
    payments.release()
    await payments.until(5000)
    assert Counter(payments.numbers()) == Counter(range(5000))


@KEEPS
async def test_closing_gives_back_what_is_unfinished_and_keeps_what_is_done(buses: Buses) -> None:
    held = Group(hold=lambda e: e.key == "slow")
    bus = buses.open(drain=0.2)
    await subscribe(bus, buses.topology, "payments", held)
    await publish(buses.open(), [event(0, "slow"), event(1, "slow"), *(event(n, f"k{n}") for n in range(2, 30))])
    await held.until(30)
    await bus.close()
    payments = await joined(buses, "payments")
    await payments.until(2)
    await publish(buses.open(), [event(30, "slow")])
    await payments.until(lambda: 30 in payments.numbers())
    assert payments.numbers("slow") == [0, 1, 30]
    assert FEATURES[buses.kind].rereads or payments.numbers() == [0, 1, 30]


@KEEPS
async def test_closing_waits_for_what_is_at_work(buses: Buses) -> None:
    slow = Group(pause=0.5)
    bus = buses.open()
    await subscribe(bus, buses.topology, "payments", slow)
    await publish(buses.open(), some(range(10)))
    await slow.until(10)
    await bus.close()
    assert not slow.unfinished
    payments = await joined(buses, "payments")
    await publish(buses.open(), [event(10, "k1")])
    await payments.until(1)
    assert payments.numbers() == [10]


@KEEPS
async def test_a_closed_bus_takes_nothing(buses: Buses) -> None:
    bus = buses.open()
    await publish(bus, [event(1)])
    await bus.close()
    with pytest.raises(BusUnavailable):
        await asyncio.gather(*await bus.publish([event(2)]))
    with pytest.raises(BusUnavailable):
        await bus.ping()


@KEEPS
async def test_twenty_thousand_events_with_many_unanswered(buses: Buses) -> None:
    payments = await joined(buses, "payments")
    bus = buses.open()
    await publish(bus, [event(0)])
    began = time.monotonic()
    before: list[asyncio.Future[None]] = []
    for first in range(1, 20_001, 500):
        answers = await bus.publish(some(range(first, first + 500), keys=97))
        await asyncio.gather(*before)
        before = list(answers)
    await asyncio.gather(*before)
    published = time.monotonic() - began
    await payments.until(20_001)
    took = time.monotonic() - began
    print(f"\n{buses.kind}: {20_000 / published:,.0f} events/s published, {20_000 / took:,.0f} delivered")
    assert Counter(payments.numbers()) == Counter(range(20_001))
    for key in range(97):
        numbers = payments.numbers(f"k{key}")
        assert numbers == sorted(numbers)


@pytest.mark.guarantee("G5")
@LIMITS
async def test_an_event_that_is_too_large_is_refused_and_the_others_pass(buses: Buses) -> None:
    payments = await joined(buses, "payments")
    bus = buses.open()
    for number in (1, 10):
        events = [event(number, "a"), event(number + 1, "b", size=5_000_000), event(number + 2, "c")]
        pending, refused = events, []
        async with asyncio.timeout(30):
            while pending:
                results = await asyncio.gather(*await bus.publish(pending), return_exceptions=True)
                refused += [e for e, r in zip(pending, results, strict=True) if isinstance(r, Refused)]
                pending = [e for e, r in zip(pending, results, strict=True) if isinstance(r, BusUnavailable)]
                await asyncio.sleep(0.05)
        assert refused == [events[1]]
    await payments.until(4)
    assert set(payments.numbers()) == {1, 3, 10, 12}


# --- several processes of a group -------------------------------------------------------------------------------------------


def apart(*groups: Group) -> None:
    """Fails when two processes ever had a key at once; called at each delivery."""
    for key in set(groups[0].unfinished) & set(groups[1].unfinished):
        pytest.fail(f"two processes had {key} at once")


@pytest.mark.guarantee("G4")
@SHARES
async def test_two_processes_share_the_work_and_never_a_key(buses: Buses) -> None:
    first = Group(pause=0.002)
    second = Group(pause=0.002, beside=first)
    bus, sent = buses.open(), 0

    async def publish_more() -> None:
        nonlocal sent
        await publish(bus, some(range(sent, sent + 400), keys=40))
        sent += 400

    await joined(buses, "payments", first)
    await publish_more()
    await first.until(400)
    await joined(buses, "payments", second)
    async with asyncio.timeout(60):
        while len(second.deliveries) < 400:
            await publish_more()
            apart(first, second)
    await first.until(lambda: len(set(first.deliveries) | set(second.deliveries)) == sent)
    assert Counter([*first.numbers(), *second.numbers()]) == Counter(range(sent))
    before = len(first.deliveries)
    for _ in range(3):  # and both go on to have some
        await publish_more()
    await first.until(lambda: len(first.deliveries) > before + 100)
    for key in range(40):
        for group in (first, second):
            assert group.numbers(f"k{key}") == sorted(group.numbers(f"k{key}"))


@SHARES
async def test_another_process_takes_over_when_one_is_killed(buses: Buses) -> None:
    consumer = await buses.consumer("payments", hold=True)
    bus = buses.open()
    await publish(bus, some(range(100), keys=10))
    await consumer.until(100)
    payments = await joined(buses, "payments")
    await consumer.kill()
    await payments.until(100, deadline=30)
    await publish(bus, some(range(100, 200), keys=10))
    await payments.until(200)
    for key in range(10):
        assert payments.numbers(f"k{key}") == list(range(key, 200, 10))


@SHARES
async def test_another_process_takes_over_when_one_leaves(buses: Buses) -> None:
    leaving = buses.open()
    first = Group(pause=0.01)
    await subscribe(leaving, buses.topology, "payments", first)
    second = await joined(buses, "payments", Group(beside=first))
    bus = buses.open()
    for start in range(0, 1000, 100):
        await publish(bus, some(range(start, start + 100), keys=10))
        if start == 500:
            await leaving.close()
    await second.until(lambda: len(set(first.deliveries) | set(second.deliveries)) == 1000)
    if not FEATURES[buses.kind].rereads:
        assert Counter([*first.numbers(), *second.numbers()]) == Counter(range(1000))
    for key in range(10):
        both = [*first.numbers(f"k{key}"), *second.numbers(f"k{key}")]
        assert list(dict.fromkeys(both)) == list(range(key, 1000, 10))


# --- brokers that stop ------------------------------------------------------------------------------------------------------


@RESTARTS
@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_nothing_is_lost_when_the_broker_stops_in_the_middle(breakable: Buses, how: str) -> None:
    payments = await joined(breakable, "payments", Group(pause=0.001))
    bus = breakable.open()
    await publish(bus, some(range(500), keys=11))

    async def go_on() -> None:
        for start in range(500, 8000, 500):
            await publish(bus, some(range(start, start + 500), keys=11))

    await breakable.broker.settle()
    going = asyncio.create_task(go_on())
    await payments.until(1500)
    await asyncio.to_thread(breakable.server.pause if how == "stopped" else breakable.server.kill)
    await asyncio.sleep(0.5)  # while it is away
    await asyncio.to_thread(breakable.server.resume)
    await going
    await payments.until(8000)
    for key in range(11):
        assert payments.first(f"k{key}") == list(range(key, 8000, 11))


@RESTARTS
async def test_a_broker_that_is_away_is_asked_now_and_then_and_answers_fail_at_once(breakable: Buses) -> None:
    payments = await joined(breakable, "payments")
    bus = breakable.open()
    await publish(bus, [event(0)])
    await payments.until(1)
    await breakable.broker.settle()
    await asyncio.to_thread(breakable.server.kill)
    attempts, stop = await listen(breakable.server.port)
    try:
        began = time.monotonic()
        await unavailable(bus)
        assert time.monotonic() - began < 2
        cpu = time.process_time()
        await asyncio.sleep(3)  # a busy loop would make hundreds of attempts
        assert time.process_time() - cpu < 1
        assert 1 <= len(attempts) <= 2 * 3 * 10, "two processes asked too often"
    finally:
        await stop()
    await asyncio.to_thread(breakable.server.resume)
    await publish(bus, [event(1)])
    await payments.until(2)


async def unavailable(bus: Bus) -> None:
    """Until the bus has noticed."""
    async with asyncio.timeout(5):
        while True:
            try:
                answers = await bus.publish([event(9)])
                (answer,) = await asyncio.gather(*answers, return_exceptions=True)
            except BusUnavailable:
                return
            if isinstance(answer, BusUnavailable):
                return


async def listen(port: int):  # type: ignore[no-untyped-def]
    """Count who knocks at a port, and close the door on them."""
    knocks: list[float] = []

    async def knocked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        knocks.append(time.monotonic())
        writer.close()

    server = await asyncio.start_server(knocked, "127.0.0.1", port)

    async def stop() -> None:
        server.close()
        await server.wait_closed()

    return knocks, stop


@RESTARTS
async def test_a_process_that_starts_while_the_broker_is_away_works_once_it_is_there(breakable: Buses) -> None:
    bus = breakable.open()
    await publish(bus, [event(0)])
    await asyncio.to_thread(breakable.server.pause)
    late = breakable.open()
    payments = Group()
    subscribing = asyncio.create_task(subscribe(late, breakable.topology, "payments", payments))
    with pytest.raises(BusUnavailable):
        await late.ping()
    await asyncio.to_thread(breakable.server.resume)
    async with asyncio.timeout(30):
        await subscribing
    await publish(bus, [event(1)])
    await payments.until(2)
    assert payments.first() == [0, 1]
