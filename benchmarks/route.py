"""An ordinary route with its unit of work, one insert and one event: against the same written by hand."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from pydantic import BaseModel

from benchmarks import server
from benchmarks.measure import Row, interleave
from benchmarks.place import Place
from benchmarks.shop import Order, OrderPlaced, OrdersBase
from freehold import Money, Service, System, Tx, public, uuid7
from freehold.deploy.load import drive, request
from freehold.engines import open_engine
from freehold.http import service_app
from freehold.runtime.host import Host

CONNECTIONS = 64
PER_SECOND = 6_000

orders = Service("orders", tables=OrdersBase, publishes=[OrderPlaced])


class PlaceOrder(BaseModel):
    user_id: UUID
    total: Money


class OrderOut(BaseModel):
    id: UUID
    user_id: UUID
    total: Money


@orders.post("/orders", access=public, status_code=201)
async def place(body: PlaceOrder, tx: Tx) -> OrderOut:
    """One insert, one event."""
    order = Order(id=uuid7(), user_id=body.user_id, total=body.total)
    tx.add(order)
    tx.publish(OrderPlaced(order_id=order.id, total=order.total))
    return OrderOut(id=order.id, user_id=order.user_id, total=order.total)


@asynccontextmanager
async def app(url: str) -> AsyncIterator[Any]:
    """The service on a fresh database. Its relay does not run, as on the other side."""
    host = Host(System("shop", services=[orders]), orders, open_engine(url))
    await host.create_tables()
    yield service_app(host)
    await host.close()


async def run(place: Place, *, quick: bool) -> list[Row]:
    """Row `route`."""
    seconds, rounds = (2.0, 3) if quick else (4.0, 5)
    async with AsyncExitStack() as stack:
        databases = await stack.enter_async_context(place.databases())
        started = {"ours": "benchmarks.route:app", "by hand": "benchmarks.baselines.orm_route:app"}
        ports = {
            name: await stack.enter_async_context(server.running(app, url=await databases.url(name.replace(" ", "_"))))
            for name, app in started.items()
        }
        for port in ports.values():
            await _load(port, 0.5)
        found = await interleave({name: partial(_load, port, seconds) for name, port in ports.items()}, rounds)
    ours, theirs = (found[name]["rate"] for name in started)
    against = f"FastAPI + SQLAlchemy with an outbox insert, {CONNECTIONS} connections"
    return [Row("route", ours, theirs, "requests/s", against, 0.85, details=found)]


async def _load(port: int, seconds: float) -> dict[str, float]:
    arguments = {"orders": int(PER_SECOND * seconds)}
    found = await drive("benchmarks.route:visitors", arguments, port=port, connections=CONNECTIONS, seconds=seconds)
    assert set(found.answers["place"]) == {201}, f"answered {found.answers}"
    return {"rate": found.rate, "p50_ms": found.p50, "p99_ms": found.p99}


class Placing:
    """One order."""

    step = "place"

    def __init__(self) -> None:
        body = {"user_id": str(uuid4()), "total": str(Decimal("99.90"))}
        self._request = request("POST", "/api/v1/orders", body=body)

    def first(self) -> bytes:
        return self._request

    def then(self, status: int, body: bytes) -> None:
        return None


def visitors(orders: int) -> Iterator[Placing]:
    """So many orders."""
    return (Placing() for _ in range(orders))


if __name__ == "__main__":
    from benchmarks.__main__ import main

    asyncio.run(main(["route"]))
