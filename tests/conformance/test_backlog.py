"""What waits is measured without counting all of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from freehold.observe.metrics import METRICS
from freehold.runtime import backlog
from freehold.runtime.backlog import Backlog, measure
from freehold.testing import ManualClock
from tests.conformance.ledger import Noted, ledger, process
from tests.databases import Databases

pytestmark = pytest.mark.guarantee("G2")


async def test_it_measures_what_waits(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    host = await process(databases, ledger(), clock)
    assert await measure(host) == Backlog(0, 0.0, 0, {"publish": 0, "consume": 0})
    for number in range(6):
        async with host.work().transaction() as tx:
            tx.publish(Noted(page="a", number=number))
        clock.advance(seconds=1)
    outbox = host.tables.outbox
    async with host.engine.write() as connection:
        await connection.execute(update(outbox).where(outbox.c.seq == 1).values(published_at=clock.now()))
    assert await measure(host) == Backlog(5, 5.0, 0, {"publish": 0, "consume": 0})
    assert METRICS.registry.get_sample_value("freehold_outbox_pending", {"service": "ledger"}) == 5
    monkeypatch.setattr(backlog, "LIMIT", 3)
    clock.advance(seconds=1)
    measured = await measure(host)
    assert (measured.pending, timedelta(seconds=measured.oldest_seconds)) == (3, timedelta(seconds=6))
