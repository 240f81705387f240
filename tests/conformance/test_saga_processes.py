"""G7 over restarts, releases and several processes: the rows decide, and what was begun is finished."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from freehold.model.errors import DeclarationError
from freehold.model.saga import Step
from freehold.runtime import faultpoints
from freehold.runtime.work import Work
from tests.databases import Databases
from tests.saga_world import APPROVE, CHARGE, CONFIRM, RESERVE, Checkout, Denied, World, checkout

pytestmark = pytest.mark.guarantee("G7")

Make = Callable[..., Awaitable[World]]


@pytest.fixture
def make(databases: Databases) -> Make:
    async def make(*steps: Step) -> World:
        return await World(await databases.open("shop"), await databases.open("warehouse"), *steps).create()

    return make


async def test_a_new_process_goes_on_where_the_old_one_was(make: Make, databases: Databases) -> None:
    world = await make(RESERVE, CONFIRM, CHARGE)
    await world.place()
    for _ in range(3):  # the command, its answer, and then the turn of the local step
        world.shop = world.start_shop(world.saga, await databases.open("shop"))
        for envelope in await world.pending():
            await world.deliver(envelope)
    world.shop = world.start_shop(world.saga, await databases.open("shop"))
    await world.settle()
    assert await world.status() == "completed"
    assert await world.effects() == {"reserve": 1, "confirm": 1, "charge": 1}


async def test_a_timeout_survives_a_restart(make: Make, databases: Databases) -> None:
    world = await make(RESERVE)
    await world.place()
    world.shop = world.start_shop(world.saga, await databases.open("shop"))
    world.later(30)
    await world.settle()
    assert await world.status() == "compensated"


async def test_running_instances_finish_on_their_version(make: Make, databases: Databases) -> None:
    world = await make(RESERVE, CHARGE)
    await world.place()
    new = checkout(RESERVE, version=2, former=(world.saga,))
    world.shop = world.start_shop(new, await databases.open("shop"))
    await world.settle()
    assert await world.effects() == {"reserve": 1, "charge": 1}
    assert (await world.instance()).version == 1

    world.order_id = uuid4()
    await world.place()
    await world.settle()
    assert ((await world.instance()).version, await world.effects()) == (2, {"reserve": 1})


async def test_an_instance_of_a_forgotten_version_says_so(make: Make, databases: Databases) -> None:
    world = await make(RESERVE)
    await world.place()
    world.shop = world.start_shop(checkout(RESERVE, version=2), await databases.open("shop"))
    with pytest.raises(LookupError, match=r"version 1, which is not declared.*former"):
        await world.settle()


async def test_several_processes_do_what_is_due_once(make: Make, databases: Databases) -> None:
    world = await make(CONFIRM)
    orders = [uuid4() for _ in range(8)]
    for world.order_id in orders:
        await world.place()
    processes = [world.shop, *[world.start_shop(world.saga, await databases.open("shop")) for _ in range(2)]]
    await asyncio.gather(*(process.sagas.run_due() for process in processes))
    await world.settle()
    for world.order_id in orders:
        assert (await world.instance()).data["confirmations"] == 1
        assert await world.effects() == {"confirm": 1}


async def test_a_failure_counts_for_the_try_that_failed(
    make: Make, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make(CONFIRM)
    world.mood.confirm = [RuntimeError("here"), RuntimeError("there")]
    await world.place()
    other = world.start_shop(world.saga, await databases.open("shop"))
    record = world.shop.sagas._record_failure

    async def after_the_other(*failed: Any) -> None:
        """Between one process's rollback and its note of it, another one makes the same try."""
        await other.sagas.run_due()
        await record(*failed)

    monkeypatch.setattr(world.shop.sagas, "_record_failure", after_the_other)
    await world.shop.sagas.run_due()
    assert world.mood.calls["confirm"] == 2
    assert (await world.instance()).attempt == 2


async def test_everything_an_instance_says_is_on_the_trail_of_its_start(make: Make) -> None:
    world = await make(CONFIRM, CHARGE)
    start = world.event()
    trail = {"correlationid": "request-1", "tenantid": str(uuid4()), "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    await world.deliver(replace(start, headers=trail))
    await world.shop.sagas.run_due()
    (command,) = await world.sent(world.shop)
    assert command.headers == trail | {"causationid": str((await world.instance()).id)}


async def test_the_points_where_a_process_may_die_are_passed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[str] = []
    monkeypatch.setattr(faultpoints, "on_reach", lambda point: passed.append(point) if "saga" in point else None)
    world = await make(CONFIRM, APPROVE)
    await world.place()
    await world.settle()
    await world.deliver(world.event(Denied))
    await world.settle()
    assert passed == ["saga.before_step", "saga.after_step", "saga.before_compensation", "saga.after_compensation"]


async def test_an_instance_that_is_due_wakes_the_process(make: Make) -> None:
    world = await make(CONFIRM)
    await world.place()
    async with asyncio.timeout(5):
        await world.shop.sagas.wait(60)


async def takes_work(data: Checkout, work: Work) -> None: ...


def test_a_local_step_may_not_make_transactions_of_its_own(tmp_path: Any) -> None:
    from freehold.engines import open_engine

    engine = open_engine(f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(DeclarationError, match="takes a Work"):
        World(engine, engine, Step("bad", do=takes_work))
