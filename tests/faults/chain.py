"""A chain of three services whose processes are started, stopped, frozen and killed, and the books that are kept of it.

Orders commits, payments takes each order and publishes a payment, the ledger books it. `python -m tests.faults.chain`
with settings as JSON is one process of it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, insert, make_url, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Event, Portable, Retry, Service, System, Tx
from freehold.buses.factory import open_bus
from freehold.deploy.unit import PARTS, Unit
from freehold.engines import open_engine
from freehold.model.envelope import Envelope
from freehold.model.ports import Bus, Deliver, Engine
from freehold.model.topology import Topology
from freehold.runtime.host import Host
from tests.buses import Buses
from tests.buses import system as some_system
from tests.databases import Databases

ROOT = Path(__file__).parents[2]
ACCOUNTS = 24
LOADERS = 4
DEADLINE = 60.0
PATIENCE = 180.0
"""Seconds in which everything has come to rest, on a machine that has much else to do."""


class Placed(Event, name="order.placed", topic="orders", key="account"):
    account: int
    number: int


class Paid(Event, name="order.paid", topic="payments", key="account"):
    account: int
    number: int


class OrdersBase(Portable, DeclarativeBase):
    pass


class Order(OrdersBase):
    __tablename__ = "orders"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account: Mapped[int]


class PaymentsBase(Portable, DeclarativeBase):
    pass


class Payment(PaymentsBase):
    __tablename__ = "payments"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    account: Mapped[int]
    number: Mapped[int]


class LedgerBase(Portable, DeclarativeBase):
    pass


class Entry(LedgerBase):
    __tablename__ = "entries"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    account: Mapped[int]
    number: Mapped[int]


orders = Service("orders", tables=OrdersBase, publishes=[Placed])
payments = Service("payments", tables=PaymentsBase, publishes=[Paid])
ledger = Service("ledger", tables=LedgerBase)
SERVICES = {service.name: service for service in (orders, payments, ledger)}
SYSTEM = System("chain", services=list(SERVICES.values()))
tried: set[int] = set()
handled = 0


@payments.on(Placed, name="pay", retry=Retry(times=50, first=0.2, longest=2))
async def pay(event: Placed, tx: Tx) -> None:
    """Some orders fail when a process sees them first, so that keys are parked all the time."""
    global handled  # noqa: PLW0603 - of this process
    handled += 1
    await tx.execute(insert(Payment).values(account=event.account, number=event.number))
    if event.number % 300 == 7 and event.number not in tried:
        tried.add(event.number)
        raise RuntimeError("at the second try")
    tx.publish(Paid(account=event.account, number=event.number))


@ledger.on(Paid, name="book", batch=50)
async def book(events: list[Paid], tx: Tx) -> None:
    await tx.execute(insert(Entry), [{"account": event.account, "number": event.number} for event in events])


# --- one process ------------------------------------------------------------------------------------------------------


class Counted:
    """A bus that counts how often each event is handed over to it."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._attempts: Counter[UUID] = Counter()
        self.most_attempts = 0

    async def publish(self, events: Sequence[Envelope]) -> Sequence[asyncio.Future[None]]:
        for event in events:
            self._attempts[event.event_id] += 1
            self.most_attempts = max(self.most_attempts, self._attempts[event.event_id])
        return await self._bus.publish(events)

    async def subscribe(self, group: str, events: Sequence[str], topics: Sequence[str], deliver: Deliver) -> None:
        await self._bus.subscribe(group, events, topics, deliver)

    async def ping(self) -> None:
        await self._bus.ping()

    async def close(self) -> None:
        await self._bus.close()


