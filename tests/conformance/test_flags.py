"""Feature flags: set while the service runs, the same in each of its processes, and on record."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from freehold import ConfigurationError, Context, Flag, Service, User
from freehold.runtime.host import Host
from freehold.testing import ManualClock
from tests.conformance.ledger import Base, process
from tests.databases import Databases, statements

pytestmark = pytest.mark.guarantee("flags")

FLAG = "ledger.new_pages"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def service() -> Service:
    return Service("ledger", tables=Base, flags=[Flag(FLAG, "Pages are numbered"), Flag("other", "Nothing")])


async def is_on(host: Host, user_id: UUID | None = None, name: str = FLAG) -> bool:
    context = Context(user=User(user_id)) if user_id else Context()
    async with host.work(context).transaction(readonly=True) as tx:
        return await tx.flag(name)


async def put(host: Host, setting: str, name: str = FLAG, user_id: UUID | None = None) -> None:
    context = Context(user=User(user_id)) if user_id else Context()
    await host.work(context).run(lambda tx: host.flags.set(name, setting, tx))


async def test_a_flag_is_on_for_whom_it_is_set(databases: Databases, clock: ManualClock) -> None:
    host = await process(databases, service(), clock)
    ann, bob = uuid4(), uuid4()
    assert not await is_on(host, ann), "off until somebody sets it"
    await put(host, f"user:{ann}")
    assert [await is_on(host, user) for user in (ann, bob, None)] == [True, False, False]
    await put(host, "on")
    assert [await is_on(host, user) for user in (ann, bob, None)] == [True, True, True]
    await put(host, "off")
    assert [await is_on(host, user) for user in (ann, bob, None)] == [False, False, False]
    assert not await is_on(host, ann, "other")


async def test_every_process_comes_to_the_same_answer_within_a_second(databases: Databases, clock: ManualClock) -> None:
    one, two = [await process(databases, service(), clock) for _ in range(2)]
    users = [uuid4() for _ in range(50)]
    assert not any([await is_on(two, user) for user in users])
    await put(one, "50%")
    chosen = [user for user in users if await is_on(one, user)]
    assert 0 < len(chosen) < 50, "at once where it was set"
    clock.advance(seconds=0.9)
    assert not any([await is_on(two, user) for user in users])
    clock.advance(seconds=0.1)
    assert [user for user in users if await is_on(two, user)] == chosen


async def test_flags_are_read_once_a_second_and_not_for_each_question(databases: Databases, clock: ManualClock) -> None:
    host = await process(databases, service(), clock)
    await is_on(host)
    with statements() as sent:
        for _ in range(5):
            assert not await is_on(host, uuid4())
            assert not await is_on(host, name="other")
    assert sent == [], "not even a transaction is opened"
    clock.advance(seconds=1)
    with statements() as sent:
        await is_on(host)
        await is_on(host, name="other")
    assert len([each for each in sent if "feature_flags" in each]) == 1


async def test_a_setting_that_is_rolled_back_is_none(databases: Databases, clock: ManualClock) -> None:
    host = await process(databases, service(), clock)
    with pytest.raises(RuntimeError, match="lost"):
        async with host.work().transaction() as tx:
            await host.flags.set(FLAG, "on", tx)
            raise RuntimeError("lost")
    clock.advance(seconds=1)
    assert not await is_on(host)


async def test_who_set_what_is_on_record(databases: Databases, clock: ManualClock) -> None:
    host, boss = await process(databases, service(), clock), uuid4()
    await put(host, "25%", user_id=boss)
    await put(host, f"user:{boss}", user_id=boss)
    audit = host.tables.audit
    async with host.engine.read() as connection:
        rows = (await connection.execute(select(audit).order_by(audit.c.id))).all()
    assert [(row.actor_id, row.action, row.resource, row.resource_id) for row in rows] == [
        (boss, "set", "feature_flag", FLAG)
    ] * 2
    assert [(row.before, row.after) for row in rows] == [
        ({"on": "off"}, {"on": "25%"}),
        ({"on": "25%"}, {"on": f"25% user:{boss}"}),
    ]
    async with host.work().transaction(readonly=True) as tx:
        now = await host.flags.all(tx)
    assert {name: str(rollout) for name, rollout in now.items()} == {FLAG: f"25% user:{boss}", "other": "off"}


async def test_what_is_not_declared_is_neither_read_nor_set(databases: Databases, clock: ManualClock) -> None:
    host = await process(databases, service(), clock)
    with pytest.raises(ConfigurationError, match=r"ledger declares none of this name\. It has: ledger\.new_pages"):
        await is_on(host, name="ledger.old_pages")
    with pytest.raises(ConfigurationError, match="declares none of this name"):
        await put(host, "on", "ledger.old_pages")
    with pytest.raises(ConfigurationError, match="Give on, off"):
        await put(host, "half")
    bare = await process(databases, Service("ledger", tables=Base), clock)
    with pytest.raises(ConfigurationError, match=r"Add it to Service\(flags=\[…\]\)"):
        await is_on(bare)
