"""The bus without a broker: relays and consumer groups of one process. Durable, because the outbox is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from freehold.buses.acknowledgement import all_of
from freehold.model.envelope import Envelope
from freehold.model.ports import Deliver


class LocalBus:
    """Hands each event to every subscribed group and acknowledges it when all have committed or parked it.

    One process consumes; whoever builds it makes sure of that.
    """

    def __init__(self) -> None:
        self._groups: dict[str, list[Deliver]] = {}

    async def publish(self, events: Sequence[Envelope]) -> Sequence[asyncio.Future[None]]:
        """One future for each event, in order. An event that nobody subscribed to is done at once."""
        return [all_of([deliver(event) for deliver in self._groups.get(event.type, ())]) for event in events]

    async def subscribe(self, group: str, events: Sequence[str], topics: Sequence[str], deliver: Deliver) -> None:
        """Deliver these event types to the group. Topics mean nothing here."""
        for name in events:
            self._groups.setdefault(name, []).append(deliver)

    async def ping(self) -> None:
        """It is there as long as the process is."""

    async def close(self) -> None:
        """Deliver nothing more."""
        self._groups.clear()
