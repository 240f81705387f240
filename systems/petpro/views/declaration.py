"""Views: three materialised views over the other services, their read API and their rebuild."""

from __future__ import annotations

from freehold import Service
from systems.petpro.auth.contract import SnapshotUsers
from systems.petpro.booking.contract import SnapshotBookings, SnapshotReviews, SnapshotServices
from systems.petpro.clinic.contract import GetMembership, SnapshotClinics
from systems.petpro.inventory.contract import SnapshotProducts, SnapshotStock
from systems.petpro.pet.contract import SnapshotPets
from systems.petpro.vendor.contract import (
    GetVendor,
    SnapshotListings,
    SnapshotOrderItems,
    SnapshotPayouts,
    SnapshotVendors,
)
from systems.petpro.views.contract import ViewRebuilt
from systems.petpro.views.tables import Base

views = Service(
    "views",
    tables=Base,
    database="views_db",
    publishes=[ViewRebuilt],
    asks=[
        SnapshotUsers,
        SnapshotBookings,
        SnapshotReviews,
        SnapshotServices,
        GetMembership,
        SnapshotClinics,
        SnapshotProducts,
        SnapshotStock,
        SnapshotPets,
        GetVendor,
        SnapshotListings,
        SnapshotOrderItems,
        SnapshotPayouts,
        SnapshotVendors,
    ],
    description="Three materialised views over the other services, their read API and their rebuild",
)
