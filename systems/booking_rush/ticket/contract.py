"""What other services may know of ticket: the catalogue, and the seats of its zones."""

from __future__ import annotations

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from freehold import Event, Money, Page, Query, TimeOfDay, Timestamp

EventStatus = Literal["draft", "published", "cancelled", "completed"]
ShowStatus = Literal["scheduled", "on_sale", "sold_out", "cancelled", "completed"]


# --- events: the catalogue --------------------------------------------------------------------------------------------


class EventCreated(Event, name="event.created", topic="ticket.events", key="event_id"):
    event_id: UUID
    tenant_id: UUID
    organizer_id: UUID
    category_id: UUID | None
    name: str
    slug: str
    status: EventStatus
    max_tickets_per_user: int
    created_at: Timestamp


class EventPublished(Event, name="event.published", topic="ticket.events", key="event_id"):
    event_id: UUID
    tenant_id: UUID
    name: str
    slug: str
    venue_name: str | None
    booking_start_at: Timestamp | None
    booking_end_at: Timestamp | None
    max_tickets_per_user: int
    published_at: Timestamp


class EventUpdated(Event, name="event.updated", topic="ticket.events", key="event_id"):
    event_id: UUID
    tenant_id: UUID
    name: str
    slug: str
    status: EventStatus
    changed: list[str]
    updated_at: Timestamp


class EventCancelled(Event, name="event.cancelled", topic="ticket.events", key="event_id"):
    event_id: UUID
    tenant_id: UUID
    name: str
    reason: str | None
    show_ids: list[UUID]
    cancelled_at: Timestamp


class ShowCreated(Event, name="show.created", topic="ticket.events", key="event_id"):
    show_id: UUID
    event_id: UUID
    tenant_id: UUID
    name: str | None
    show_date: date
    start_time: TimeOfDay
    status: ShowStatus
    sale_start_at: Timestamp | None
    sale_end_at: Timestamp | None


class ShowUpdated(Event, name="show.updated", topic="ticket.events", key="event_id"):
    show_id: UUID
    event_id: UUID
    tenant_id: UUID
    show_date: date
    start_time: TimeOfDay
    status: ShowStatus
    previous_status: ShowStatus
    updated_at: Timestamp


class ShowCancelled(Event, name="show.cancelled", topic="ticket.events", key="event_id"):
    show_id: UUID
    event_id: UUID
    tenant_id: UUID
    reason: str | None
    cancelled_at: Timestamp


# --- events: the seats ------------------------------------------------------------------------------------------------


class ZoneInventoryUpdated(Event, name="zone.inventory.updated", topic="ticket.inventory", key="zone_id"):
    """Anything about a zone changed. `capacity_change`: seats added (or, negative, taken away) by the organizer."""

    zone_id: UUID
    show_id: UUID
    event_id: UUID
    tenant_id: UUID
    name: str
    price: Money
    currency: str
    total_seats: int
    available_seats: int
    reserved_seats: int
    sold_seats: int
    min_per_order: int
    max_per_order: int
    is_active: bool
    on_sale: bool
    capacity_change: int
    cause: str
    updated_at: Timestamp


class ZoneSoldOut(Event, name="zone.sold_out", topic="ticket.inventory", key="zone_id"):
    zone_id: UUID
    show_id: UUID
    event_id: UUID
    tenant_id: UUID
    total_seats: int
    sold_seats: int
    reserved_seats: int
    at: Timestamp


# --- queries ----------------------------------------------------------------------------------------------------------


class ZoneForSale(BaseModel):
    """A zone with its show and event: what a reservation copies, and all that decides whether it may be sold."""

    zone_id: UUID
    show_id: UUID
    event_id: UUID
    tenant_id: UUID
    organizer_id: UUID

    zone_name: str
    price: Money
    currency: str
    total_seats: int
    min_per_order: int
    max_per_order: int
    zone_active: bool
    zone_sale_start_at: Timestamp | None
    zone_sale_end_at: Timestamp | None

    show_date: date
    show_time: TimeOfDay
    show_status: ShowStatus
    show_sale_start_at: Timestamp | None
    show_sale_end_at: Timestamp | None

    event_name: str
    venue_name: str | None
    event_status: EventStatus
    max_tickets_per_user: int
    booking_start_at: Timestamp | None
    booking_end_at: Timestamp | None
    tenant_active: bool


class GetZoneForSale(Query[ZoneForSale], path="/internal/zones/{zone_id}"):
    """404 `ZONE_NOT_FOUND` when the zone, its show or its event does not exist or is deleted."""

    zone_id: UUID


class EventInfo(BaseModel):
    """Whose an event is, and whether it is sold."""

    event_id: UUID
    tenant_id: UUID
    organizer_id: UUID
    name: str
    status: EventStatus


class GetEvent(Query[EventInfo], path="/internal/events/{event_id}"):
    """404 `EVENT_NOT_FOUND` when the event does not exist or is deleted."""

    event_id: UUID


class ZoneSeats(BaseModel):
    """Ticket's own count of a zone."""

    zone_id: UUID
    show_id: UUID
    event_id: UUID
    tenant_id: UUID
    name: str
    total_seats: int
    available_seats: int
    reserved_seats: int
    sold_seats: int


class ListZoneSeats(Query[Page[ZoneSeats]], path="/internal/zones"):
    """The zones of every show that is scheduled, on sale or sold out, a page at a time, in the order of their ids."""

    cursor: str | None = None
    limit: int = 500


class GetZoneSeats(Query[ZoneSeats], path="/internal/zones/{zone_id}/seats"):
    """404 `ZONE_NOT_FOUND` like `GetZoneForSale`."""

    zone_id: UUID


# --- snapshots that views are rebuilt from ----------------------------------------------------------------------------


class EventRow(BaseModel):
    """An event as directories keep one; `version_at` is the last change."""

    event_id: UUID
    tenant_id: UUID
    organizer_id: UUID
    name: str
    status: EventStatus
    deleted: bool
    version_at: Timestamp


class SnapshotEvents(Query[Page[EventRow]], path="/internal/snapshots/events"):
    """Every event, deleted ones too, a page at a time, in the order of their ids."""

    cursor: str | None = None
    limit: int = 500


class ZoneRow(BaseModel):
    """A zone with its show and event as directories keep one.

    `version_at` is the earliest of their last changes: an event later than that may tell more than the row does.
    """

    zone_id: UUID
    show_id: UUID
    event_id: UUID
    tenant_id: UUID
    zone_name: str
    event_name: str
    venue_name: str | None
    show_date: date
    show_time: TimeOfDay
    price: Money
    currency: str
    total_seats: int
    min_per_order: int
    max_per_order: int
    max_tickets_per_user: int
    booking_start_at: Timestamp | None
    booking_end_at: Timestamp | None
    on_sale: bool
    is_active: bool
    sold_out: bool
    version_at: Timestamp


class SnapshotZones(Query[Page[ZoneRow]], path="/internal/snapshots/zones"):
    """Every zone, deleted ones too, a page at a time, in the order of their ids."""

    cursor: str | None = None
    limit: int = 500
