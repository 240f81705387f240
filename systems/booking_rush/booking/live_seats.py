"""The seats that are left, where every process sees them without asking the database."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from contextvars import Context as Variables
from uuid import UUID

from freehold import Counters, Level, Unavailable
from systems.booking_rush.booking.tables import ZoneInventory


def name(zone_id: UUID) -> str:
    """What a zone's counter is called."""
    return f"zone:availability:{zone_id}"


class LiveSeats:
    """A counter for each zone that follows the zone's row, which alone decides.

    It is told in the background after each commit, the newest revision of a zone only. What the store did not take
    waits for the next commit; what was not told since the process died, the reconciler tells.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._news: dict[UUID, tuple[int, int]] = {}
        self._telling: asyncio.Task[None] | None = None
        self._looking: dict[UUID, asyncio.Task[Level | None]] = {}

    def follow(self, zones: Iterable[ZoneInventory]) -> None:
        """These rows were committed so."""
        for zone in zones:
            self._news[zone.zone_id] = max(self._news.get(zone.zone_id, (0, 0)), (zone.revision, zone.left))
        if self._news and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._tell(), context=Variables())

    async def told(self) -> None:
        """Until the counters were told what this process has news of, or the store was found away."""
        if self._telling is not None:
            await asyncio.shield(self._telling)

    async def _tell(self) -> None:
        try:
            while self._news:
                zone_id, news = next(iter(self._news.items()))
                revision, left = news
                await self._counters.set(name(zone_id), left, revision)
                if self._news[zone_id] == news:
                    del self._news[zone_id]
        except Unavailable:
            return

    async def still(self, zone_id: UUID, revision: int) -> bool:
        """Whether nothing has changed in the zone since this revision, in any process.

        Many who ask at the same time ask the store once.
        """
        if not self._counters.shared:
            return False
        looking = self._looking.get(zone_id)
        if looking is None:
            looking = self._looking[zone_id] = asyncio.create_task(self._look(zone_id), context=Variables())
        level = await asyncio.shield(looking)
        return level is not None and level.version == revision

    async def _look(self, zone_id: UUID) -> Level | None:
        try:
            return (await self._counters.levels([name(zone_id)])).get(name(zone_id))
        except Unavailable:
            return None
        finally:
            del self._looking[zone_id]

    async def levels(self, zone_ids: Collection[UUID]) -> dict[UUID, Level]:
        """The counters of these zones; absent ones are missing. Raises Unavailable."""
        await self.told()
        found = await self._counters.levels(map(name, zone_ids))
        return {zone_id: found[name(zone_id)] for zone_id in zone_ids if name(zone_id) in found}

    async def forget(self, zone_id: UUID) -> None:
        """Remove the zone's counter. Raises Unavailable."""
        await self._counters.forget(counters=[name(zone_id)])

    async def aclose(self) -> None:
        """Tell what is left to tell."""
        await self.told()
