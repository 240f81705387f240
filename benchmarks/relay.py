"""From the outbox to a handler that writes one row, with inbox, in one process: against faststream-outbox."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from uuid import uuid4

from benchmarks import child
from benchmarks.measure import Row, interleave
from benchmarks.place import Place
from benchmarks.shop import TOTAL, OrderPlaced, running, shop

PUBLISHED_TOGETHER = 500


async def run(place: Place, *, quick: bool) -> list[Row]:
    """Rows `relay_event`, `relay_batch` and `relay`."""
    events, rounds = (2_000, 3) if quick else (10_000, 5)
    sides = {
        "event": partial(_ours, place, events, None),
        "batch": partial(_ours, place, events * 4, 500),
        "faststream-outbox": partial(_theirs, place, events),
    }
    found = await interleave(sides, rounds)
    event, batch, theirs = (found[name]["rate"] for name in sides)
    unit = "events/s"
    details = {name: found[name] for name in sides}
    return [
        Row("relay_event", event, 4_000, unit, "the target", 1, details=details["event"]),
        Row("relay_batch", batch, 30_000, unit, "the target", 1, details=details["batch"]),
        Row("relay", event, theirs, unit, "faststream-outbox, deduplicating handler", 3, details=details),
    ]


async def _ours(place: Place, events: int, batch: int | None) -> dict[str, float]:
    async with place.databases() as databases:
        orders, payments = await databases.url("orders"), await databases.url("payments")
        return await child.run("benchmarks.relay:drain", orders=orders, payments=payments, events=events, batch=batch)


async def _theirs(place: Place, events: int) -> dict[str, float]:
    async with place.databases() as databases:
        return await child.run(
            "benchmarks.baselines.faststream_relay:drain", url=await databases.url("shop"), events=events
        )


async def drain(orders: str, payments: str, events: int, batch: int | None) -> dict[str, float]:
    """Fill the outbox, then time until every event is handled and marked."""
    urls = {"orders": orders, "payments": payments}
    async with running(shop(batch=batch), urls, start=False) as units:
        host = units["orders"].host
        for _ in range(events // PUBLISHED_TOGETHER):
            async with host.work().transaction() as tx:
                tx.publish(*(OrderPlaced(order_id=uuid4(), total=TOTAL) for _ in range(PUBLISHED_TOGETHER)))
        began, cpu = time.perf_counter(), time.process_time()
        for unit in units.values():
            unit.start()
        await host.outbox.until_drained()
        seconds, busy = time.perf_counter() - began, time.process_time() - cpu
        async with units["payments"].host.engine.read() as connection:
            written = await connection.exec_driver_sql("SELECT count(*) FROM payments")
            assert written.scalar_one() == events, "an event is missing"
    return {"rate": events / seconds, "cpu_us": busy / events * 1e6}


if __name__ == "__main__":
    from benchmarks.__main__ import main

    asyncio.run(main(["relay"]))
