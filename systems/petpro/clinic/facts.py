"""What clinic publishes of its rows."""

from __future__ import annotations

from typing import Literal

from systems.petpro.clinic.contract import (
    ClinicCreated,
    ClinicRatingUpdated,
    ClinicUpdated,
    ServiceUpdated,
    StaffChanged,
)
from systems.petpro.clinic.tables import Clinic, Offering, Rating, StaffMember


def clinic_created(clinic: Clinic) -> ClinicCreated:
    return ClinicCreated.model_validate(_clinic(clinic) | {"created_at": clinic.created_at})


def clinic_updated(clinic: Clinic) -> ClinicUpdated:
    return ClinicUpdated.model_validate(_clinic(clinic) | {"updated_at": clinic.updated_at})


def _clinic(clinic: Clinic) -> dict[str, object]:
    named = (
        "owner_id", "name", "address", "city", "province", "phone_number", "status", "commission_rate", "timezone",
        "operating_hours", "version",
    )  # fmt: skip
    return {"clinic_id": clinic.id} | {name: getattr(clinic, name) for name in named}


def service_updated(offering: Offering) -> ServiceUpdated:
    return ServiceUpdated(
        clinic_service_id=offering.id,
        service_id=offering.service_id,
        clinic_id=offering.clinic_id,
        is_active=offering.is_active,
        price_override=offering.price_override,
        version=offering.version,
        updated_at=offering.updated_at,
    )


def staff_changed(member: StaffMember, change: Literal["created", "updated", "deactivated"]) -> StaffChanged:
    return StaffChanged(
        staff_id=member.id,
        clinic_id=member.clinic_id,
        name=member.name,
        role=member.role,
        specialization=member.specialization,
        is_active=member.is_active,
        change=change,
        changed_at=member.updated_at,
    )


def rating_updated(rating: Rating) -> ClinicRatingUpdated:
    return ClinicRatingUpdated(
        clinic_id=rating.clinic_id,
        avg_rating=rating.avg_rating,
        review_count=rating.review_count,
        rating_distribution=rating.rating_distribution,
        last_updated=rating.last_updated,
    )
