"""The payment service with everything that it does: each module adds its part to the declaration."""

from systems.booking_rush.payment import api, customers, handlers, intents_api, jobs, queries, views, webhooks
from systems.booking_rush.payment.declaration import payment

__all__ = ["api", "customers", "handlers", "intents_api", "jobs", "payment", "queries", "views", "webhooks"]
