"""What follows from a change of seats: who is told, and when a show is sold out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import func, select

from freehold import Tx
from systems.booking_rush.ticket import facts
from systems.booking_rush.ticket.contract import ShowStatus
from systems.booking_rush.ticket.rules import sellout
from systems.booking_rush.ticket.tables import Event, Show, Zone


def change_status(show: Show, event: Event, status: ShowStatus, tx: Tx) -> None:
    """Give the show its new status, if it is one, and tell."""
    previous, show.status, show.updated_at = show.status, status, tx.now()
    if previous != status:
        tx.publish(facts.show_updated(show, event, previous))


async def settle_sales(shows: Sequence[Show], events: dict[object, Event], tx: Tx) -> None:
    """Sold out with the last seat, on sale again when one comes back."""
    await tx.flush()
    living = select(Zone.show_id, func.sum(Zone.available_seats)).where(
        Zone.show_id.in_([show.id for show in shows]), Zone.is_active, Zone.deleted_at.is_(None)
    )
    left = {show_id: int(seats) for show_id, seats in await tx.execute(living.group_by(Zone.show_id))}
    for show in shows:
        status = sellout(show, left.get(show.id, 0))
        if status != show.status:
            change_status(show, events[show.event_id], status, tx)


async def announce_zones(shows: Iterable[Show], event: Event, cause: str, tx: Tx) -> None:
    """Tell how all zones of these shows stand, after their event or show changed."""
    by_id = {show.id: show for show in shows}
    await tx.flush()
    zones = select(Zone).where(Zone.show_id.in_(by_id), Zone.deleted_at.is_(None)).order_by(Zone.id)
    for zone in await tx.scalars(zones.with_for_update()):
        zone.updated_at = tx.now()
        tx.publish(facts.zone_inventory(zone, by_id[zone.show_id], event, cause))
