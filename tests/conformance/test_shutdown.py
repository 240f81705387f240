"""Starting and stopping: what fails half way leaves nothing open, what stops lets others go on at once."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from freehold import Problem, Service, System, Tx
from freehold.deploy.config import Deployment, ServiceDeployment
from freehold.deploy.process import Process
from freehold.deploy.secrets import open_secret
from freehold.model.errors import ConfigurationError
from freehold.model.topology import Topology
from freehold.runtime.host import Host
from freehold.runtime.transaction import MisuseError
from tests.buses import opened, system
from tests.conformance.shop import DEADLINE, OrdersBase, PaymentsBase, Placed, Seen, open_shop, placed
from tests.databases import Databases
from tests.matrix import on_engines

pytestmark = pytest.mark.guarantee("G2")


def shop_system(gate: asyncio.Event | None = None, name: str = "shop") -> System:
    orders = Service("orders", tables=OrdersBase, publishes=[Placed])
    payments = Service("payments", tables=PaymentsBase)

    @payments.on(Placed)
    async def pay(event: Placed, tx: Tx) -> None:
        await tx.execute(insert(Seen).values(handler="pay", key=event.order_id, number=event.number))
        if gate is not None:
            await gate.wait()

    return System(name, [orders, payments])


async def deployed(databases: Databases, folder: Path, bus: str = "local://") -> Deployment:
    urls = {name: ServiceDeployment(database=await databases.url(name)) for name in ("orders", "payments")}
    return Deployment(data=folder, services=urls, bus=bus)


@dataclass
class Place:
    """Where the shop runs, alone on its bus."""

    name: str
    deployment: Deployment

    def process(self, gate: asyncio.Event | None = None) -> Process:
        return Process(shop_system(gate, self.name), self.deployment)


@pytest.fixture
async def place(databases: Databases, tmp_path: Path, bus_kind: str) -> AsyncIterator[Place]:
    name = system().system
    async with opened(bus_kind, Topology.of(shop_system(name=name))) as buses:
        yield Place(name, await deployed(databases, tmp_path / "data", buses.url))


def open_files(folder: Path) -> list[str]:
    """Sockets and files of the folder that this process holds open."""
    if sys.platform != "linux":
        return []
    links = []
    for entry in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{entry}"))
        except OSError:
            continue
    return sorted(link for link in links if link.startswith((str(folder), "socket:")))


@asynccontextmanager
async def nothing_left(folder: Path) -> AsyncIterator[None]:
    before, tasks = open_files(folder), asyncio.all_tasks()
    yield
    for _ in range(100):
        await asyncio.sleep(0.01)
        gc.collect()
        if open_files(folder) == before:
            break
    assert open_files(folder) == before
    assert asyncio.all_tasks() == tasks


FAILING = ("freehold.deploy.identities.Identities.open", "freehold.deploy.migrations.migrate.Migrations.start",
           "freehold.deploy.process.gateway_app", "freehold.deploy.unit.Unit.prepare")  # fmt: skip


@pytest.mark.parametrize("way", FAILING)
async def test_a_start_that_fails_half_way_leaves_nothing_open(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    calls = 0

    def fail(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        raise RuntimeError("in the way")

    process = place.process()
    async with nothing_left(tmp_path):
        with monkeypatch.context() as patch:
            patch.setattr(way, fail)
            with pytest.raises(RuntimeError, match="in the way"):
                await process.start()
        assert calls == 1
        async with process:  # the lock is free, and the same object starts
            assert await process.units["orders"].relay.claim()


async def test_a_service_that_cannot_stop_does_not_keep_the_others_open(place: Place, tmp_path: Path) -> None:
    process = place.process()
    async with nothing_left(tmp_path):
        await process.start()

        async def fail() -> None:
            raise RuntimeError("does not close")

        process.units["orders"].host.provided.close = fail  # type: ignore[method-assign]
        with pytest.raises(RuntimeError, match="does not close"):
            await process.stop()
    async with place.process():
        pass


async def test_what_is_at_work_when_the_process_stops_is_finished_and_nothing_is_doubled(place: Place) -> None:
    gate = asyncio.Event()
    process = place.process(gate)
    await process.start()
    async with process.units["orders"].host.work().transaction() as tx:
        tx.publish(*(placed(number) for number in range(40)))
    async with asyncio.timeout(DEADLINE):
        while not process.units["payments"].group._lanes._workers:
            await asyncio.sleep(0.01)
    stopping = asyncio.create_task(process.stop())
    await asyncio.sleep(0.05)
    gate.set()
    async with asyncio.timeout(DEADLINE):
        await stopping
        async with place.process(gate) as again:
            unit = again.units["orders"]
            unit.host.outbox.wake()
            await unit.host.outbox.until_drained()
            while len(handled := await seen(again)) < 40:
                await asyncio.sleep(0.01)
            assert sorted(handled) == list(range(40))


async def seen(process: Process) -> list[int]:
    async with process.units["payments"].host.engine.read() as connection:
        return list(await connection.scalars(select(Seen.number)))


async def test_leases_are_free_for_another_process_at_once(databases: Databases, tmp_path: Path) -> None:
    deployment = await deployed(databases, tmp_path / "one")
    async with Process(shop_system(), deployment):
        pass
    async with asyncio.timeout(5):
        async with Process(shop_system(), deployment.model_copy(update={"data": tmp_path / "two"})):
            pass


@on_engines("postgres-schemas", "mariadb", why="SQLite opens without leaving the task")
async def test_two_tasks_cannot_open_one_transaction_twice(databases: Databases) -> None:
    async with open_shop(databases) as shop:
        host: Host = (await shop.add(shop.payments)).host
        async with asyncio.timeout(5):
            with pytest.raises(MisuseError, match="two tasks"):
                async with host.work().transaction() as tx:
                    await asyncio.gather(tx.connection(), tx.connection())
        async with host.work().transaction() as tx:
            assert await tx.scalar(text("SELECT 1")) == 1


def test_a_secret_that_was_cut_short_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FREEHOLD_SECRET", raising=False)
    made = open_secret(tmp_path)
    assert open_secret(tmp_path) == made
    assert (tmp_path / "secret").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    (tmp_path / "secret").write_bytes(b"")  # a disk that was full
    with pytest.raises(ConfigurationError, match="cut short"):
        open_secret(tmp_path)


async def test_secrets_of_the_deployment_are_nowhere_to_be_read(
    databases: Databases, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in what objects show of themselves, not in the log of a service whose database goes away or refuses."""
    caplog.set_level(logging.DEBUG)
    deployment = await deployed(databases, tmp_path / "data")
    settings = deployment.services["orders"].model_copy(update={"settings": {"key": "planted-secret"}})
    assert "planted-secret" not in repr(settings)
    async with Process(shop_system(), deployment) as process:
        host = process.units["orders"].host
        for number in range(3):
            with pytest.raises(Problem):
                async with host.work().transaction() as tx:
                    tx.publish(placed(number))
                    raise Problem(409, "NO")
        shown = [repr(deployment), repr(host.engine), repr(process.units), str(host.engine.url)]
    told = caplog.text + "".join(shown)
    for url in (await databases.url("orders"), await databases.url("payments")):
        if databases.kind != "sqlite":
            assert url.split(":")[2].split("@")[0] not in told
