"""The catalogue of species and breeds: read by everybody, kept by admins."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import select

from freehold import CamelListing, Problem, Tx, list_rows, not_found, public, role, uuid7
from systems.petpro.bodies import PageOf, invalid
from systems.petpro.pet.bodies import BreedChanges, BreedOut, NewBreed, NewSpecies, SpeciesChanges, SpeciesOut
from systems.petpro.pet.catalogue import known_species, rewrite
from systems.petpro.pet.declaration import pet as service
from systems.petpro.pet.rules import MIXED, named, same_name
from systems.petpro.pet.tables import Breed, Pet, Species

admin = role("admin")
SPECIES_EXISTS = Problem(409, "SPECIES_EXISTS", "There is a species of this name already")
BREED_EXISTS = Problem(409, "BREED_EXISTS", "The species has a breed of this name already")


@service.get("/species", access=public)
async def list_species(query: Annotated[PageOf, Query()], tx: Tx) -> CamelListing[SpeciesOut]:
    """The species in use, by name."""
    found = select(Species).where(Species.is_active)
    page = await list_rows(tx, found, query, order_by=Species.name, show=SpeciesOut.model_validate)
    return CamelListing.of(page)


@service.get("/species/{id}/breeds", access=public, errors=[404])
async def list_breeds(id: UUID, query: Annotated[PageOf, Query()], tx: Tx) -> CamelListing[BreedOut]:
    """A species' breeds in use, by name."""
    species = await known_species(id, tx)
    found = select(Breed).where(Breed.species_id == species.id, Breed.is_active)
    page = await list_rows(tx, found, query, order_by=Breed.name, show=BreedOut.model_validate)
    return CamelListing.of(page)


@service.post("/species", access=admin, status_code=201, errors=[409])
async def create_species(body: NewSpecies, tx: Tx) -> SpeciesOut:
    """Add a species. Names that differ by case alone are one."""
    if named(body.name, await tx.scalars(select(Species))) is not None:
        raise SPECIES_EXISTS
    values = {"description": None, "is_active": True} | body.given()
    made = Species(**values, id=uuid7(), name=body.name, created_at=tx.now(), updated_at=tx.now())
    await tx.insert(made, taken=SPECIES_EXISTS)
    return SpeciesOut.model_validate(made)


@service.put("/species/{id}", access=admin, errors=[404, 409])
async def change_species(id: UUID, body: SpeciesChanges, tx: Tx) -> SpeciesOut:
    """Change a species. A new name reaches its pets in the same transaction."""
    species = await known_species(id, tx, lock=True)
    for column, value in body.given().items():
        setattr(species, column, value)
    species.updated_at = tx.now()
    if body.name is not None and body.name != species.name:
        twin = named(body.name, await tx.scalars(select(Species).where(Species.id != id)))
        if twin is not None:
            raise SPECIES_EXISTS
        before, species.name = species.name, body.name
        await tx.flush(taken=SPECIES_EXISTS)
        await rewrite(tx, Pet.species == before, species=species.name)
        tx.audit("rename", "species", id, before={"name": before}, after={"name": species.name})
    return SpeciesOut.model_validate(species)


@service.post("/breeds", access=admin, status_code=201, errors=[404, 409])
async def create_breed(body: NewBreed, tx: Tx) -> BreedOut:
    """Add a breed to a species."""
    species = await known_species(body.species_id, tx, lock=True)
    await _require_free(body.name, species, None, tx)
    values = {"description": None, "is_active": True, "characteristics": {}} | body.given()
    made = Breed(**values, id=uuid7(), species_id=species.id, name=body.name, created_at=tx.now(), updated_at=tx.now())
    await tx.insert(made, taken=BREED_EXISTS)
    return BreedOut.model_validate(made)


@service.put("/breeds/{id}", access=admin, errors=[404, 409])
async def change_breed(id: UUID, body: BreedChanges, tx: Tx) -> BreedOut:
    """Change a breed. A new name reaches its pets in the same transaction."""
    species = await known_species((await _breed(id, tx)).species_id, tx, lock=True)
    breed = await _breed(id, tx, lock=True)
    for column, value in body.given().items():
        setattr(breed, column, value)
    breed.updated_at = tx.now()
    if body.name is not None and body.name != breed.name:
        await _require_free(body.name, species, id, tx)
        before, breed.name = breed.name, body.name
        await tx.flush(taken=BREED_EXISTS)
        await rewrite(tx, Pet.species == species.name, Pet.breed == before, breed=breed.name)
        tx.audit("rename", "breed", id, before={"name": before}, after={"name": breed.name})
    return BreedOut.model_validate(breed)


async def _breed(id: UUID, tx: Tx, *, lock: bool = False) -> Breed:
    breed = await tx.get(Breed, id, lock=lock)
    if breed is None:
        raise not_found("The breed", "BREED_NOT_FOUND")
    return breed


async def _require_free(name: str, species: Species, id: UUID | None, tx: Tx) -> None:
    if same_name(name, MIXED):
        raise invalid("name", f"{MIXED!r} is a breed of every species already")
    others = select(Breed).where(Breed.species_id == species.id)
    twin = named(name, [breed for breed in await tx.scalars(others) if breed.id != id])
    if twin is not None:
        raise BREED_EXISTS
