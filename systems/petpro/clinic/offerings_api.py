"""Which services a clinic offers, and at what price of its own."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import select

from freehold import CamelListing, Listing, Tx, User, Work, list_rows, not_found, public, user
from systems.petpro.bodies import PageOf
from systems.petpro.clinic import facts
from systems.petpro.clinic.bodies import OfferingChanges, OfferingOut
from systems.petpro.clinic.declaration import clinic
from systems.petpro.clinic.members import own_clinic, visible_clinic
from systems.petpro.clinic.offerings import repair_definitions
from systems.petpro.clinic.tables import Offering


@clinic.get("/clinics/{id}/services", access=public, errors=[404])
async def list_offerings(
    id: UUID, query: Annotated[PageOf, Query()], work: Work, caller: User | None
) -> CamelListing[OfferingOut]:
    """The clinic's services, in the order in which they came."""

    async def read(tx: Tx) -> Listing[Offering]:
        await visible_clinic(id, tx, caller)
        found = select(Offering).where(Offering.clinic_id == id)
        return await list_rows(tx, found, query, order_by=Offering.created_at, show=lambda offering: offering)

    page = await work.run(read, readonly=True)
    if any(not offering.definition for offering in page.data) and await repair_definitions(id, work):
        page = await work.run(read, readonly=True)
    shown = [OfferingOut.of(offering) for offering in page.data]
    return CamelListing.of(Listing(data=shown, next_cursor=page.next_cursor, meta=page.meta))


@clinic.put("/clinics/{id}/services/{service_id}", access=user, errors=[403, 404])
async def change_offering(id: UUID, service_id: UUID, body: OfferingChanges, tx: Tx, caller: User) -> OfferingOut:
    """Offer a service or not, at the clinic's own price or (null) at that of the definition."""
    offering = await _own_offering(id, service_id, tx, caller)
    changes = {name: value for name, value in body.given().items() if getattr(offering, name) != value}
    if changes:
        for column, value in changes.items():
            setattr(offering, column, value)
        offering.touch(tx.now())
        tx.publish(facts.service_updated(offering))
    return OfferingOut.of(offering)


@clinic.delete("/clinics/{id}/services/{service_id}", access=user, status_code=204, errors=[403, 404])
async def withdraw_offering(id: UUID, service_id: UUID, tx: Tx, caller: User) -> None:
    """Offer a service no longer."""
    offering = await _own_offering(id, service_id, tx, caller)
    if offering.is_active:
        offering.is_active = False
        offering.touch(tx.now())
        tx.publish(facts.service_updated(offering))


async def _own_offering(clinic_id: UUID, service_id: UUID, tx: Tx, caller: User) -> Offering:
    await own_clinic(clinic_id, tx, caller)
    found = await tx.find(Offering, Offering.service_id == service_id, Offering.clinic_id == clinic_id, lock=True)
    if found is None:
        raise not_found("The service", "SERVICE_NOT_FOUND")
    return found
