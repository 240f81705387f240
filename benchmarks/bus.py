"""From the outbox over a broker to a handler that writes one row: against loops written by hand on the same clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

from benchmarks import child
from benchmarks.measure import Row, Side, interleave
from benchmarks.place import Place
from benchmarks.shop import TOTAL, OrderPlaced, running, shop
from freehold import uuid7
from freehold.buses.factory import open_bus
from freehold.model.envelope import Envelope
from freehold.model.ports import Bus
from freehold.model.topology import Topology
from freehold.runtime.host import Host
from tests.buses import BROKERS

BUSES = ("kafka", "rabbitmq")
PUBLISHED_TOGETHER = 500
WARM_UP = 64
TARGET = 0.6
WANTED_MS = {"p95": 15.0, "p99": 30.0}
PAIRS = {
    "": ("event", "kept", "by hand: outbox, inbox, SQLAlchemy Core"),
    "_driver": ("event", "asyncpg", "by hand: outbox, inbox, the bare driver"),
    "_rows": ("event", "rows", "by hand: no outbox, no inbox"),
    "_batch": ("batch", "nothing", "by hand: no database; ours by 500"),
}
"""Ours, theirs, and what theirs does."""


async def run(place: Place, *, quick: bool) -> list[Row]:
    """For each broker its rows of `PAIRS`, and `latency_…`."""
    events, rounds = (2_000, 1) if quick else (10_000, 5)
    sides: dict[str, Side] = {}
    for bus in BUSES:
        sides[f"{bus}, event"] = partial(_ours, place, bus, events, None)
        sides[f"{bus}, batch"] = partial(_ours, place, bus, 4 * events, 500)
        for variant in ("kept", "asyncpg", "rows", "nothing"):
            many = 4 * events if variant == "nothing" else events
            sides[f"{bus}, {variant}"] = partial(_theirs, place, bus, many, variant)
    found = await interleave(sides, rounds)
    calm = {bus: partial(_latency, place, bus, 100 if quick else 300) for bus in BUSES}
    slow = await interleave(calm, 1 if quick else 3)
    return [row for bus in BUSES for row in _rows(bus, found, slow[bus])]


def _rows(bus: str, found: dict[str, dict[str, float]], slow: dict[str, float]) -> Iterable[Row]:
    for suffix, (ours, theirs, against) in PAIRS.items():
        a, b = found[f"{bus}, {ours}"], found[f"{bus}, {theirs}"]
        details = {"ours": a, "theirs": b}
        target = TARGET if theirs == "kept" else 0  # the others promise less
        yield Row(f"bus_{bus}{suffix}", a["rate"], b["rate"], "events/s", against, target, details=details)
    for figure, wanted in WANTED_MS.items():
        yield Row(
            f"latency_{bus}_{figure}", slow[f"{figure}_ms"], wanted, f"ms, {figure}", "the target", 1,
            lower_is_better=True, details=slow,
        )  # fmt: skip


def _name() -> str:
    """Of a round's system: nothing of one round meets another's."""
    return f"bench{uuid4().hex[:8]}"


def _address(bus: str, name: str) -> str:
    return BROKERS[bus].alone(BROKERS[bus].url(), Topology.of(shop(name)))


async def _ours(place: Place, bus: str, events: int, batch: int | None) -> dict[str, float]:
    name = _name()
    address = _address(bus, name)
    async with place.databases() as databases:
        urls = {service: await databases.url(service) for service in ("orders", "payments")}
        try:
            return await child.run(
                "benchmarks.bus:drain", address=address, name=name, urls=urls, events=events, batch=batch
            )
        finally:
            await BROKERS[bus].forget(address, Topology.of(shop(name)))


async def _theirs(place: Place, bus: str, events: int, variant: str) -> dict[str, float]:
    async with place.databases() as databases:
        return await child.run(
            "benchmarks.baselines.broker_loop:drain",
            broker=bus, address=BROKERS[bus].url(), name=_name(), database=await databases.url("shop"),
            events=events, variant=variant,
        )  # fmt: skip


async def _latency(place: Place, bus: str, events: int) -> dict[str, float]:
    name = _name()
    address = _address(bus, name)
    async with place.databases() as databases:
        urls = {service: await databases.url(service) for service in ("orders", "payments")}
        try:
            return await child.run("benchmarks.latency:one_by_one", urls=urls, events=events, bus=address, name=name)
        finally:
            await BROKERS[bus].forget(address, Topology.of(shop(name)))


async def drain(address: str, name: str, urls: dict[str, str], events: int, batch: int | None) -> dict[str, float]:
    """Fill the outbox, then time until every event is handled and marked; the group has its place at the broker before.

    Args:
        address: where the broker is.
        name: of the system.
        urls: of the services' databases.
        events: how many.
        batch: events that the handler takes at once.
    """
    system = shop(name, batch=batch)
    bus = open_bus(address, Topology.of(system))
    async with running(system, urls, bus=bus, start=False) as units:
        payments = units["payments"].host
        await _warm_up(bus)
        await _written(payments, WARM_UP)
        host = units["orders"].host
        for _ in range(events // PUBLISHED_TOGETHER):
            async with host.work().transaction() as tx:
                tx.publish(*(OrderPlaced(order_id=uuid4(), total=TOTAL) for _ in range(PUBLISHED_TOGETHER)))
        began, cpu = time.perf_counter(), time.process_time()
        for unit in units.values():
            unit.start()
        await host.outbox.until_drained()
        await _written(payments, events + WARM_UP)
        seconds, busy = time.perf_counter() - began, time.process_time() - cpu
    return {"rate": events / seconds, "cpu_us": busy / events * 1e6}


async def _warm_up(bus: Bus) -> None:
    events = [OrderPlaced(order_id=uuid4(), total=TOTAL) for _ in range(WARM_UP)]
    spec = OrderPlaced.__message__
    sent = [
        Envelope(uuid7(), spec.name, spec.version, "orders", spec.topic, event.key, datetime.now(UTC),
                 event.model_dump_json())
        for event in events
    ]  # fmt: skip
    await asyncio.gather(*await bus.publish(sent))


async def _written(payments: Host, rows: int) -> None:
    """Until there are so many."""
    while True:
        async with payments.engine.read() as connection:
            found = (await connection.exec_driver_sql("SELECT count(*) FROM payments")).scalar_one()
        if found >= rows:
            assert found == rows, "a row too many"
            return
        await asyncio.sleep(0.005)


if __name__ == "__main__":
    from benchmarks.__main__ import main

    asyncio.run(main(["bus"]))
