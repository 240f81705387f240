"""The load shapes in a short form: what must hold on any machine does; what depends on its speed is told only."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import AsyncMock

import pytest

from freehold.deploy.config import Deployment, ServiceDeployment
from freehold.deploy.load_test import Picture, Result, find_shape, load_test
from systems.booking_rush.booking import jobs
from systems.booking_rush.booking.tables import ZoneInventory
from systems.booking_rush.load_shapes import SHAPES
from systems.booking_rush.system import system
from tests.databases import Databases
from tests.matrix import FULL

SHORT = {
    "smoke": (1.0, 1.0),
    "ramp": (0.02, 2.0),
    "sustained": (0.01, 1.0),
    "stress": (0.01, 1.0),
    "spike": (0.002, 2.0),
    "spike_20k": (0.004, 1.0),
    "sold-out": (0.1, 1.0),
    "rate-limit": (0.1, 1.0),
    "herd": (1.0, None),
    "dirty": (0.2, 1.0),
    "queue": (1.0, None),
}
"""The scale, and the seconds."""
ALIKE = {"stress", "spike_20k"}
"""They differ from others by their numbers only."""


async def run(name: str, deployment: Deployment | None = None, **options: Any) -> tuple[Result, list[Picture]]:
    scale, seconds = SHORT[name]
    shape, pictures = find_shape(system, name).scaled(scale, seconds), list[Picture]()
    temporary = deployment is None
    options = {"people": 400, "temporary": temporary} | options
    return await load_test(system, deployment or Deployment(), shape, on_picture=pictures.append, **options), pictures


def broken(result: Result) -> list[str]:
    """The marks that do not hold although no speed is needed for them."""
    return [f"{mark.name}: {mark.found}" for mark in result.missed if not mark.speed]


def test_every_shape_is_tried() -> None:
    assert set(SHORT) == set(SHAPES.shapes)


@pytest.mark.parametrize("name", [name for name in SHORT if FULL or name not in ALIKE])
async def test_a_shape_keeps_the_marks_that_need_no_speed(name: str) -> None:
    result, _ = await run(name)
    assert broken(result) == [], json.dumps(result.load.outcomes)
    assert {"oversold 0", "the books agree", "every event delivered"} <= {mark.name for mark in result.marks}
    assert result.counts["oversold"] == 0
    assert result.counts["holds"] + result.counts["sold"] > 0


@pytest.mark.parametrize("engine_kind", ["postgres-schemas"], indirect=True)
async def test_it_runs_on_a_deployment_again_and_again(databases: Databases, tmp_path: Any) -> None:
    """What is there is left alone; each run puts something new up for sale."""
    services = {s.name: ServiceDeployment(database=await databases.url(s.name)) for s in system.services}
    for _ in range(2):
        result, pictures = await run("herd", Deployment(data=tmp_path / "home", services=services))
        assert broken(result) == []
        assert result.counts["seats_taken"] == 10
    assert {picture.phase for picture in pictures} <= {"herd"}


async def test_seats_that_are_counted_wrongly_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Booking counts one seat more than it gives, and nobody mends it: the mark is missed."""
    take = ZoneInventory.take
    monkeypatch.setattr(ZoneInventory, "take", lambda self, seats: take(self, seats + 1))
    monkeypatch.setattr(jobs, "reconcile", AsyncMock())
    result, _ = await run("smoke")
    assert any(told.startswith("the books agree: booking's counter") for told in broken(result)), result.marks
