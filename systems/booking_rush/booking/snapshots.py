"""What ticket says about zones, kept for seconds, so that a sale does not ask once for each buyer."""

from __future__ import annotations

import asyncio
from contextvars import Context as Variables
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import BaseModel

from freehold import Cache, Problem, Unavailable, Work
from systems.booking_rush.booking.settings import BookingSettings
from systems.booking_rush.ticket.contract import GetZoneForSale, ZoneForSale, ZoneInventoryUpdated


class _Kept(BaseModel):
    zone: ZoneForSale
    at: datetime


class ZoneSnapshots:
    """This process's copies. Many callers who miss the same zone at once ask ticket once.

    While ticket does not answer, a process that has no copy uses one that another process put into the cache.
    """

    def __init__(self, settings: BookingSettings, cache: Cache) -> None:
        self._cache = cache
        self._fresh = timedelta(seconds=settings.snapshot_fresh_seconds)
        self._usable = timedelta(seconds=settings.snapshot_usable_seconds)
        self._kept: dict[UUID, _Kept] = {}
        self._asking: dict[UUID, asyncio.Task[ZoneForSale]] = {}
        self._forgetting: set[asyncio.Task[None]] = set()

    async def get(self, zone_id: UUID, work: Work) -> ZoneForSale:
        """The zone with its show and event.

        Raises Problem: 404 `ZONE_NOT_FOUND`; 503 when ticket does not answer and no usable copy is left.
        """
        kept, now = self._kept.get(zone_id), work.now()
        if kept is not None and now - kept.at <= self._fresh:
            return kept.zone
        try:
            return await self._ask(zone_id, work)
        except Unavailable:
            kept = kept or await self._copy_of_others(zone_id)
            if kept is not None and now - kept.at <= self._usable:
                return kept.zone
            raise Problem(503, "SERVICE_UNAVAILABLE", "The catalogue does not answer. Try again") from None

    async def _ask(self, zone_id: UUID, work: Work) -> ZoneForSale:
        asking = self._asking.get(zone_id)
        if asking is None:
            # In nobody's name, and not ended by the first caller's leaving: the answer is for all of them.
            asking = self._asking[zone_id] = asyncio.create_task(self._load(zone_id, work.as_service()))
        return await asyncio.shield(asking)

    async def _load(self, zone_id: UUID, work: Work) -> ZoneForSale:
        asked_at = work.now()
        try:
            zone = await work.ask(GetZoneForSale(zone_id=zone_id))
            if self._is_current(zone_id):
                kept = self._kept[zone_id] = _Kept(zone=zone, at=asked_at)
                await self._cache.put(_key(zone_id), kept.model_dump_json().encode(), self._usable.total_seconds())
            return zone
        finally:
            if self._is_current(zone_id):
                del self._asking[zone_id]

    async def _copy_of_others(self, zone_id: UUID) -> _Kept | None:
        copy = await self._cache.get(_key(zone_id))
        return None if copy is None else _Kept.model_validate_json(copy)

    def _is_current(self, zone_id: UUID) -> bool:
        """Whether nothing was heard of the zone since this task asked."""
        return self._asking.get(zone_id) is asyncio.current_task()

    def heed(self, event: ZoneInventoryUpdated) -> None:
        """Forget a zone that is sold on other terms now. That its seats are fewer changes no terms."""
        self._asking.pop(event.zone_id, None)
        kept = self._kept.get(event.zone_id)
        if kept is None or not _same_terms(kept.zone, event):
            self._kept.pop(event.zone_id, None)
            forgetting = asyncio.create_task(self._cache.forget(_key(event.zone_id)), context=Variables())
            self._forgetting.add(forgetting)
            forgetting.add_done_callback(self._forgetting.discard)

    def forget_event(self, event_id: UUID) -> None:
        """Forget all zones of an event; others' copies last, but booking's own rows are closed."""
        for zone_id in [zone_id for zone_id, kept in self._kept.items() if kept.zone.event_id == event_id]:
            del self._kept[zone_id]


def _key(zone_id: UUID) -> str:
    return f"zone:{zone_id}"


def _same_terms(zone: ZoneForSale, event: ZoneInventoryUpdated) -> bool:
    on_sale = zone.show_status == "on_sale" and zone.zone_active
    return (
        (zone.price, zone.currency, zone.zone_name, zone.min_per_order, zone.max_per_order)
        == (event.price, event.currency, event.name, event.min_per_order, event.max_per_order)
        and zone.zone_active == event.is_active
        and on_sale == event.on_sale
    )
