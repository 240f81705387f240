"""The queue under load: few statements, true positions, and never more passes than are free."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from freehold import Clock, Work, uuid7
from freehold.identity import KeyRing
from freehold.runtime.host import Host
from freehold.stores import open_store
from freehold.testing import ManualClock
from systems.booking_rush.booking.queue import JoinQueue, join_queue, leave, release_passes
from systems.booking_rush.booking.queue_line import QueueLines
from systems.booking_rush.booking.queue_tables import EventQueue, QueueEntry
from systems.booking_rush.booking.service import booking
from systems.booking_rush.booking.settings import BookingSettings
from systems.booking_rush.ticket.contract import EventInfo, GetEvent
from tests.databases import Databases, statements
from tests.systems.booking_rush.catalogue import HOME
from tests.systems.booking_rush.stage import system

EVENT = UUID(int=7)


class Ticket:
    """Answers for ticket, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self, query: Any, _: Any) -> EventInfo:
        assert isinstance(query, GetEvent)
        self.asked += 1
        return EventInfo(event_id=query.event_id, tenant_id=HOME, organizer_id=uuid4(), name="Rush", status="published")


class Processes:
    """Booking in any number of processes on one database."""

    def __init__(self, databases: Databases) -> None:
        self.databases = databases
        self.clock = ManualClock()
        self.ticket = Ticket()
        self.hosts: list[Host] = []

    async def start(self, **settings: Any) -> Work:
        given: dict[type[Any], Any] = {
            BookingSettings: BookingSettings(**settings), KeyRing: KeyRing.generate(), Clock: self.clock,
        }  # fmt: skip
        engine = await self.databases.open("booking")
        given |= open_store("memory://", system.name).shelf(booking.name).given()
        host = Host(system, booking, engine, clock=self.clock, caller=self.ticket, given=given)
        await host.create_tables()
        self.hosts.append(host)
        return host.work()


@pytest.fixture
async def processes(databases: Databases) -> AsyncIterator[Processes]:
    made = Processes(databases)
    yield made
    for host in made.hosts:
        await host.close()


async def join(work: Work, number: int) -> list[UUID]:
    """So many users, all at once."""
    users = [uuid4() for _ in range(number)]
    wishes = [JoinQueue(event_id=EVENT, user_id=user, tenant_id=HOME) for user in users]
    places = await asyncio.gather(*(work.call(join_queue, wish) for wish in wishes))
    in_order = sorted(zip(places, users, strict=True), key=lambda each: each[0].position)
    return [user for _, user in in_order]


async def counted(work: Work) -> tuple[int, int, int]:
    """The queue's own count, those who wait, and the passes that are out."""
    async with work.transaction(readonly=True) as tx:
        queue = await tx.get(EventQueue, EVENT)
        rows = await tx.execute(select(QueueEntry.status, func.count()).group_by(QueueEntry.status))
        by_status = dict(rows.all())
    assert queue is not None
    return queue.waiting, by_status.get("waiting", 0), by_status.get("released", 0)


async def test_ten_thousand_joins_cost_few_statements_and_one_question(processes: Processes) -> None:
    work = await processes.start()
    await join(work, 1)
    with statements() as sent:
        users = await join(work, 10_000)
    assert len(sent) <= 10_000 / 500 * 8
    assert processes.ticket.asked == 1
    assert len(set(users)) == 10_000
    assert await counted(work) == (10_001, 10_001, 0)

    lines = work.use(QueueLines)
    line = await lines.current(EVENT, work)
    assert [line.position(user)[0] for user in users] == list(range(2, 10_002))  # type: ignore[index]
    with statements() as sent:
        for user in users:
            assert (await lines.current(EVENT, work)).position(user) is not None
    assert len(sent) <= 4  # of ten thousand looks


async def test_two_processes_never_let_too_many_through(processes: Processes) -> None:
    works = [await processes.start(queue_max_concurrent_bookings=7) for _ in range(2)]
    await join(works[0], 40)
    for _ in range(4):
        released = await asyncio.gather(
            *(work.run(lambda tx: release_passes(EVENT, tx)) for work in works for _ in range(5))
        )
        assert sum(released) == 7
        waiting, also, out = await counted(works[0])
        assert (waiting, out) == (also, 7)
        processes.clock.advance(minutes=5)


async def test_every_process_tells_the_same_positions(processes: Processes) -> None:
    """Whoever joins, leaves, lapses or gets a pass, in whichever process."""
    works = [await processes.start(queue_max_concurrent_bookings=5) for _ in range(2)]
    chance = random.Random(12)
    for step in range(25):
        work = works[step % 2]
        users = await join(work, chance.randint(1, 4))
        if step % 3 == 0:
            await work.run(lambda tx: release_passes(EVENT, tx))
        if step % 4 == 1:
            await drop_out(works[0], chance)
        if step == 12:
            processes.clock.advance(minutes=20)
        processes.clock.advance(minutes=1)
        await assert_true_positions(works)
        assert users


async def drop_out(work: Work, chance: random.Random) -> None:
    """Somebody leaves."""
    from freehold import User
    from systems.booking_rush.booking.queue import hash_token

    async with work.transaction() as tx:
        waiting = list(await tx.scalars(select(QueueEntry).where(QueueEntry.status == "waiting")))
        if not waiting:
            return
        entry = chance.choice(waiting)
        entry.token_hash = hash_token("t")
    await work.run(lambda tx: leave(EVENT, User(entry.user_id, tenant_id=HOME), "t", tx))


async def assert_true_positions(works: list[Work]) -> None:
    async with works[0].transaction(readonly=True) as tx:
        order = select(QueueEntry.user_id).where(QueueEntry.status == "waiting").order_by(QueueEntry.number)
        truth = list(await tx.scalars(order))
    assert (await counted(works[0]))[0] == len(truth)
    for work in works:
        line = await work.use(QueueLines).current(EVENT, work, now=True)
        assert line.total == len(truth) == len(line.places)
        shown = [line.position(user) for user in truth]
        assert [each and each[0] for each in shown] == list(range(1, len(truth) + 1))


async def test_a_hundred_thousand_may_wait(tmp_path: Path) -> None:
    databases = Databases("sqlite", tmp_path, None)
    processes = Processes(databases)
    work = await processes.start()
    (first,) = await join(work, 1)
    now, users = processes.clock.now(), [uuid7() for _ in range(100_000)]
    async with work.transaction() as tx:
        queue = await tx.get(EventQueue, EVENT, lock=True)
        assert queue is not None
        queue.waiting += len(users)
        queue.last_number += len(users)
        rows = [
            {
                "id": user, "tenant_id": HOME, "event_id": EVENT, "user_id": user, "token_hash": "-",
                "status": "waiting", "number": number, "revision": 1, "joined_at": now, "expires_at": now.replace(year=2031),
            }
            for number, user in enumerate(users, 2)
        ]  # fmt: skip
        await (await tx.connection()).execute(QueueEntry.__table__.insert(), rows)
    lines = work.use(QueueLines)
    line = await lines.current(EVENT, work)
    shown = [line.position(user) for user in (first, users[0], users[-1])]
    assert [each and each[0] for each in shown] == [1, 2, 100_001]
    assert await work.run(lambda tx: release_passes(EVENT, tx)) == 500
    with statements() as sent:
        line = await lines.current(EVENT, work)
    assert line.position(users[-1])[0] == 99_501  # type: ignore[index]
    assert (
        len([statement for statement in sent if "SELECT" in statement]) == 2
    )  # the revision, and the 500 that changed
    await processes.hosts[0].close()
    await databases.close()
