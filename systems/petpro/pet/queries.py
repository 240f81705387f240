"""What pet tells its siblings."""

from __future__ import annotations

from sqlalchemy import select

from freehold import Page, Tx, page_of
from systems.petpro.pet import facts
from systems.petpro.pet.access import living_pet
from systems.petpro.pet.contract import GetPet, PetRow, SnapshotPets
from systems.petpro.pet.declaration import pet
from systems.petpro.pet.species_refs import Names
from systems.petpro.pet.tables import Pet


@pet.answers(GetPet)
async def get_pet(query: GetPet, tx: Tx) -> PetRow:
    names = await Names.read(tx)
    pet = await living_pet(query.pet_id, tx)
    return facts.pet_row(pet, *names.of(pet))


@pet.answers(SnapshotPets)
async def snapshot_pets(query: SnapshotPets, tx: Tx) -> Page[PetRow]:
    names = await Names.read(tx)
    pets = await tx.scalars(page_of(select(Pet), query, by=Pet.id))
    return Page[PetRow].of([facts.pet_row(each, *names.of(each)) for each in pets], query, "pet_id")
