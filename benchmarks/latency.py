"""From the commit to the commit of the handler in an idle system, on the local bus."""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from uuid import UUID, uuid4

from benchmarks import child
from benchmarks.measure import Row, interleave
from benchmarks.place import Place
from benchmarks.shop import TOTAL, OrderPlaced, running, shop
from freehold import Tx
from freehold.buses.factory import open_bus
from freehold.model.topology import Topology

WANTED_MS = 10.0
WARM_UP = 5
KINDS = {"latency_postgresql": "postgres-databases", "latency_sqlite": "sqlite"}


async def run(place: Place, *, quick: bool) -> list[Row]:
    """A row for each engine."""
    events, rounds = (60, 1) if quick else (200, 3)
    sides = {name: partial(_measure, place, kind, events) for name, kind in KINDS.items()}
    found = await interleave(sides, rounds)
    return [
        Row(
            name,
            found[name]["p99_ms"],
            WANTED_MS,
            "ms, p99",
            "the target",
            1,
            lower_is_better=True,
            details=found[name],
        )
        for name in KINDS
    ]


async def _measure(place: Place, kind: str, events: int) -> dict[str, float]:
    async with place.databases(kind) as databases:
        urls = {name: await databases.url(name) for name in ("orders", "payments")}
        return await child.run("benchmarks.latency:one_by_one", urls=urls, events=events)


async def one_by_one(urls: dict[str, str], events: int, bus: str = "", name: str = "shop") -> dict[str, float]:
    """Publish events with pauses between them, in which everything comes to rest.

    Args:
        urls: of the services' databases.
        events: how many.
        bus: address of a broker.
        name: of the system, and of what it has at the broker.
    """
    began: dict[UUID, float] = {}
    taken: list[float] = []
    arrived = asyncio.Event()
    system = shop(name)
    payments = system.services[1]
    payments.handlers.clear()

    @payments.on(OrderPlaced)
    async def notice(event: OrderPlaced, tx: Tx) -> None:
        tx.on_commit(lambda: note(event.order_id))

    def note(order_id: UUID) -> None:
        taken.append(time.perf_counter() - began[order_id])
        arrived.set()

    over = open_bus(bus, Topology.of(system)) if bus else None
    async with running(system, urls, bus=over) as units:
        host = units["orders"].host
        for _ in range(events + WARM_UP):
            await asyncio.sleep(random.uniform(0.03, 0.09))
            arrived.clear()
            event = OrderPlaced(order_id=uuid4(), total=TOTAL)
            async with host.work().transaction() as tx:
                tx.publish(event)
                tx.on_commit(lambda id=event.order_id: began.update({id: time.perf_counter()}))  # type: ignore[misc]
            async with asyncio.timeout(30):
                await arrived.wait()
        await host.outbox.until_drained()
    del taken[:WARM_UP]  # a broker lets a new group wait for seconds
    taken.sort()
    return {
        "p50_ms": taken[len(taken) // 2] * 1000,
        "p95_ms": taken[int(len(taken) * 0.95)] * 1000,
        "p99_ms": taken[int(len(taken) * 0.99)] * 1000,
        "worst_ms": taken[-1] * 1000,
    }


if __name__ == "__main__":
    from benchmarks.__main__ import main

    asyncio.run(main(["latency"]))
