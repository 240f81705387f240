"""The booking service with everything that it does: each module adds its part to the declaration."""

from systems.petpro.booking import (
    booking_actions_api,
    bookings_api,
    copies,
    handlers,
    jobs,
    money_api,
    queries,
    reservations_api,
    reviews_api,
    sagas,
    services_api,
    slots_api,
)
from systems.petpro.booking.declaration import booking

__all__ = [
    "booking",
    "booking_actions_api",
    "bookings_api",
    "copies",
    "handlers",
    "jobs",
    "money_api",
    "queries",
    "reservations_api",
    "reviews_api",
    "sagas",
    "services_api",
    "slots_api",
]
