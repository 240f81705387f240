"""The booking service with everything that it does: each module adds its part to the declaration."""

from systems.petpro.booking import reviews_api
from systems.petpro.booking.declaration import booking

__all__ = ["booking", "reviews_api"]
