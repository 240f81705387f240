"""Pets, for their owners."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import select

from freehold import CamelListing, Problem, Tx, User, Work, list_rows, not_found, owner, role, user, uuid7
from systems.petpro.bodies import PageOf, invalid
from systems.petpro.booking.contract import GetActiveBookings
from systems.petpro.pet import facts
from systems.petpro.pet.access import living_pet, own_pet, seen_pet
from systems.petpro.pet.bodies import NewPet, PetChanges, PetOut
from systems.petpro.pet.catalogue import catalogued
from systems.petpro.pet.declaration import pet as service
from systems.petpro.pet.species_refs import Names, keep_together, reading
from systems.petpro.pet.tables import Pet
from systems.petpro.pet.views import users

MICROCHIP_TAKEN = Problem(409, "MICROCHIP_TAKEN", "A pet with this microchip is registered already")


@service.post("/pets", access=role("admin", "customer"), status_code=201, errors=[404, 409, 422])
async def create_pet(body: NewPet, tx: Tx, caller: User) -> PetOut:
    """Register a pet of the caller."""
    keeper = await tx.replica(users, caller.id)
    if keeper is None:
        raise not_found("The user", "USER_NOT_FOUND")
    if not keeper.is_active:
        raise Problem(422, "USER_INACTIVE", "A user who is switched off gets no new pets")
    now = tx.now()
    _require_born(body.birthdate, now.date())
    pet = Pet(
        **(body.given() | await catalogued(body, None, tx)),
        id=uuid7(),
        user_id=caller.id,
        medical_history=body.history(),
        created_at=now,
        updated_at=now,
        deleted_at=None,
        version=1,
    )
    await keep_together(pet, tx, changed=False)
    await tx.insert(pet, taken=MICROCHIP_TAKEN)
    tx.publish(facts.pet_created(pet))
    return PetOut.of(pet, now.date(), pet.species, pet.breed)


@service.get("/pets", access=user)
async def list_own_pets(query: Annotated[PageOf, Query()], work: Work, caller: User) -> CamelListing[PetOut]:
    """The caller's pets, newest first."""
    return await reading(work, lambda tx, names: _pets_of(caller.id, query, tx, names))


@service.get("/pets/user/{user_id}", access=owner(param="user_id", roles=("admin",)))
async def list_pets_of(user_id: UUID, query: Annotated[PageOf, Query()], work: Work) -> CamelListing[PetOut]:
    """A user's pets, newest first."""
    return await reading(work, lambda tx, names: _pets_of(user_id, query, tx, names))


async def _pets_of(user_id: UUID, paging: PageOf, tx: Tx, names: Names) -> CamelListing[PetOut]:
    found = select(Pet).where(Pet.user_id == user_id, Pet.deleted_at.is_(None))
    today = tx.now().date()

    def show(pet: Pet) -> PetOut:
        return PetOut.of(pet, today, *names.of(pet))

    return CamelListing.of(await list_rows(tx, found, paging, order_by=Pet.created_at, descending=True, show=show))


@service.get("/pets/{id}", access=user, errors=[403, 404])
async def show_pet(id: UUID, work: Work, caller: User) -> PetOut:
    """A pet, to its owner and to clinics that have or had a booking of it."""

    async def read(tx: Tx, names: Names) -> PetOut:
        pet = await seen_pet(id, tx, caller)
        return PetOut.of(pet, tx.now().date(), *names.of(pet))

    return await reading(work, read)


@service.put("/pets/{id}", access=user, errors=[403, 404, 409])
@service.patch("/pets/{id}", access=user, errors=[403, 404, 409])
async def change_pet(id: UUID, body: PetChanges, tx: Tx, caller: User) -> PetOut:
    """Change what is named. Another species takes the breed away, unless that is named too."""
    before = await own_pet(id, tx, caller)
    today = tx.now().date()
    _require_born(body.birthdate, today)
    entries = await catalogued(body, before, tx)  # locked before the pet, as a renaming does
    pet = await living_pet(id, tx, lock=True)
    for column, value in (body.given() | entries).items():
        setattr(pet, column, value)
    pet.medical_history = pet.medical_history | body.history()
    await keep_together(pet, tx, changed=bool(entries))
    pet.touch(tx.now())
    await tx.flush(taken=MICROCHIP_TAKEN)
    tx.publish(facts.pet_updated(pet))
    return PetOut.of(pet, today, pet.species, pet.breed)


@service.delete("/pets/{id}", access=user, status_code=204, errors=[403, 404, 409])
async def delete_pet(id: UUID, tx: Tx, caller: User) -> None:
    """Delete a pet that has nothing booked."""
    await own_pet(id, tx, caller)
    if await tx.ask(GetActiveBookings(pet_id=id)):
        raise Problem(409, "PET_HAS_ACTIVE_BOOKINGS", "The pet has bookings: cancel them first")
    pet = await living_pet(id, tx, lock=True)
    pet.delete(tx.now())
    tx.publish(facts.pet_deleted(pet))


def _require_born(birthdate: date | None, today: date) -> None:
    if birthdate is not None and birthdate > today:
        raise invalid("birthDate", "lies in the future")
