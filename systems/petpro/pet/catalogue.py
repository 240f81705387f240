"""Species and breeds as pets are held against them, and what a new name of one means for its pets."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select

from freehold import Tx, not_found
from systems.petpro.bodies import invalid
from systems.petpro.pet import facts
from systems.petpro.pet.bodies import PetChanges
from systems.petpro.pet.rules import MIXED, named, same_name
from systems.petpro.pet.tables import Breed, Pet, Species


async def species_named(name: str, tx: Tx) -> Species:
    """An active species, locked, so that it keeps its name until the pet that gets it is written. 400 for none."""
    found = named(name, await tx.scalars(select(Species).where(Species.is_active)))
    species = await tx.get(Species, found.id, lock=True) if found is not None else None
    if species is None or not species.is_active:
        raise invalid("species", f"{name!r} is no species here: see GET /species")
    return species


async def species_of(pet: Pet, tx: Tx) -> Species:
    """The pet's species, locked; found by one statement, since it may be renamed between two. 400 for none."""
    found = await tx.scalar(select(Species).join(Pet, Pet.species == Species.name).where(Pet.id == pet.id))
    if found is None:
        raise invalid("breed", f"there are no breeds of {pet.species!r}: give a species, too")
    return await known_species(found.id, tx, lock=True)


async def breed_named(name: str, species: Species, tx: Tx) -> Breed | None:
    """An active breed of the species, locked; None for a mixed one. 400 for none."""
    if same_name(name, MIXED):
        return None
    found = named(name, await tx.scalars(select(Breed).where(Breed.species_id == species.id, Breed.is_active)))
    breed = await tx.get(Breed, found.id, lock=True) if found is not None else None
    if breed is None or not breed.is_active:
        raise invalid("breed", f"{name!r} is no breed of {species.name}, nor {MIXED!r}: see GET /species/ID/breeds")
    return breed


async def catalogued(body: PetChanges, before: Pet | None, tx: Tx) -> dict[str, Any]:
    """Species and breed as columns, in the catalogue's spelling. Only what is new is looked up: a pet may keep what is
    out of use by now. A new species takes the breed away, unless a breed comes with it.
    """
    columns: dict[str, Any] = {}
    if body.species is not None and (before is None or not same_name(body.species, before.species)):
        species = await species_named(body.species, tx)
        columns = {"species": species.name, "breed": None}
    elif before is not None and body.breed is not None and not same_name(body.breed, before.breed):
        species = await species_of(before, tx)
        columns = {"species": species.name}
    elif body.breed is None and "breed" in body.model_fields_set:
        return {"breed": None}
    else:
        return {}
    if body.breed is not None:
        breed = await breed_named(body.breed, species, tx)
        columns["breed"] = breed.name if breed else MIXED
    return columns


async def known_species(species_id: UUID, tx: Tx, *, lock: bool = False) -> Species:
    """404 for none."""
    species = await tx.get(Species, species_id, lock=lock)
    if species is None:
        raise not_found("The species", "SPECIES_NOT_FOUND")
    return species


async def rewrite(tx: Tx, *which: Any, species: str | None = None, breed: str | None = None) -> None:
    """Give the living pets of a renamed species or breed its new name, and tell the others of each.

    Deleted ones keep what they were called.
    """
    living = select(Pet).where(*which, Pet.deleted_at.is_(None)).order_by(Pet.id).with_for_update()
    for pet in await tx.scalars(living):
        pet.species = species or pet.species
        pet.breed = breed or pet.breed
        pet.touch(tx.now())
        tx.publish(facts.pet_updated(pet))
