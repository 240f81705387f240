"""Booking's copies of what others own."""

from __future__ import annotations

from freehold import Change, View
from systems.booking_rush.auth.contract import (
    SnapshotTenants,
    SnapshotUsers,
    TenantCreated,
    TenantUpdated,
    UserCreated,
    UserDeleted,
    UserUpdated,
)
from systems.booking_rush.booking.declaration import booking
from systems.booking_rush.booking.tables import TenantDirectory, UserDirectory, ZoneDirectory
from systems.booking_rush.ticket.contract import (
    EventCancelled,
    EventPublished,
    EventUpdated,
    ShowUpdated,
    SnapshotZones,
    ZoneInventoryUpdated,
    ZoneSoldOut,
)

tenants = booking.view(View("tenant_directory", table=TenantDirectory, key="tenant_id", rebuild=SnapshotTenants))
users = booking.view(View("user_directory", table=UserDirectory, key="user_id", rebuild=SnapshotUsers))
zones = booking.view(View("zone_directory", table=ZoneDirectory, key="zone_id", rebuild=SnapshotZones))


# --- tenants ----------------------------------------------------------------------------------------------------------


@tenants.on(TenantCreated)
def tenant_created(event: TenantCreated) -> Change:
    return Change(event.model_dump(include={"tenant_id", "slug", "name", "is_active"}), version=event.created_at)


@tenants.on(TenantUpdated)
def tenant_updated(event: TenantUpdated) -> Change:
    return Change(event.model_dump(include={"tenant_id", "slug", "name", "is_active"}), version=event.updated_at)


# --- users ------------------------------------------------------------------------------------------------------------

_USER = {"user_id", "tenant_id", "email", "name", "is_active"}


@users.on(UserCreated)
def user_created(event: UserCreated) -> Change:
    return Change({**event.model_dump(include=_USER), "deleted": False}, version=event.created_at)


@users.on(UserUpdated)
def user_updated(event: UserUpdated) -> Change:
    return Change({**event.model_dump(include=_USER), "deleted": False}, version=event.updated_at)


@users.on(UserDeleted)
def user_deleted(event: UserDeleted) -> Change:
    return Change(
        {"user_id": event.user_id, "tenant_id": event.tenant_id, "is_active": False, "deleted": True},
        version=event.deleted_at,
    )


# --- zones ------------------------------------------------------------------------------------------------------------

_ZONE = {
    "zone_id", "show_id", "event_id", "tenant_id", "price", "currency", "total_seats", "min_per_order", "max_per_order",
    "is_active", "on_sale",
}  # fmt: skip


@zones.on(ZoneInventoryUpdated)
def zone_updated(event: ZoneInventoryUpdated) -> Change:
    return Change(
        {**event.model_dump(include=_ZONE), "zone_name": event.name, "sold_out": event.available_seats == 0},
        version=event.updated_at,
    )


@zones.on(ZoneSoldOut)
def zone_sold_out(event: ZoneSoldOut) -> Change:
    return Change({"sold_out": True}, version=event.at, where={"zone_id": event.zone_id})


@zones.on(ShowUpdated)
def show_updated(event: ShowUpdated) -> Change:
    return Change(
        {"show_date": event.show_date, "show_time": event.start_time},
        version=event.updated_at,
        where={"show_id": event.show_id},
    )


@zones.on(EventPublished)
def event_published(event: EventPublished) -> Change:
    return Change(
        {
            "event_name": event.name,
            "venue_name": event.venue_name,
            "max_tickets_per_user": event.max_tickets_per_user,
            "booking_start_at": event.booking_start_at,
            "booking_end_at": event.booking_end_at,
        },
        version=event.published_at,
        where={"event_id": event.event_id},
    )


@zones.on(EventUpdated)
def event_updated(event: EventUpdated) -> Change:
    return Change({"event_name": event.name}, version=event.updated_at, where={"event_id": event.event_id})


@zones.on(EventCancelled)
def event_cancelled(event: EventCancelled) -> Change:
    return Change({"on_sale": False}, version=event.cancelled_at, where={"event_id": event.event_id})
