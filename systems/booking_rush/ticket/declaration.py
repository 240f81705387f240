"""Ticket: the catalogue of events, and the source of truth for what seats there are."""

from __future__ import annotations

from freehold import Service
from systems.booking_rush.auth.contract import GetUser, SnapshotTenants
from systems.booking_rush.ticket.contract import (
    EventCancelled,
    EventCreated,
    EventPublished,
    EventUpdated,
    ShowCancelled,
    ShowCreated,
    ShowUpdated,
    ZoneInventoryUpdated,
    ZoneSoldOut,
)
from systems.booking_rush.ticket.tables import Base

ticket = Service(
    "ticket",
    tables=Base,
    database="ticket_db",
    publishes=[
        EventCreated,
        EventPublished,
        EventUpdated,
        EventCancelled,
        ShowCreated,
        ShowUpdated,
        ShowCancelled,
        ZoneInventoryUpdated,
        ZoneSoldOut,
    ],
    asks=[GetUser, SnapshotTenants],
    description="Event catalogue, shows, prices and seat inventory (source of truth for capacity)",
)
