"""What ticket does by the clock."""

from __future__ import annotations

from sqlalchemy import func, select

from freehold import Tx, Work
from systems.booking_rush.ticket import facts
from systems.booking_rush.ticket.declaration import ticket
from systems.booking_rush.ticket.inventory import announce_zones, change_status, settle_sales
from systems.booking_rush.ticket.rules import OPEN_SHOWS, is_event_over, is_over, is_paused
from systems.booking_rush.ticket.tables import Event, Show, Zone

AT_ONCE = 200


@ticket.every(seconds=30)
async def show_status_clock(work: Work) -> None:
    """Start sales whose time has come, complete shows whose date has passed, and events whose shows are all over."""
    await work.run(start_sales)
    await work.run(complete_shows)
    await work.run(complete_events)


async def start_sales(tx: Tx) -> None:
    """Scheduled shows of published events go on sale at `sale_start_at`, unless their owner paused them."""
    due = (
        select(Show, Event)
        .join(Event, Event.id == Show.event_id)
        .where(Show.status == "scheduled", Show.deleted_at.is_(None), Show.sale_start_at <= tx.now())
        .where(Event.status == "published", Event.deleted_at.is_(None))
        .order_by(Show.id)
        .with_for_update(of=Show)
    )
    for show, event in (await tx.execute(due)).all():
        if is_paused(show) or is_over(show, tx.now()):
            continue
        change_status(show, event, "on_sale", tx)
        await settle_sales([show], {event.id: event}, tx)
        await announce_zones([show], event, "show.on_sale", tx)


async def complete_shows(tx: Tx) -> None:
    """Open shows whose date has passed are over."""
    past = (
        select(Show, Event)
        .join(Event, Event.id == Show.event_id)
        .where(Show.status.in_(OPEN_SHOWS), Show.deleted_at.is_(None), Show.show_date <= tx.now().date())
        .order_by(Show.show_date, Show.id)
        .limit(AT_ONCE)
        .with_for_update(of=Show)
    )
    for show, event in (await tx.execute(past)).all():
        if is_over(show, tx.now()):
            change_status(show, event, "completed", tx)
            await announce_zones([show], event, "show.completed", tx)


async def complete_events(tx: Tx) -> None:
    """A published event is completed when all of its shows are completed or cancelled."""
    over = select(Show.event_id).where(Show.status == "completed", Show.deleted_at.is_(None))
    events = select(Event).where(Event.status == "published", Event.deleted_at.is_(None), Event.id.in_(over))
    for event in await tx.scalars(events.order_by(Event.id).limit(AT_ONCE).with_for_update()):
        shows = await tx.scalars(select(Show).where(Show.event_id == event.id, Show.deleted_at.is_(None)))
        if is_event_over(shows):
            event.status, event.updated_at = "completed", tx.now()
            tx.publish(facts.event_updated(event, ["status"]))


@ticket.every(seconds=60)
async def capacity_recount(tx: Tx) -> None:
    """Set the counts of a show that are not the sums over its living zones."""
    sums = (
        select(
            Zone.show_id.label("show_id"),
            func.sum(Zone.total_seats).label("total"),
            func.sum(Zone.reserved_seats).label("reserved"),
            func.sum(Zone.sold_seats).label("sold"),
        )
        .where(Zone.deleted_at.is_(None))
        .group_by(Zone.show_id)
        .subquery()
    )
    counted = (
        select(Show.id, *(func.coalesce(sums.c[name], 0).label(name) for name in ("total", "reserved", "sold")))
        .outerjoin(sums, sums.c.show_id == Show.id)
        .where(
            (Show.total_capacity != func.coalesce(sums.c.total, 0))
            | (Show.reserved_count != func.coalesce(sums.c.reserved, 0))
            | (Show.sold_count != func.coalesce(sums.c.sold, 0))
        )
    )
    suspects = [row.id for row in await tx.execute(counted)]
    for show_id in sorted(suspects):
        show = await tx.get(Show, show_id, lock=True)  # now nobody moves its seats: count once more
        row = (await tx.execute(counted.where(Show.id == show_id))).one_or_none()
        if show is not None and row is not None:
            show.total_capacity, show.reserved_count, show.sold_count = row.total, row.reserved, row.sold
            show.updated_at = tx.now()
