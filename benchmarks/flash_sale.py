"""Reserving seats of one zone over HTTP: the booking service against what would be written without the toolkit."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from typing import Any
from uuid import uuid4

from benchmarks import child, server
from benchmarks.booking import EVENT, SERVICES, SHOW, ZONE, tokens
from benchmarks.measure import Row, Side, interleave
from benchmarks.place import Place
from freehold.deploy.load import drive, request

REQUESTS_EACH = 10
"""As many as one buyer may have tickets."""
TOGETHER = 512
"""Buyers who come at the same time."""
AT_MOST = {"ours": 15_000, "gateway": 10_000, "cte": 6_000, "orm": 2_500}
"""Requests made beforehand, for each second: more than the side can answer."""


async def run(place: Place, *, quick: bool) -> list[Row]:
    """Rows `flash_sale`, `vs_cte`, `low_load` and `flash_sale_gateway`."""
    seconds, rounds = (2.0, 3) if quick else (5.0, 5)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="freehold-bench-"))
        databases = await stack.enter_async_context(place.databases())
        urls = {name: await databases.url(name) for name in SERVICES}
        await child.run("benchmarks.booking:prepare", urls=urls, folder=folder)
        cte, orm = await databases.url("cte"), await databases.url("orm")
        started: dict[str, tuple[str, dict[str, Any]]] = {
            "ours": ("benchmarks.booking:app", {"urls": urls, "folder": folder, "gateway": False}),
            "gateway": ("benchmarks.booking:app", {"urls": urls, "folder": folder, "gateway": True}),
            "cte": ("benchmarks.baselines.cte_service:app", {"url": cte, "folder": folder}),
            "orm": ("benchmarks.baselines.orm_service:app", {"url": orm, "folder": folder}),
        }
        ports = {n: await stack.enter_async_context(server.running(a, **given)) for n, (a, given) in started.items()}

        def side(name: str, connections: int) -> Side:
            return partial(_load, name, ports[name], folder, connections, seconds)

        rush = {name: side(name, 256) for name in started}
        calm = {f"{name}, 8 connections": side(name, 8) for name in ("ours", "cte", "orm")}
        for warm_up in rush:
            await _load(warm_up, ports[warm_up], folder, 8, 0.5)
        found = await interleave({**rush, **calm}, rounds)
    return _rows(found)


def _rows(found: dict[str, dict[str, float]]) -> list[Row]:
    unit = "reservations/s"

    def row(name: str, ours: str, baseline: str, against: str, target: float) -> Row:
        details = {side: found[side] for side in (ours, baseline)}
        return Row(name, found[ours]["rate"], found[baseline]["rate"], unit, against, target, details=details)

    return [
        row("flash_sale", "ours", "orm", "FastAPI + SQLAlchemy ORM, 256 connections", 10),
        row("vs_cte", "ours", "cte", "one CTE statement on the same HTTP stack, 256 connections", 2),
        row("low_load", "ours, 8 connections", "cte, 8 connections", "the CTE variant, 8 connections", 0.8),
        row("low_load_orm", "ours, 8 connections", "orm, 8 connections", "the ORM service, 8 connections", 0.8),
        row("flash_sale_gateway", "gateway", "orm", "the ORM service, without a gateway, 256 connections", 10),
    ]


async def _load(name: str, port: int, folder: str, connections: int, seconds: float) -> dict[str, float]:
    buyers = int(AT_MOST[name] * seconds) // REQUESTS_EACH
    found = await drive(
        "benchmarks.flash_sale:visitors", {"folder": folder, "buyers": buyers},
        port=port, connections=connections, seconds=seconds,
    )  # fmt: skip
    refused = {status: count for status, count in found.answers["reserve"].items() if status != 201}
    assert not refused, f"{name} answered {refused}"
    assert not found.lost, f"{name} lost {found.lost} connections"
    return {"rate": found.rate, "p50_ms": found.p50, "p99_ms": found.p99}


class Reservation:
    """One request for one seat."""

    step = "reserve"

    def __init__(self, token: str) -> None:
        body = {"event_id": EVENT, "show_id": SHOW, "zone_id": ZONE, "quantity": 1}
        headers = {"Authorization": f"Bearer {token}", "X-Idempotency-Key": str(uuid4())}
        self._request = request("POST", "/api/v1/bookings/reserve", body=body, headers=headers)

    def first(self) -> bytes:
        return self._request

    def then(self, status: int, body: bytes) -> None:
        return None


def visitors(folder: str, buyers: int) -> Iterator[Reservation]:
    """Every buyer's requests, spread out: nobody has two under way at once, and one in ten comes with a new token."""
    known = tokens(folder, [uuid4() for _ in range(buyers)])
    groups = (known[start : start + TOGETHER] for start in range(0, buyers, TOGETHER))
    return (Reservation(token) for group in groups for _ in range(REQUESTS_EACH) for token in group)


if __name__ == "__main__":
    from benchmarks.__main__ import main

    asyncio.run(main(["flash_sale"]))
