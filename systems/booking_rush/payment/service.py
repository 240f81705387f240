"""The payment service with everything that it does: each module adds its part to the declaration."""

from systems.booking_rush.payment import api, handlers, jobs, views, webhooks
from systems.booking_rush.payment.declaration import payment

__all__ = ["api", "handlers", "jobs", "payment", "views", "webhooks"]
