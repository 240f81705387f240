"""What other services may know of pet."""

from __future__ import annotations

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from freehold import After, Event, Page, Query, Timestamp

# --- events -----------------------------------------------------------------------------------------------------------


class PetFact(Event):
    """What is told of a pet."""

    pet_id: UUID
    user_id: UUID
    name: str
    species: str
    breed: str | None
    version: int


class PetCreated(PetFact, name="pet.created", topic="petpro.pet.pets", key="pet_id"):
    created_at: Timestamp


class PetUpdated(PetFact, name="pet.updated", topic="petpro.pet.pets", key="pet_id"):
    updated_at: Timestamp


class PetDeleted(Event, name="pet.deleted", topic="petpro.pet.pets", key="pet_id"):
    pet_id: UUID
    user_id: UUID
    version: int
    deleted_at: Timestamp


class VaccinationRecorded(Event, name="vaccination.recorded", topic="petpro.pet.pets", key="pet_id"):
    vaccination_id: UUID
    pet_id: UUID
    vaccine_name: str
    administered_date: date
    expiry_date: date | None


# --- queries ----------------------------------------------------------------------------------------------------------


class PetRow(BaseModel):
    """A pet, as siblings keep one; a deleted one too."""

    pet_id: UUID
    user_id: UUID
    name: str
    species: str
    breed: str | None
    is_deleted: bool
    version: int
    updated_at: Timestamp


class GetPet(Query[PetRow], path="/internal/pets/{pet_id}"):
    """404 `PET_NOT_FOUND` for a pet that is unknown or deleted."""

    pet_id: UUID


class SnapshotPets(Query[Page[PetRow]], path="/internal/snapshots/{entity}"):
    entity: Literal["pets"] = "pets"
    cursor: After = None
    limit: int = 500
