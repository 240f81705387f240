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

# What it does: each of these registers itself with the service above.
from systems.booking_rush.ticket import (  # noqa: E402
    categories_api,  # noqa: F401
    events_api,  # noqa: F401
    handlers,  # noqa: F401
    jobs,  # noqa: F401
    queries,  # noqa: F401
    shows_api,  # noqa: F401
    views,  # noqa: F401
    zones_api,  # noqa: F401
)
