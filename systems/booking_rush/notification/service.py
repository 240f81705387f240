"""The notification service with everything that it does: each module adds its part to the declaration."""

from systems.booking_rush.notification import api, handlers, jobs, views
from systems.booking_rush.notification.declaration import notification

__all__ = ["api", "handlers", "jobs", "notification", "views"]
