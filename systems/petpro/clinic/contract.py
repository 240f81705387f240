"""What other services may know of clinic."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from freehold import After, Event, Money, Page, Percent, Query, Timestamp

ClinicStatus = Literal["pending", "approved", "rejected", "suspended"]
DocumentType = Literal["business_license", "veterinary_license", "tax_registration", "identity", "insurance", "other"]


# --- events -----------------------------------------------------------------------------------------------------------


class ClinicFact(Event):
    """What is told of a clinic."""

    clinic_id: UUID
    owner_id: UUID
    name: str
    address: str
    city: str
    province: str
    phone_number: str
    status: str
    commission_rate: Percent
    timezone: str
    operating_hours: dict[str, Any]
    version: int


class ClinicCreated(ClinicFact, name="clinic.created", topic="petpro.clinic.clinics", key="clinic_id"):
    created_at: Timestamp


class ClinicUpdated(ClinicFact, name="clinic.updated", topic="petpro.clinic.clinics", key="clinic_id"):
    updated_at: Timestamp


class ServiceUpdated(Event, name="service.updated", topic="petpro.clinic.services", key="service_id"):
    clinic_service_id: UUID
    service_id: UUID
    clinic_id: UUID
    is_active: bool
    price_override: Money | None
    version: int
    updated_at: Timestamp


class StaffChanged(Event, name="staff.changed", topic="petpro.clinic.staff", key="staff_id"):
    staff_id: UUID
    clinic_id: UUID
    name: str
    role: str
    specialization: str | None
    is_active: bool
    change: str
    changed_at: Timestamp


class ClinicRatingUpdated(Event, name="clinic.rating_updated", topic="petpro.clinic.ratings", key="clinic_id"):
    clinic_id: UUID
    avg_rating: float
    review_count: int
    rating_distribution: dict[str, Any]
    last_updated: Timestamp


# --- queries ----------------------------------------------------------------------------------------------------------


class ClinicRow(BaseModel):
    """A clinic, as siblings keep one."""

    clinic_id: UUID
    owner_id: UUID
    name: str
    city: str
    status: ClinicStatus
    commission_rate: Percent
    timezone: str
    operating_hours: dict[str, Any]
    version: int
    updated_at: Timestamp


class GetClinic(Query[ClinicRow], path="/internal/clinics/{clinic_id}"):
    """404 `CLINIC_NOT_FOUND` for one that is unknown."""

    clinic_id: UUID


class StaffRow(BaseModel):
    staff_id: UUID
    clinic_id: UUID
    user_id: UUID | None
    name: str
    role: str
    is_active: bool
    updated_at: Timestamp


class GetStaff(Query[StaffRow], path="/internal/staff/{staff_id}"):
    """404 `STAFF_NOT_FOUND` for one who is unknown."""

    staff_id: UUID


class Membership(BaseModel):
    """What somebody is to a clinic: its owner, or one of its active staff."""

    is_owner: bool
    staff_id: UUID | None


class GetMembership(Query[Membership], path="/internal/clinics/{clinic_id}/members/{user_id}"):
    """404 `CLINIC_NOT_FOUND` for an unknown clinic."""

    clinic_id: UUID
    user_id: UUID


class ClinicsOfUser(BaseModel):
    clinic_ids: list[UUID]


class GetClinicsOf(Query[ClinicsOfUser], path="/internal/users/{user_id}/clinics"):
    """The clinics that somebody owns or works for."""

    user_id: UUID


class OfferingRow(BaseModel):
    """Whether a clinic offers a service now, and at what price of its own."""

    clinic_service_id: UUID
    service_id: UUID
    clinic_id: UUID
    is_active: bool
    price_override: Money | None
    version: int
    updated_at: Timestamp


class GetOffering(Query[OfferingRow], path="/internal/offerings/{service_id}"):
    """404 `OFFERING_NOT_FOUND` while clinic has not heard of the service."""

    service_id: UUID


class SnapshotClinics(Query[Page[ClinicRow]], path="/internal/snapshots/{entity}"):
    entity: Literal["clinics"] = "clinics"
    cursor: After = None
    limit: int = 500


class SnapshotOfferings(Query[Page[OfferingRow]], path="/internal/snapshots/{entity}"):
    entity: Literal["offerings"] = "offerings"
    cursor: After = None
    limit: int = 500


class SnapshotStaff(Query[Page[StaffRow]], path="/internal/snapshots/{entity}"):
    entity: Literal["staff"] = "staff"
    cursor: After = None
    limit: int = 500
