"""Watching the statements of a running system in a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from freehold.runtime.sql_detector import SqlDetector
from freehold.testing.world import World


@contextmanager
def watch_sql(world: World) -> Iterator[SqlDetector]:
    """Watch every statement of the world's services within the block.

        with watch_sql(world) as detector:
            await world.http.post("/api/v1/orders", json=order)
        assert detector.findings == []

    A finding says which service touched whose table, or which request wrote the databases of two services.
    """
    detector = SqlDetector(world.system)
    detector.attach(unit.host for unit in world.process.units.values())
    try:
        yield detector
    finally:
        detector.detach()
