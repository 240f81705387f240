"""What ticket tells its siblings."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Row, Select, case, select

from freehold import Page, Tx, not_found, page_of
from systems.booking_rush.ticket.contract import (
    EventInfo,
    EventRow,
    GetEvent,
    GetZoneForSale,
    GetZoneSeats,
    ListZoneSeats,
    SnapshotEvents,
    SnapshotZones,
    ZoneForSale,
    ZoneRow,
    ZoneSeats,
)
from systems.booking_rush.ticket.declaration import ticket
from systems.booking_rush.ticket.rules import OPEN_SHOWS, SELLING
from systems.booking_rush.ticket.tables import Event, Show, TenantDirectory, Zone

LIVING = Zone.deleted_at.is_(None) & Show.deleted_at.is_(None) & Event.deleted_at.is_(None)


@ticket.answers(GetZoneForSale)
async def get_zone_for_sale(query: GetZoneForSale, tx: Tx) -> ZoneForSale:
    return ZoneForSale.model_validate(await _one(_FOR_SALE.where(Zone.id == query.zone_id), tx), from_attributes=True)


@ticket.answers(GetEvent)
async def get_event(query: GetEvent, tx: Tx) -> EventInfo:
    rows = await _rows(_EVENTS.where(Event.id == query.event_id, Event.deleted_at.is_(None)), tx)
    if not rows:
        raise not_found("The event", "EVENT_NOT_FOUND")
    return EventInfo.model_validate(rows[0], from_attributes=True)


@ticket.answers(GetZoneSeats)
async def get_zone_seats(query: GetZoneSeats, tx: Tx) -> ZoneSeats:
    return ZoneSeats.model_validate(await _one(_SEATS.where(Zone.id == query.zone_id), tx), from_attributes=True)


@ticket.answers(ListZoneSeats)
async def list_zone_seats(query: ListZoneSeats, tx: Tx) -> Page[ZoneSeats]:
    page = page_of(_SEATS.where(Show.status.in_(OPEN_SHOWS)), query, by=Zone.id)
    rows = [ZoneSeats.model_validate(row, from_attributes=True) for row in await _rows(page, tx)]
    return Page[ZoneSeats].of(rows, query, "zone_id")


@ticket.answers(SnapshotEvents)
async def snapshot_events(query: SnapshotEvents, tx: Tx) -> Page[EventRow]:
    page = page_of(_EVENTS, query, by=Event.id)
    rows = [EventRow.model_validate(row, from_attributes=True) for row in await _rows(page, tx)]
    return Page[EventRow].of(rows, query, "event_id")


@ticket.answers(SnapshotZones)
async def snapshot_zones(query: SnapshotZones, tx: Tx) -> Page[ZoneRow]:
    page = page_of(_DIRECTORY, query, by=Zone.id)
    rows = [_zone_row(row) for row in await _rows(page, tx)]
    return Page[ZoneRow].of(rows, query, "zone_id")


def _zone_row(row: Row[Any]) -> ZoneRow:
    known = {**row._mapping, "version_at": min(row.zone_updated_at, row.show_updated_at, row.event_updated_at)}
    return ZoneRow.model_validate(known)


async def _rows(statement: Select[*tuple[Any, ...]], tx: Tx) -> list[Row[Any]]:
    """The rows, whatever the tenant of the user on whose behalf a sibling asks: booking tells a foreign one itself."""
    return list((await (await tx.connection()).execute(statement)).all())


async def _one(statement: Select[Any], tx: Tx) -> Row[Any]:
    rows = await _rows(statement, tx)
    if not rows:
        raise not_found("The zone", "ZONE_NOT_FOUND")
    return rows[0]


def _all_zones(*columns: ColumnElement[Any] | Any) -> Select[Any]:
    return select(*columns).join(Show, Show.id == Zone.show_id).join(Event, Event.id == Show.event_id)


def _zones(*columns: ColumnElement[Any] | Any) -> Select[Any]:
    return _all_zones(*columns).where(LIVING)


_EVENTS = select(
    Event.id.label("event_id"), Event.tenant_id, Event.organizer_id, Event.name, Event.status,
    Event.deleted_at.is_not(None).label("deleted"), Event.updated_at.label("version_at"),
)  # fmt: skip

_SEATS = _zones(
    Zone.id.label("zone_id"), Show.id.label("show_id"), Event.id.label("event_id"), Event.tenant_id, Zone.name,
    Zone.total_seats, Zone.available_seats, Zone.reserved_seats, Zone.sold_seats,
)  # fmt: skip

_FOR_SALE = _zones(
    Zone.id.label("zone_id"), Show.id.label("show_id"), Event.id.label("event_id"), Event.tenant_id,
    Event.organizer_id,
    Zone.name.label("zone_name"), Zone.price, Zone.currency, Zone.total_seats, Zone.min_per_order,
    Zone.max_per_order, Zone.is_active.label("zone_active"), Zone.sale_start_at.label("zone_sale_start_at"),
    Zone.sale_end_at.label("zone_sale_end_at"),
    Show.show_date, Show.start_time.label("show_time"), Show.status.label("show_status"),
    Show.sale_start_at.label("show_sale_start_at"), Show.sale_end_at.label("show_sale_end_at"),
    Event.name.label("event_name"), Event.venue_name, Event.status.label("event_status"),
    Event.max_tickets_per_user, Event.booking_start_at, Event.booking_end_at,
    # A tenant that ticket has not heard of yet is not known to be inactive.
    case((TenantDirectory.is_active.is_(False), False), else_=True).label("tenant_active"),
).outerjoin(TenantDirectory, TenantDirectory.tenant_id == Event.tenant_id)  # fmt: skip

_DIRECTORY = _all_zones(
    Zone.id.label("zone_id"), Show.id.label("show_id"), Event.id.label("event_id"), Event.tenant_id,
    Zone.name.label("zone_name"), Event.name.label("event_name"), Event.venue_name,
    Show.show_date, Show.start_time.label("show_time"), Zone.price, Zone.currency, Zone.total_seats,
    Zone.min_per_order, Zone.max_per_order, Event.max_tickets_per_user, Event.booking_start_at, Event.booking_end_at,
    ((Event.status == "published") & Event.deleted_at.is_(None) & Show.status.in_(SELLING)).label("on_sale"),
    (Zone.is_active & Zone.deleted_at.is_(None)).label("is_active"),
    (Zone.available_seats == 0).label("sold_out"), Zone.updated_at.label("zone_updated_at"),
    Show.updated_at.label("show_updated_at"), Event.updated_at.label("event_updated_at"),
)  # fmt: skip
