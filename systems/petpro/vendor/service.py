"""The vendor service with everything that it does: each module adds its part to the declaration."""

from systems.petpro.vendor import (
    copies,
    jobs,
    listings_api,
    orders_api,
    payments,
    payouts_api,
    queries,
    sagas,
    vendors_api,
)
from systems.petpro.vendor.declaration import vendor

__all__ = [
    "copies", "jobs", "listings_api", "orders_api", "payments", "payouts_api", "queries", "sagas", "vendor",
    "vendors_api",
]  # fmt: skip
