"""Keeping the counts true: against the bookings, which decide, and against ticket, which follows."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from sqlalchemy import func, select

from freehold import Level, Tx, Unavailable, Work
from systems.booking_rush.booking.live_seats import LiveSeats
from systems.booking_rush.booking.metrics import ACTIVE, DRIFT, OUT_OF_STEP, OVERSOLD
from systems.booking_rush.booking.seats import OPEN, count_zone, hold_zones
from systems.booking_rush.booking.tables import Booking, ZoneInventory
from systems.booking_rush.ticket.contract import ListZoneSeats, ZoneSeats

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Drift:
    """A count that was wrong, or that another disagrees with: `counted` should have been `true`."""

    zone_id: UUID
    what: str
    counted: int
    true: int


@dataclass(slots=True)
class Report:
    """What a comparison found. `repaired` are counts of booking's own; ticket's repair themselves as events arrive.

    `oversold` is never repaired: more is taken (`true`) than there is (`counted`), until bookings are given back.
    `counters_made` live counters were absent.
    """

    zones: int = 0
    repaired: list[Drift] = field(default_factory=list)
    elsewhere: list[Drift] = field(default_factory=list)
    oversold: list[Drift] = field(default_factory=list)
    counters_made: int = 0


async def reconcile(work: Work, page: int) -> Report:
    """Add up what changed since the last time, mend what is wrong, and report what ticket sees differently."""
    report = Report()
    async with work.transaction(readonly=True) as tx:
        changed = ZoneInventory.revision != ZoneInventory.checked_revision
        zones = list(await tx.scalars(select(ZoneInventory.zone_id).where(changed).order_by(ZoneInventory.zone_id)))
    for start in range(0, len(zones), page):
        some = zones[start : start + page]
        report.repaired += await work.run(partial(_recount, some))
        report.zones += len(some)
    await _tell_counters(work, page, report)
    report.oversold = await _oversold(work)
    try:
        report.elsewhere = [drift async for drift in _compare_with_ticket(work, page)]
    except Unavailable:
        log.warning("the counts were not compared with ticket's: it does not answer")
    else:
        OUT_OF_STEP.set(len({drift.zone_id for drift in report.elsewhere}))
    OVERSOLD.set(len(report.oversold))
    DRIFT.inc(len(report.repaired))
    for drift in report.oversold:
        log.error("zone %s is oversold: %s of %s seats are taken", drift.zone_id, drift.true, drift.counted)
    for drift in report.repaired:
        log.error("zone %s: %s was %s, mended to %s", drift.zone_id, drift.what, drift.counted, drift.true)
    for drift in report.elsewhere:
        log.info("zone %s: ticket's %s is %s, ours %s", drift.zone_id, drift.what, drift.counted, drift.true)
    return report


async def _recount(zone_ids: list[UUID], tx: Tx) -> list[Drift]:
    """Holding the zones: nobody takes or gives back seats of theirs meanwhile."""
    zones = await hold_zones(tx, ZoneInventory.zone_id.in_(zone_ids))
    rows = await tx.execute(
        select(Booking.zone_id, func.sum(Booking.quantity))
        .where(Booking.zone_id.in_(zone_ids), OPEN)
        .group_by(Booking.zone_id)
    )
    truth = {zone_id: int(taken) for zone_id, taken in rows}
    drifts = []
    for zone in zones.values():
        taken = truth.get(zone.zone_id, 0)
        if taken != zone.taken:
            drifts.append(Drift(zone.zone_id, "taken", zone.taken, taken))
            zone.add_up(taken)
        zone.checked_revision = zone.revision
    return drifts


async def _tell_counters(work: Work, page: int, report: Report) -> None:
    try:
        await _compare_live(work, page, report)
    except Unavailable:
        log.warning("the live counters were not compared: the store does not answer")


async def _compare_live(work: Work, page: int, report: Report) -> None:
    """Make the live counters that are absent, and mend those that say what their row never said."""
    live, after = work.use(LiveSeats), UUID(int=0)
    while True:
        some = select(ZoneInventory.zone_id).where(ZoneInventory.zone_id > after).order_by(ZoneInventory.zone_id)
        async with work.transaction(readonly=True) as tx:
            zone_ids = list(await tx.scalars(some.limit(page)))
        levels = await live.levels(zone_ids)
        # The rows after the counters: none can be older than what its counter was told.
        async with work.transaction(readonly=True) as tx:
            zones = await counts(zone_ids, tx)
        for zone_id, zone in zones.items():
            level = levels.get(zone_id)
            if level is None or level.version > zone.revision:  # lost, or the counter of a row that was lost
                report.counters_made += 1
                await live.forget(zone_id)
            elif level.version == zone.revision and level.left != zone.left:
                report.repaired.append(Drift(zone_id, "live counter", level.left, zone.left))
        live.follow(zone for zone_id, zone in zones.items() if levels.get(zone_id) != Level(zone.left, zone.revision))
        if len(zone_ids) < page:
            break
        after = zone_ids[-1]
    await live.told()
    if report.counters_made:
        log.warning("%s live counters were absent, and are made from their rows", report.counters_made)


async def _oversold(work: Work) -> list[Drift]:
    """Every zone with more seats taken than it has, as often as it is looked at."""
    async with work.transaction(readonly=True) as tx:
        zones = await tx.scalars(select(ZoneInventory).where(ZoneInventory.oversold > 0))
        return [Drift(zone.zone_id, "taken", zone.total_seats, zone.taken) for zone in zones]


async def count_active(work: Work) -> None:
    """Measure the holds that wait for their payment."""
    held = select(func.count()).select_from(Booking).where(Booking.status == "reserved")
    async with work.transaction(readonly=True) as tx:
        ACTIVE.set(await tx.scalar(held))


async def _compare_with_ticket(work: Work, page: int) -> AsyncIterator[Drift]:
    async for batch in ticket_pages(work, page):
        async with work.transaction(readonly=True) as tx:
            counted = await counts([seats.zone_id for seats in batch], tx)
        for seats in batch:
            zone = counted.get(seats.zone_id)
            if zone is None:
                continue
            if zone.total_seats != seats.total_seats:
                yield Drift(zone.zone_id, "total_seats", seats.total_seats, zone.total_seats)
            if zone.left != seats.available_seats:
                yield Drift(zone.zone_id, "available_seats", seats.available_seats, zone.left)


async def ticket_pages(work: Work, page: int) -> AsyncIterator[list[ZoneSeats]]:
    """Ticket's counts, a page at a time."""
    cursor: str | None = None
    while True:
        answer = await work.ask(ListZoneSeats(cursor=cursor, limit=page))
        yield answer.data
        cursor = answer.next_cursor
        if cursor is None:
            return


async def counts(zone_ids: list[UUID], tx: Tx) -> dict[UUID, ZoneInventory]:
    """Booking's counts of these zones."""
    rows = await tx.scalars(select(ZoneInventory).where(ZoneInventory.zone_id.in_(zone_ids)))
    return {zone.zone_id: zone for zone in rows}


async def sync(work: Work, page: int) -> int:
    """Count every zone that ticket sells, and add all counts up anew; how many zones."""
    zones = 0
    async for batch in ticket_pages(work, page):
        await work.run(partial(_count_all, batch))
        zones += len(batch)
    await _tell_counters(work, page, Report())
    return zones


async def _count_all(batch: list[ZoneSeats], tx: Tx) -> None:
    for seats in batch:
        await count_zone(seats, seats.name, tx)
    await _recount([seats.zone_id for seats in batch], tx)
