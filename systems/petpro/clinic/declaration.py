"""Clinic: clinics, staff, offered services, documents, the rating aggregate."""

from __future__ import annotations

from freehold import Service
from systems.petpro.auth.contract import GetUser, SnapshotUsers
from systems.petpro.booking.contract import GetServices, SnapshotBookings, SnapshotReviews
from systems.petpro.clinic.contract import (
    ClinicCreated,
    ClinicRatingUpdated,
    ClinicUpdated,
    ServiceUpdated,
    StaffChanged,
)
from systems.petpro.clinic.tables import Base

clinic = Service(
    "clinic",
    tables=Base,
    database="clinic_db",
    publishes=[ClinicCreated, ClinicUpdated, ServiceUpdated, StaffChanged, ClinicRatingUpdated],
    asks=[GetUser, SnapshotUsers, GetServices, SnapshotBookings, SnapshotReviews],
    description="Clinics, staff, offered services, documents, the rating aggregate",
)
