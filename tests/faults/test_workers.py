"""Several processes of one service under load, while what they need, or some of them, goes away.

Afterwards nothing is lost, nothing doubled, and each account's orders are in their order; and meanwhile nobody was busy
for nothing.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.buses import having
from tests.databases import Databases
from tests.faults.chain import Chain, Entry, Payment, Worker, open_chain
from tests.matrix import on_buses
from tests.servers.mariadb import MariaDB
from tests.servers.postgres import Postgres

on_brokers = on_buses(*having("restarts"), why="the local bus has no broker")
CPU_SHARE = 0.25
"""Of a processor that a process may use while all it can do is wait."""
TRIES = 3
"""Times a second that it may try to publish an event meanwhile."""
CONNECTIONS = 10
"""To its database that each process of a service may have."""
_servers: dict[str, Postgres | MariaDB] = {}


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Postgres | MariaDB]]:
    """Database servers of this module's own, since it stops them."""
    yield _servers
    for server in _servers.values():
        server.close()
    _servers.clear()


@pytest.fixture
def database_kind() -> str:
    return "postgres-databases"


@pytest.fixture
def server(servers: dict[str, Postgres | MariaDB], database_kind: str) -> Postgres | MariaDB:
    if database_kind not in servers:
        servers[database_kind] = MariaDB() if database_kind == "mariadb" else Postgres()
    return servers[database_kind]


@pytest.fixture
async def chain(server: Postgres | MariaDB, database_kind: str, bus_kind: str, tmp_path: Path) -> AsyncIterator[Chain]:
    databases = Databases(database_kind, tmp_path, server.url)
    async with open_chain(databases, bus_kind) as opened:
        yield opened
    await databases.close()


async def loaded(chain: Chain, *workers: Worker) -> None:
    """The processes run and the load has come through all of them."""
    for worker in workers:
        await worker.up()
    chain.load()
    await chain.until(Entry, 100)


async def finished(chain: Chain, orders: int = 200) -> None:
    await chain.settle()
    assert await chain.check() >= orders
    assert chain.most_connections <= CONNECTIONS * (3 + len(chain.workers))


async def without(chain: Chain, seconds: float) -> None:
    """Nobody is busy for so many seconds in which there is nothing to be done but to wait."""
    await asyncio.sleep(2)  # to notice
    workers = [worker for worker in chain.workers if worker.process.returncode is None]
    before = [(worker.cpu(), worker.attempts, len(worker.said)) for worker in workers]
    await asyncio.sleep(seconds)
    for worker, (cpu, attempts, said) in zip(workers, before, strict=True):
        assert worker.cpu() - cpu <= CPU_SHARE * seconds, "a busy loop"
        assert worker.attempts - attempts <= TRIES * seconds
        assert len(worker.said) - said <= 40 * seconds, "".join(worker.said[-20:])


@pytest.mark.guarantee("G2")
@on_brokers
@pytest.mark.parametrize(("how", "seconds"), [("pause", 18), ("kill", 4)])
async def test_the_broker_is_away(chain: Chain, how: str, seconds: float) -> None:
    await loaded(chain, await chain.start("orders", "ledger"), await chain.start("payments"),
                 await chain.start("payments"))  # fmt: skip
    await asyncio.to_thread(getattr(chain.broker, how))
    await without(chain, seconds)
    await asyncio.to_thread(chain.broker.resume)
    await chain.until(Entry, 100)
    await finished(chain)


@pytest.mark.parametrize(("bus_kind", "database_kind"), [("kafka", "postgres-databases"), ("rabbitmq", "mariadb")])
async def test_the_database_is_away_and_again_while_the_relay_recovers_from_that(
    chain: Chain, server: Postgres | MariaDB
) -> None:
    """The second time it is killed, and the relay's process with it."""
    first = await chain.start("orders", "ledger")
    await loaded(chain, first, await chain.start("payments"), await chain.start("payments"))
    await asyncio.to_thread(server.pause)
    await without(chain, 5)
    await asyncio.to_thread(server.resume)
    await chain.until(Payment, 1)  # it comes back
    first.signal(signal.SIGKILL)
    await asyncio.to_thread(server.kill)
    await without(chain, 1)
    await asyncio.to_thread(server.resume)
    await (await chain.start("orders", "ledger")).up()
    await chain.until(Entry, 100)
    await finished(chain)


@on_brokers
async def test_a_consumer_dies_in_the_middle_of_a_transaction(chain: Chain) -> None:
    """One before its commit, one after: at the next process both events find what there is to find."""
    await (await chain.start("orders", "ledger")).up()
    dying = [
        await (await chain.start("payments", crash_at=point)).up()
        for point in ("handler.before_commit:100", "handler.after_commit:200")
    ]
    chain.load()
    assert [await worker.ended() for worker in dying] == [-signal.SIGKILL] * 2
    await (await chain.start("payments")).up()
    await chain.until(Entry, 100)
    await finished(chain)


@on_brokers
async def test_processes_join_leave_freeze_and_die(chain: Chain) -> None:
    one = await chain.start("payments")
    await loaded(chain, await chain.start("orders", "ledger"), one)
    two = await chain.start("payments")
    await two.until(lambda worker: worker.handled > 20)  # it has its share
    one.signal(signal.SIGTERM)
    assert await one.ended() == 0, "".join(one.said[-30:])
    three = await chain.start("payments")
    await three.until(lambda worker: worker.handled > 20)
    two.signal(signal.SIGSTOP)
    before = three.handled
    await chain.until(Entry, 50)
    await three.until(lambda worker: worker.handled > before + 50)
    await asyncio.sleep(8)  # the others miss it, and work on what it had
    two.signal(signal.SIGCONT)
    await chain.until(Entry, 100)
    two.signal(signal.SIGKILL)
    await chain.until(Entry, 100)
    await finished(chain)
