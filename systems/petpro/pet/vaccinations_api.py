"""Vaccinations of pets: written by their owners and by the clinics that treat them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import select

from freehold import CamelListing, Problem, Tx, User, list_rows, not_found, user, uuid7
from systems.petpro.bodies import invalid
from systems.petpro.pet import facts
from systems.petpro.pet.access import living_pet, require_staff, require_writer, seen_pet, side_of
from systems.petpro.pet.bodies import NewVaccination, NewVaccinationOf, OfPet, VaccinationChanges, VaccinationOut
from systems.petpro.pet.declaration import pet as service
from systems.petpro.pet.tables import Vaccination

EXISTS = Problem(409, "VACCINATION_EXISTS", "This vaccine was recorded for the pet on that day already")


@service.post("/pets/{id}/vaccines", access=user, status_code=201, errors=[403, 404, 409, 422])
async def record_vaccination(id: UUID, body: NewVaccination, tx: Tx, caller: User) -> VaccinationOut:
    """Write down a vaccination."""
    return await _record(id, body, tx, caller)


@service.post("/pet-health-records/vaccinations", access=user, status_code=201, errors=[403, 404, 409, 422])
async def record_vaccination_of(body: NewVaccinationOf, tx: Tx, caller: User) -> VaccinationOut:
    """Write down a vaccination of the pet that the body names."""
    return await _record(body.pet_id, body, tx, caller)


async def _record(pet_id: UUID, body: NewVaccination, tx: Tx, caller: User) -> VaccinationOut:
    clinic_id = await side_of(await living_pet(pet_id, tx), tx, caller)
    await require_staff(body.administered_by, tx)
    await living_pet(pet_id, tx, lock=True)  # what is told of one pet is told in the order of its changes
    now = tx.now()
    values = {"certificate_info": {}} | body.given()
    vaccination = Vaccination(**values, id=uuid7(), pet_id=pet_id, clinic_id=clinic_id, created_at=now, updated_at=now)
    await tx.insert(vaccination, taken=EXISTS)
    tx.publish(facts.vaccination_recorded(vaccination))
    return VaccinationOut.of(vaccination)


@service.get("/pet-health-records/vaccinations", access=user, errors=[403, 404])
async def list_vaccinations(query: Annotated[OfPet, Query()], tx: Tx, caller: User) -> CamelListing[VaccinationOut]:
    """A pet's vaccinations, newest first."""
    await seen_pet(query.pet_id, tx, caller)
    found = select(Vaccination).where(Vaccination.pet_id == query.pet_id)
    page = await list_rows(
        tx, found, query, order_by=Vaccination.administered_date, descending=True, show=VaccinationOut.of
    )
    return CamelListing.of(page)


@service.patch("/pet-health-records/vaccinations/{id}", access=user, errors=[403, 404, 409, 422])
async def change_vaccination(id: UUID, body: VaccinationChanges, tx: Tx, caller: User) -> VaccinationOut:
    """Correct a vaccination, as one of those who wrote it."""
    await _written(id, tx, caller)
    await require_staff(body.administered_by, tx)
    vaccination = await _vaccination(id, tx, lock=True)
    for column, value in body.given().items():
        setattr(vaccination, column, value)
    if vaccination.expiry_date is not None and vaccination.expiry_date <= vaccination.administered_date:
        raise invalid("expiryDate", "must be after administeredDate")
    vaccination.updated_at = tx.now()
    await tx.flush(taken=EXISTS)
    return VaccinationOut.of(vaccination)


@service.delete("/pet-health-records/vaccinations/{id}", access=user, status_code=204, errors=[403, 404])
async def delete_vaccination(id: UUID, tx: Tx, caller: User) -> None:
    """Delete a vaccination, as one of those who wrote it."""
    await tx.delete(await _written(id, tx, caller))


async def _vaccination(id: UUID, tx: Tx, *, lock: bool = False) -> Vaccination:
    vaccination = await tx.get(Vaccination, id, lock=lock)
    if vaccination is None:
        raise not_found("The vaccination", "VACCINATION_NOT_FOUND")
    return vaccination


async def _written(id: UUID, tx: Tx, caller: User) -> Vaccination:
    vaccination = await _vaccination(id, tx)
    pet = await living_pet(vaccination.pet_id, tx)
    await require_writer(vaccination.clinic_id, pet, tx, caller)
    return vaccination
