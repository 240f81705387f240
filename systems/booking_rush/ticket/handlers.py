"""How ticket follows the bookings: seats move between available, reserved and sold."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from sqlalchemy import select

from freehold import Retry, Tx
from systems.booking_rush.booking.contract import (
    BookingCancelled,
    BookingConfirmed,
    BookingExpired,
    BookingFact,
    BookingReserved,
)
from systems.booking_rush.ticket import facts
from systems.booking_rush.ticket.declaration import ticket
from systems.booking_rush.ticket.inventory import settle_sales
from systems.booking_rush.ticket.rules import apply, move_of
from systems.booking_rush.ticket.tables import Event, Show, Zone

T = TypeVar("T", Show, Zone)

A_MINUTE = Retry(times=8, first=1, longest=15)
"""Events of different bookings overtake each other: one that a CHECK refuses is put aside for about 60 s in all."""


@ticket.on(
    BookingReserved, BookingConfirmed, BookingCancelled, BookingExpired,
    name="seat_counts", batch=1000, retry=A_MINUTE,
)  # fmt: skip
async def count_seats(bookings: list[BookingFact], tx: Tx) -> None:
    """Move the seats of a whole batch, then tell how each zone stands."""
    shows = await _locked(Show, {booking.show_id for booking in bookings}, tx)
    zones = await _locked(Zone, {booking.zone_id for booking in bookings}, tx)
    wanted = select(Event).where(Event.id.in_({show.event_id for show in shows.values()}))
    events = {event.id: event for event in await tx.scalars(wanted)}
    before = {zone.id: zone.available_seats for zone in zones.values()}
    causes: dict[UUID, str] = {}
    for booking in bookings:
        zone, show = zones[booking.zone_id], shows[booking.show_id]
        apply(move_of(booking), zone, show)
        zone.updated_at = show.updated_at = tx.now()
        causes[booking.zone_id] = booking.__message__.name
    await settle_sales(list(shows.values()), events, tx)
    for zone in zones.values():
        show = shows[zone.show_id]
        event = events[show.event_id]
        tx.publish(facts.zone_inventory(zone, show, event, causes[zone.id]))
        if zone.available_seats == 0 < before[zone.id]:
            tx.publish(facts.zone_sold_out(zone, show, event))


async def _locked(table: type[T], ids: set[UUID], tx: Tx) -> dict[UUID, T]:
    """The rows, locked in the order of their ids. Raises LookupError unless all are there."""
    rows = await tx.scalars(select(table).where(table.id.in_(ids)).order_by(table.id).with_for_update())
    found = {row.id: row for row in rows}
    if missing := ids - found.keys():
        raise LookupError(f"{table.__tablename__} has no {', '.join(map(str, missing))}")
    return found
