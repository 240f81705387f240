"""What users test their systems with, and what the toolkit's own tests use.

async with World(system) as world:
    await world.http.post("/api/v1/orders", json={...}, headers=world.as_user(id=...))
    await world.settle()
    assert world.published(OrderPlaced)
"""

from freehold.inspect import verify
from freehold.runtime.faultpoints import POINTS as FAULT_POINTS
from freehold.testing.clock import ManualClock
from freehold.testing.faults import Crash, crash_at
from freehold.testing.sql import watch_sql
from freehold.testing.world import World

__all__ = ["FAULT_POINTS", "Crash", "ManualClock", "World", "crash_at", "verify", "watch_sql"]
