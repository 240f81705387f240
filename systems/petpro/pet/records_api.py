"""What was done for pets: written by their owners and by the clinics that treat them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import select

from freehold import CamelListing, Tx, User, Work, list_rows, not_found, user, uuid7
from systems.petpro.pet.access import living_pet, require_staff, require_writer, seen_pet, side_of
from systems.petpro.pet.bodies import Dashboard, NewRecord, OfPet, PetOut, RecordChanges, RecordOut, VaccinationOut
from systems.petpro.pet.declaration import pet as service
from systems.petpro.pet.rules import expires_soon
from systems.petpro.pet.species_refs import Names, reading
from systems.petpro.pet.tables import MedicalRecord, Vaccination


@service.post("/pet-health-records", access=user, status_code=201, errors=[403, 404, 422])
@service.post("/pet-health/records", access=user, status_code=201, errors=[403, 404, 422])
async def create_record(body: NewRecord, tx: Tx, caller: User) -> RecordOut:
    """Write down what was done for a pet."""
    pet = await living_pet(body.pet_id, tx)
    clinic_id = await side_of(pet, tx, caller)
    await require_staff(body.veterinarian_id, tx)
    now = tx.now()
    values = {"attachments": []} | body.given()
    record = MedicalRecord(**values, id=uuid7(), pet_id=pet.id, clinic_id=clinic_id, created_at=now, updated_at=now)
    tx.add(record)
    return RecordOut.of(record)


@service.get("/pet-health-records", access=user, errors=[403, 404])
async def list_records(query: Annotated[OfPet, Query()], tx: Tx, caller: User) -> CamelListing[RecordOut]:
    """A pet's records, newest first."""
    await seen_pet(query.pet_id, tx, caller)
    found = select(MedicalRecord).where(MedicalRecord.pet_id == query.pet_id)
    page = await list_rows(tx, found, query, order_by=MedicalRecord.record_date, descending=True, show=RecordOut.of)
    return CamelListing.of(page)


@service.get("/pet-health-records/dashboard/{pet_id}", access=user, errors=[403, 404])
async def show_dashboard(pet_id: UUID, work: Work, caller: User) -> Dashboard:
    """A pet's health on one page."""
    return await reading(work, lambda tx, names: _dashboard(pet_id, tx, names, caller))


async def _dashboard(pet_id: UUID, tx: Tx, names: Names, caller: User) -> Dashboard:
    pet = await seen_pet(pet_id, tx, caller)
    today = tx.now().date()
    newest = select(MedicalRecord).where(MedicalRecord.pet_id == pet_id)
    last = await tx.scalar(newest.order_by(MedicalRecord.record_date.desc(), MedicalRecord.id.desc()).limit(1))
    given = select(Vaccination).where(Vaccination.pet_id == pet_id)
    vaccinations = (await tx.scalars(given.order_by(Vaccination.administered_date.desc(), Vaccination.id))).all()
    return Dashboard(
        pet=PetOut.of(pet, today, *names.of(pet)),
        last_record=None if last is None else RecordOut.of(last),
        vaccinations=[VaccinationOut.of(each) for each in vaccinations],
        expiring_vaccinations=[VaccinationOut.of(v) for v in vaccinations if expires_soon(v.expiry_date, today)],
    )


@service.get("/pet-health-records/{id}", access=user, errors=[403, 404])
async def show_record(id: UUID, tx: Tx, caller: User) -> RecordOut:
    """A record, to whoever may see its pet."""
    record = await _record(id, tx)
    await seen_pet(record.pet_id, tx, caller)
    return RecordOut.of(record)


@service.patch("/pet-health-records/{id}", access=user, errors=[403, 404, 422])
async def change_record(id: UUID, body: RecordChanges, tx: Tx, caller: User) -> RecordOut:
    """Correct a record, as one of those who wrote it."""
    record = await _written_record(id, tx, caller)
    await require_staff(body.veterinarian_id, tx)
    record = await _record(id, tx, lock=True)
    for column, value in body.given().items():
        setattr(record, column, value)
    record.updated_at = tx.now()
    return RecordOut.of(record)


@service.delete("/pet-health-records/{id}", access=user, status_code=204, errors=[403, 404])
async def delete_record(id: UUID, tx: Tx, caller: User) -> None:
    """Delete a record, as one of those who wrote it."""
    await tx.delete(await _written_record(id, tx, caller))


async def _record(id: UUID, tx: Tx, *, lock: bool = False) -> MedicalRecord:
    record = await tx.get(MedicalRecord, id, lock=lock)
    if record is None:
        raise not_found("The record", "RECORD_NOT_FOUND")
    return record


async def _written_record(id: UUID, tx: Tx, caller: User) -> MedicalRecord:
    record = await _record(id, tx)
    pet = await living_pet(record.pet_id, tx)
    await require_writer(record.clinic_id, pet, tx, caller)
    return record
