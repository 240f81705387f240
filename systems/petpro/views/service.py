"""The views service with everything that it does: each module adds its part to the declaration."""

from systems.petpro.views import api, bookings, products, queries, rebuilding, refs, vendors
from systems.petpro.views.declaration import views

__all__ = ["api", "bookings", "products", "queries", "rebuilding", "refs", "vendors", "views"]
