"""The zones of a show: prices and seats."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import select

from freehold import Listing, Paging, Problem, Tx, User, list_rows, public, role
from systems.booking_rush.ticket import facts
from systems.booking_rush.ticket.bodies import Done, NewZone, ZoneChanges, ZoneDetails, ZoneList
from systems.booking_rush.ticket.catalogue import (
    edit_show,
    edit_zone,
    is_visible,
    require_window,
    show_show_to,
    show_zone_to,
)
from systems.booking_rush.ticket.declaration import ticket
from systems.booking_rush.ticket.inventory import settle_sales
from systems.booking_rush.ticket.rules import EDITORS, require_no_bookings, require_open, resize
from systems.booking_rush.ticket.tables import Event, Show, Zone

editor = role(*EDITORS)


@ticket.get("/zones/active", access=public, invalid="BAD_REQUEST")
async def list_active_zones(query: Annotated[Paging, Query()], tx: Tx) -> Listing[ZoneDetails]:
    """Every active zone of a show that is on sale."""
    found = (
        select(Zone)
        .join(Show, Show.id == Zone.show_id)
        .join(Event, Event.id == Show.event_id)
        .where(Zone.is_active, Zone.deleted_at.is_(None), Show.status == "on_sale", Show.deleted_at.is_(None))
        .where(is_visible())
    )
    return await list_rows(tx, found, query, order_by=Zone.created_at, show=ZoneDetails.model_validate)


@ticket.get("/zones/{id}", access=public, errors=[404])
async def show_zone(id: UUID, tx: Tx, caller: User | None) -> ZoneDetails:
    """A zone."""
    return ZoneDetails.model_validate(await show_zone_to(caller, id, tx))


@ticket.get("/shows/{id}/zones", access=public, invalid="BAD_REQUEST", errors=[404])
async def list_zones(
    id: UUID, query: Annotated[ZoneList, Query()], tx: Tx, caller: User | None
) -> Listing[ZoneDetails]:
    """The zones of a show, in the organizer's order."""
    show, _ = await show_show_to(caller, id, tx)
    found = select(Zone).where(Zone.show_id == show.id, Zone.deleted_at.is_(None))
    if query.is_active is not None:
        found = found.where(Zone.is_active == query.is_active)
    return await list_rows(tx, found, query, order_by=Zone.sort_order, show=ZoneDetails.model_validate)


@ticket.post("/shows/{id}/zones", access=editor, status_code=201, invalid="BAD_REQUEST", errors=[404, 409])
async def create_zone(id: UUID, body: NewZone, tx: Tx, caller: User) -> ZoneDetails:
    """Add a zone, all of its seats available."""
    show, event = await edit_show(id, tx, caller)
    require_open(event, show)
    zone = Zone(
        **body.model_dump(),
        show_id=show.id,
        available_seats=body.total_seats,
        reserved_seats=0,
        sold_seats=0,
        is_active=True,
        created_at=tx.now(),
        updated_at=tx.now(),
    )
    _require_sound(zone)
    tx.add(zone)
    show.total_capacity += zone.total_seats
    await settle_sales([show], {event.id: event}, tx)
    tx.publish(facts.zone_inventory(zone, show, event, "zone.created", zone.total_seats))
    tx.audit("create", "zone", zone.id, after=body.model_dump(mode="json"))
    return ZoneDetails.model_validate(zone)


@ticket.put("/zones/{id}", access=editor, invalid="BAD_REQUEST", errors=[404, 409])
async def change_zone(id: UUID, body: ZoneChanges, tx: Tx, caller: User) -> ZoneDetails:
    """Change a zone. Bookings keep the price and the name that they copied."""
    zone, show, event = await edit_zone(id, tx, caller)
    changes = body.given()
    before = ZoneDetails.model_validate(zone).model_dump(mode="json", include=set(changes))
    added = resize(zone, show, changes.pop("total_seats", zone.total_seats))
    for column, value in changes.items():
        setattr(zone, column, value)
    _require_sound(zone)
    zone.updated_at = tx.now()
    await settle_sales([show], {event.id: event}, tx)
    tx.publish(facts.zone_inventory(zone, show, event, "zone.updated", added))
    tx.audit("update", "zone", id, before=before, after=body.model_dump(mode="json", exclude_unset=True))
    return ZoneDetails.model_validate(zone)


@ticket.delete("/zones/{id}", access=editor, errors=[404, 409])
async def delete_zone(id: UUID, tx: Tx, caller: User) -> Done:
    """Delete a zone that nobody has booked."""
    zone, show, event = await edit_zone(id, tx, caller)
    require_no_bookings(zone.committed_seats)
    zone.deleted_at = zone.updated_at = tx.now()
    show.total_capacity -= zone.total_seats
    await settle_sales([show], {event.id: event}, tx)
    tx.publish(facts.zone_inventory(zone, show, event, "zone.deleted", -zone.total_seats))
    tx.audit("delete", "zone", id, before={"name": zone.name})
    return Done(message="The zone is deleted")


def _require_sound(zone: Zone) -> None:
    """400 for what the fields do not show each by itself."""
    require_window(zone.sale_start_at, zone.sale_end_at, "sale")
    if zone.max_per_order < zone.min_per_order:
        raise Problem(400, "BAD_REQUEST", "max_per_order: it is below min_per_order")