async def serve(
    urls: dict[str, str], services: list[str], parts: list[str], bus: str, topology: dict[str, Any]
) -> None:
    """Run until SIGTERM, and say now and then how much was done."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    # A process that hangs is missed after some six seconds; on RabbitMQ the address says so.
    options = {"session": 6.0} if bus.startswith("kafka") else {}
    carrier = Counted(open_bus(bus, Topology(**topology), **options))
    units = [Unit(Host(SYSTEM, SERVICES[name], open_engine(urls[name])), carrier, parts=parts) for name in services]
    for unit in units:
        await unit.prepare()
    for unit in units:
        unit.start()
    while not stopping.is_set():
        print(json.dumps([handled, carrier.most_attempts]), flush=True)
        try:
            async with asyncio.timeout(0.2):
                await stopping.wait()
        except TimeoutError:
            pass
    await asyncio.gather(*(unit.quiet() for unit in units))
    await carrier.close()
    for unit in units:
        await unit.host.close()


# --- what the tests see of it -------------------------------------------------------------------------------------------


@dataclass
class Worker:
    """A process of the chain. `handled` counts its payments, `attempts` how often it handed one event to the bus, at most."""

    process: asyncio.subprocess.Process
    is_up: bool = False
    handled: int = 0
    attempts: int = 0
    said: list[str] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return self.process.pid

    async def listen(self) -> None:
        assert self.process.stdout is not None
        while line := (await self.process.stdout.readline()).decode():
            if line.startswith("["):
                self.handled, self.attempts = json.loads(line)
                self.is_up = True
            else:
                self.said.append(line)

    async def up(self) -> Worker:
        await self.until(lambda worker: worker.is_up)
        return self

    async def until(self, reached: Callable[[Worker], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not reached(self):
                assert self.process.returncode is None, "".join(self.said[-30:])
                await asyncio.sleep(0.02)

    def cpu(self) -> float:
        """Seconds of processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        async with asyncio.timeout(DEADLINE):
            return await self.process.wait()


