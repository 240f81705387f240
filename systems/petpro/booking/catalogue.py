"""Services and what clinics make of them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ColumnElement, func, select

from freehold import Tx, not_found
from systems.petpro.booking.bodies import ServiceOut
from systems.petpro.booking.contract import ServiceDefined, ServiceRow
from systems.petpro.booking.tables import ClinicService, OfferingRef


async def service_of(service_id: UUID, tx: Tx, *, lock: bool = False) -> ClinicService:
    """The service. Raises Problem 404."""
    service = await tx.get(ClinicService, service_id, lock=lock)
    if service is None:
        raise not_found("The service", "SERVICE_NOT_FOUND")
    return service


def price_of(service: ClinicService, offering: OfferingRef | None) -> Decimal:
    """What a booking costs now: the clinic's own price goes before the service's."""
    override = None if offering is None else offering.price_override
    return service.price if override is None else override


def is_offered(offering: OfferingRef | None) -> bool:
    """Whether the clinic offers it; until clinic has told, it does."""
    return offering is None or offering.is_active


def effective_price() -> ColumnElement[Decimal]:
    """`price_of`, in a statement."""
    override = select(OfferingRef.price_override).where(OfferingRef.service_id == ClinicService.id).scalar_subquery()
    return func.coalesce(override, ClinicService.price)


async def shown(services: Iterable[ClinicService], tx: Tx) -> list[ServiceOut]:
    """Services with the prices that their clinics ask."""
    listed = list(services)
    found = await tx.scalars(select(OfferingRef).where(OfferingRef.service_id.in_([each.id for each in listed])))
    offerings = {offering.service_id: offering for offering in found}
    return [_shown(each, offerings.get(each.id)) for each in listed]


def _shown(service: ClinicService, offering: OfferingRef | None) -> ServiceOut:
    return ServiceOut(
        id=service.id,
        clinic_id=service.clinic_id,
        name=service.name,
        description=service.description,
        price=service.price,
        effective_price=price_of(service, offering),
        duration=service.duration_minutes,
        duration_minutes=service.duration_minutes,
        category=service.category,
        requires_approval=service.requires_approval,
        is_active=service.is_available and is_offered(offering),
        availability_exceptions=service.availability_exceptions,
        created_at=service.created_at,
        updated_at=service.updated_at,
    )


def service_row(service: ClinicService) -> ServiceRow:
    """A service, as siblings keep one."""
    kept = {name: getattr(service, name) for name in ServiceRow.model_fields if name != "service_id"}
    return ServiceRow(service_id=service.id, **kept)


def service_defined(service: ClinicService) -> ServiceDefined:
    """What siblings are told of it."""
    return ServiceDefined.model_validate(service_row(service).model_dump())
