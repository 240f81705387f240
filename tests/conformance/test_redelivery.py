"""G3: a bus that delivers an event again while its first delivery still waits changes nothing."""

from __future__ import annotations

import asyncio

import pytest

from freehold import uuid7
from freehold.model.envelope import Envelope
from tests.conformance.shop import open_shop, placed
from tests.databases import Databases

pytestmark = pytest.mark.guarantee("G3")


@pytest.mark.parametrize("batch", [None, 100])
async def test_an_event_twice_among_those_that_wait_has_its_effects_once(
    databases: Databases, batch: int | None
) -> None:
    async with open_shop(databases) as shop:
        shop.handle("pay", batch=batch)
        await shop.start()
        envelopes = []
        for number in range(1, 4):
            event = placed(number)
            spec = event.__message__
            now = shop.clock.now()
            envelopes.append(
                Envelope(
                    uuid7(), spec.name, spec.version, "orders", spec.topic, event.key, now, event.model_dump_json()
                )
            )
        group = shop.units["payments"].group

        await asyncio.gather(*(group.deliver(envelope) for envelope in envelopes * 3))

        assert sorted(await shop.seen()) == [1, 2, 3]
