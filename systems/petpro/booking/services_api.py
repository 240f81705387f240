"""The routes of services."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import Select, func, or_, select

from freehold import CamelListing, Paging, Problem, Tx, User, list_rows, public, user, uuid7
from systems.petpro.booking.bodies import (
    ClinicServiceIn,
    ServiceChange,
    ServiceIn,
    ServiceList,
    ServiceOut,
    ServiceSearch,
)
from systems.petpro.booking.catalogue import effective_price, service_defined, service_of, shown
from systems.petpro.booking.clinics import require_clinic
from systems.petpro.booking.copies import known_clinic
from systems.petpro.booking.declaration import booking
from systems.petpro.booking.rules import LIVE
from systems.petpro.booking.settings import BookingSettings
from systems.petpro.booking.tables import Booking, ClinicRef, ClinicService


@booking.get("/services", access=public)
@booking.get("/bookings/services", access=public)
async def list_services(tx: Tx, wanted: Annotated[ServiceList, Query()]) -> CamelListing[ServiceOut]:
    """Services by clinic, category, price and whether they are offered."""
    found = select(ClinicService)
    if wanted.clinic_id is not None:
        found = found.where(ClinicService.clinic_id == wanted.clinic_id)
    if wanted.category is not None:
        found = found.where(ClinicService.category == wanted.category)
    if wanted.min_price is not None:
        found = found.where(effective_price() >= wanted.min_price)
    if wanted.max_price is not None:
        found = found.where(effective_price() <= wanted.max_price)
    if wanted.is_active is not None:
        found = found.where(ClinicService.is_available == wanted.is_active)
    return await _listed(found, wanted, tx)


@booking.get("/services/search", access=public)
async def search_services(tx: Tx, wanted: Annotated[ServiceSearch, Query()]) -> CamelListing[ServiceOut]:
    """Services that are offered and have the words in their name or description."""
    words = wanted.q.lower()
    matches = [
        func.lower(text).contains(words, autoescape=True) for text in (ClinicService.name, ClinicService.description)
    ]
    return await _listed(select(ClinicService).where(ClinicService.is_available, or_(*matches)), wanted, tx)


async def _listed(found: Select[ClinicService], paging: Paging, tx: Tx) -> CamelListing[ServiceOut]:
    rows = await list_rows(tx, found, paging, order_by=ClinicService.created_at, show=lambda row: row)
    page = CamelListing[ServiceOut](data=await shown(rows.data, tx), next_cursor=rows.next_cursor)
    page.meta = CamelListing.of(rows).meta
    return page


@booking.get("/services/{id}", access=public)
async def get_service(id: UUID, tx: Tx) -> ServiceOut:
    """One service."""
    (found,) = await shown([await service_of(id, tx)], tx)
    return found


@booking.post("/services", access=user, status_code=201, errors=[403, 404, 422])
async def define_service(body: ServiceIn, tx: Tx, caller: User) -> ServiceOut:
    """A new service of a clinic."""
    return await _define(body.clinic_id, body, tx, caller)


@booking.post("/clinics/{id}/services", access=user, status_code=201, errors=[403, 404, 422])
async def define_service_of_clinic(id: UUID, body: ClinicServiceIn, tx: Tx, caller: User) -> ServiceOut:
    """A new service of this clinic."""
    return await _define(id, body, tx, caller)


async def _define(clinic_id: UUID, body: ClinicServiceIn, tx: Tx, caller: User) -> ServiceOut:
    clinic = await known_clinic(clinic_id, tx)
    await require_clinic(clinic_id, caller, tx)
    if clinic.status != "approved":
        raise Problem(422, "CLINIC_NOT_APPROVED", "Only an approved clinic offers services")
    await tx.get(ClinicRef, clinic_id, lock=True)  # so that nobody adds the 51st at the same time
    most = tx.use(BookingSettings).services_per_clinic
    there = select(func.count()).where(ClinicService.clinic_id == clinic_id, ClinicService.is_available)
    if await tx.scalar(there) >= most:
        raise Problem(422, "SERVICE_LIMIT", f"A clinic offers {most} services at most")
    now = tx.now()
    service = ClinicService(
        id=uuid7(now),
        clinic_id=clinic_id,
        name=body.name,
        description=body.description,
        price=body.price,
        duration_minutes=body.duration,
        requires_approval=body.requires_approval,
        is_available=True,
        availability_exceptions=[day.isoformat() for day in body.availability_exceptions],
        category=body.category,
        created_at=now,
        updated_at=now,
        version=1,
    )
    tx.add(service)
    tx.publish(service_defined(service))
    (made,) = await shown([service], tx)
    return made


@booking.put("/services/{id}", access=user, errors=[403, 404])
async def change_service(id: UUID, body: ServiceChange, tx: Tx, caller: User) -> ServiceOut:
    """Change it; bookings that were made keep what they have."""
    await require_clinic((await service_of(id, tx)).clinic_id, caller, tx)
    service = await service_of(id, tx, lock=True)
    given = body.model_dump(exclude_unset=True)
    for name, column in (
        ("name", "name"), ("price", "price"), ("duration", "duration_minutes"), ("category", "category"),
        ("requires_approval", "requires_approval"),
    ):  # fmt: skip
        if given.get(name) is not None:
            setattr(service, column, given[name])
    if "description" in given:
        service.description = body.description
    if body.availability_exceptions is not None:
        service.availability_exceptions = [day.isoformat() for day in body.availability_exceptions]
    service.touch(tx.now())
    tx.publish(service_defined(service))
    (changed,) = await shown([service], tx)
    return changed


@booking.delete("/services/{id}", access=user, status_code=204, errors=[403, 404, 409])
async def withdraw_service(id: UUID, tx: Tx, caller: User) -> None:
    """Offer it no longer."""
    await require_clinic((await service_of(id, tx)).clinic_id, caller, tx)
    service = await service_of(id, tx, lock=True)
    if not service.is_available:
        return
    if await tx.find(Booking, Booking.service_id == id, Booking.status.in_(LIVE)) is not None:
        raise Problem(409, "SERVICE_HAS_BOOKINGS", "It has bookings that are still to come")
    service.is_available = False
    service.touch(tx.now())
    tx.publish(service_defined(service))
