"""The clinic service with everything that it does: each module adds its part to the declaration."""

from systems.petpro.clinic import (
    calendar_api,
    clinics_api,
    documents_api,
    jobs,
    offerings,
    offerings_api,
    owners,
    queries,
    ratings,
    staff_api,
    views,
)
from systems.petpro.clinic.declaration import clinic

__all__ = [
    "calendar_api",
    "clinic",
    "clinics_api",
    "documents_api",
    "jobs",
    "offerings",
    "offerings_api",
    "owners",
    "queries",
    "ratings",
    "staff_api",
    "views",
]
