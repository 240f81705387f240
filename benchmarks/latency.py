"""From the commit to the handler in an idle system, on the local bus."""

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

WANTED_MS = 10.0
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


async def one_by_one(urls: dict[str, str], events: int) -> dict[str, float]:
    """Publish events with pauses between them, in which everything comes to rest."""
    began: dict[UUID, float] = {}
    taken: list[float] = []
    arrived = asyncio.Event()
    system = shop()
    payments = system.services[1]
    payments.handlers.clear()

    @payments.on(OrderPlaced)
    async def notice(event: OrderPlaced, tx: Tx) -> None:
        taken.append(time.perf_counter() - began[event.order_id])
        arrived.set()

    async with running(system, urls) as units:
        host = units["orders"].host
        for _ in range(events):
            await asyncio.sleep(random.uniform(0.03, 0.09))
            arrived.clear()
            event = OrderPlaced(order_id=uuid4(), total=TOTAL)
            async with host.work().transaction() as tx:
                tx.publish(event)
                tx.on_commit(lambda id=event.order_id: began.update({id: time.perf_counter()}))  # type: ignore[misc]
            async with asyncio.timeout(10):
                await arrived.wait()
        await host.outbox.until_drained()
    taken.sort()
    return {
        "p50_ms": taken[len(taken) // 2] * 1000,
        "p99_ms": taken[min(len(taken) - 1, int(len(taken) * 0.99))] * 1000,
        "worst_ms": taken[-1] * 1000,
    }


if __name__ == "__main__":
    from benchmarks.__main__ import main

    asyncio.run(main(["latency"]))
