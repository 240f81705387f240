"""The ticket service with everything that it does: each module adds its part to the declaration."""

from systems.booking_rush.ticket import categories_api, events_api, handlers, jobs, queries, shows_api, views, zones_api
from systems.booking_rush.ticket.declaration import ticket

__all__ = [
    "categories_api",
    "events_api",
    "handlers",
    "jobs",
    "queries",
    "shows_api",
    "ticket",
    "views",
    "zones_api",
]
