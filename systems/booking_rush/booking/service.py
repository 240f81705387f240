"""The booking service with everything that it does: each module adds its part to the declaration."""

from systems.booking_rush.booking import api, handlers, jobs, queries, queue_api, sagas, views
from systems.booking_rush.booking.declaration import booking

__all__ = ["api", "booking", "handlers", "jobs", "queries", "queue_api", "sagas", "views"]