class Chain:
    """The chain's databases and broker, its processes, and a load that never gives up.

    `most_connections` is the most that the database server counted at once.
    """

    def __init__(self, databases: Databases, buses: Buses, bus_url: str) -> None:
        self._databases = databases
        self.broker = buses.server
        self._topology = asdict(buses.topology)
        self._bus_url = bus_url
        self._urls: dict[str, str] = {}
        self._engines: dict[str, Engine] = {}
        self.workers: list[Worker] = []
        self._placing = True
        self._next = 0
        self.most_connections = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        for name, service in SERVICES.items():
            self._urls[name] = await self._databases.url(name)
            self._engines[name] = await self._databases.open(name)
            await Host(SYSTEM, service, self._engines[name]).create_tables()

    async def start(self, *services: str, parts: Collection[str] = PARTS, crash_at: str = "") -> Worker:
        """One process more, which runs these services."""
        settings = {
            "urls": self._urls, "services": services, "parts": list(parts), "bus": self._bus_url,
            "topology": self._topology,
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.chain", json.dumps(settings), cwd=ROOT,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "FREEHOLD_CRASH_AT": crash_at},
        )  # fmt: skip
        worker = Worker(process)
        self.workers.append(worker)
        self._tasks.append(asyncio.create_task(worker.listen()))
        return worker

    # --- load ---------------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Place orders from now on, some 60 a second, each account's one after another."""
        self._loading = [asyncio.create_task(self._place(number)) for number in range(LOADERS)]
        self._tasks += self._loading

    async def _place(self, loader: int) -> None:
        host = Host(SYSTEM, orders, self._engines["orders"])
        while self._placing:
            number, self._next = self._next, self._next + 2
            account = loader + LOADERS * (number // 2 % (ACCOUNTS // LOADERS))
            while not await self._placed(host, account, (number, number + 1)):
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.12)

    async def _placed(self, host: Host, account: int, numbers: tuple[int, int]) -> bool:
        async def transact(tx: Tx) -> None:
            new = await tx.insert_new(Order, [{"number": n, "account": account} for n in numbers], key=["number"])
            tx.publish(*(Placed(account=account, number=number) for (number,) in sorted(new)))

        try:
            await host.work().run(transact)
        except Exception as error:
            if host.engine.is_unavailable(error) or host.engine.is_conflict(error):
                return False
            raise
        return True

    # --- books --------------------------------------------------------------------------------------------------------

    async def count(self, table: Any) -> int:
        """Rows of one of the three tables."""
        name = {Order: "orders", Payment: "payments", Entry: "ledger"}[table]
        async with self._engines[name].read() as connection:
            return int(await connection.scalar(select(func.count()).select_from(table)) or 0)

    async def until(self, table: Any, more: int) -> None:
        """Until so many rows more are there."""
        goal = more + await self.count(table)
        async with asyncio.timeout(DEADLINE):
            while await self.count(table) < goal:
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.05)

    async def watch_connections(self, admin: Engine) -> None:
        """Count the server's sessions of the chain's users, ten times a second."""
        users = [make_url(url).username for url in self._urls.values()]
        if admin.dialect == "mysql":
            sessions = text("SELECT count(*) FROM information_schema.processlist WHERE user IN :users")
        else:
            sessions = text("SELECT count(*) FROM pg_stat_activity WHERE usename IN :users")
        sessions = sessions.bindparams(bindparam("users", users, expanding=True))
        while True:
            try:
                async with admin.read() as connection:
                    found = int(await connection.scalar(sessions) or 0)
            except Exception as error:
                if not admin.is_unavailable(error):
                    raise
            else:
                self.most_connections = max(self.most_connections, found)
            await asyncio.sleep(0.1)

    async def settle(self) -> None:
        """Stop the load, and wait until every order is paid and booked and nothing waits anywhere."""
        self._placing = False
        await asyncio.gather(*self._loading)
        placed, left = await self.count(Order), {"": 1}
        try:
            async with asyncio.timeout(PATIENCE):
                while any(left.values()):
                    await asyncio.sleep(0.1)
                    left = await self._open_work(placed)
        except TimeoutError:
            said = "".join(line for worker in self.workers for line in worker.said[-15:])
            raise AssertionError(f"of {placed} orders there is still to do: {left}\n{said}") from None

    async def _open_work(self, placed: int) -> dict[str, int]:
        left = {
            "payments": placed - await self.count(Payment),
            "entries": placed - await self.count(Entry),
        }
        for name, engine in self._engines.items():
            tables = Host(SYSTEM, SERVICES[name], engine).tables
            pending = select(func.count()).select_from(tables.outbox).where(tables.outbox.c.published_at.is_(None))
            async with engine.read() as connection:
                left[f"{name} pending"] = int(await connection.scalar(pending) or 0)
                parked = select(func.count()).select_from(tables.parked)
                left[f"{name} parked"] = int(await connection.scalar(parked) or 0)
        return left

    async def check(self) -> int:
        """Every order has had each effect once, in the order of its account; how many orders there are."""
        async with self._engines["orders"].read() as connection:
            rows = await connection.execute(select(Order.account, Order.number).order_by(Order.number))
            expected = _by_account(rows.all())
        for name, table in (("payments", Payment), ("ledger", Entry)):
            async with self._engines[name].read() as connection:
                rows = await connection.execute(select(table.account, table.number).order_by(table.id))
                assert _by_account(rows.all()) == expected, name
            tables = Host(SYSTEM, SERVICES[name], self._engines[name]).tables
            async with self._engines[name].read() as connection:
                assert not await connection.scalar(select(func.count()).select_from(tables.dead_letters))
        return sum(map(len, expected.values()))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self.workers:
            if worker.process.returncode is None:
                worker.process.kill()
            await worker.process.wait()

    def keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.append(task)


def _by_account(rows: Sequence[Any]) -> dict[int, list[int]]:
    numbers: dict[int, list[int]] = defaultdict(list)
    for account, number in rows:
        numbers[account].append(number)
    return numbers


@asynccontextmanager
async def open_chain(databases: Databases, bus_kind: str) -> AsyncIterator[Chain]:
    """The chain without processes, on a broker that the test may stop; it runs again in the end."""
    topology = replace(Topology.of(SYSTEM, partitions=4), system=some_system().system)
    buses = Buses(bus_kind, topology, private=True)
    url = f"{buses.url}?heartbeat=2" if bus_kind == "rabbitmq" else buses.url
    chain, admin = Chain(databases, buses, url), open_engine(databases.admin_url)
    try:
        await chain.open()
        chain.keep(asyncio.create_task(chain.watch_connections(admin)))
        await buses.broker.settle()
        yield chain
    finally:
        await chain.close()
        await admin.close()
        await asyncio.to_thread(buses.server.resume)
        await buses.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(serve(**json.loads(sys.argv[1])))
