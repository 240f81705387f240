"""The events that ticket publishes, made from its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from systems.booking_rush.ticket.contract import (
    EventCancelled,
    EventCreated,
    EventPublished,
    EventUpdated,
    ShowCancelled,
    ShowCreated,
    ShowStatus,
    ShowUpdated,
    ZoneInventoryUpdated,
    ZoneSoldOut,
)
from systems.booking_rush.ticket.rules import is_selling
from systems.booking_rush.ticket.tables import Event, Show, Zone


def event_created(event: Event) -> EventCreated:
    return EventCreated(
        event_id=event.id,
        tenant_id=event.tenant_id,
        organizer_id=event.organizer_id,
        category_id=event.category_id,
        name=event.name,
        slug=event.slug,
        status=event.status,
        max_tickets_per_user=event.max_tickets_per_user,
        created_at=event.created_at,
    )


def event_published(event: Event, at: datetime) -> EventPublished:
    return EventPublished(
        event_id=event.id,
        tenant_id=event.tenant_id,
        name=event.name,
        slug=event.slug,
        venue_name=event.venue_name,
        booking_start_at=event.booking_start_at,
        booking_end_at=event.booking_end_at,
        max_tickets_per_user=event.max_tickets_per_user,
        published_at=at,
    )


def event_updated(event: Event, changed: Iterable[str]) -> EventUpdated:
    return EventUpdated(
        event_id=event.id,
        tenant_id=event.tenant_id,
        name=event.name,
        slug=event.slug,
        status=event.status,
        changed=sorted(changed),
        updated_at=event.updated_at,
    )


def event_cancelled(event: Event, reason: str | None, show_ids: Sequence[UUID]) -> EventCancelled:
    return EventCancelled(
        event_id=event.id,
        tenant_id=event.tenant_id,
        name=event.name,
        reason=reason,
        show_ids=list(show_ids),
        cancelled_at=event.updated_at,
    )


def show_created(show: Show, event: Event) -> ShowCreated:
    return ShowCreated(
        show_id=show.id,
        event_id=event.id,
        tenant_id=event.tenant_id,
        name=show.name,
        show_date=show.show_date,
        start_time=show.start_time,
        status=show.status,
        sale_start_at=show.sale_start_at,
        sale_end_at=show.sale_end_at,
    )


def show_updated(show: Show, event: Event, previous_status: ShowStatus) -> ShowUpdated:
    return ShowUpdated(
        show_id=show.id,
        event_id=event.id,
        tenant_id=event.tenant_id,
        show_date=show.show_date,
        start_time=show.start_time,
        status=show.status,
        previous_status=previous_status,
        updated_at=show.updated_at,
    )


def show_cancelled(show: Show, event: Event, reason: str | None) -> ShowCancelled:
    return ShowCancelled(
        show_id=show.id, event_id=event.id, tenant_id=event.tenant_id, reason=reason, cancelled_at=show.updated_at
    )


def zone_inventory(zone: Zone, show: Show, event: Event, cause: str, capacity_change: int = 0) -> ZoneInventoryUpdated:
    return ZoneInventoryUpdated(
        zone_id=zone.id,
        show_id=show.id,
        event_id=event.id,
        tenant_id=event.tenant_id,
        name=zone.name,
        price=zone.price,
        currency=zone.currency,
        total_seats=zone.total_seats,
        available_seats=zone.available_seats,
        reserved_seats=zone.reserved_seats,
        sold_seats=zone.sold_seats,
        min_per_order=zone.min_per_order,
        max_per_order=zone.max_per_order,
        is_active=zone.is_active and zone.deleted_at is None,
        on_sale=is_selling(event, show),
        capacity_change=capacity_change,
        cause=cause,
        updated_at=zone.updated_at,
    )


def zone_sold_out(zone: Zone, show: Show, event: Event) -> ZoneSoldOut:
    return ZoneSoldOut(
        zone_id=zone.id,
        show_id=show.id,
        event_id=event.id,
        tenant_id=event.tenant_id,
        total_seats=zone.total_seats,
        sold_seats=zone.sold_seats,
        reserved_seats=zone.reserved_seats,
        at=zone.updated_at,
    )
