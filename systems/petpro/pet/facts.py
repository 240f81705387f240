"""What pet tells of a pet, made from its row."""

from __future__ import annotations

from systems.petpro.pet.contract import PetCreated, PetDeleted, PetRow, PetUpdated, VaccinationRecorded
from systems.petpro.pet.tables import Pet, Vaccination


def pet_created(pet: Pet) -> PetCreated:
    return PetCreated(
        pet_id=pet.id,
        user_id=pet.user_id,
        name=pet.name,
        species=pet.species,
        breed=pet.breed,
        version=pet.version,
        created_at=pet.created_at,
    )


def pet_updated(pet: Pet) -> PetUpdated:
    return PetUpdated(
        pet_id=pet.id,
        user_id=pet.user_id,
        name=pet.name,
        species=pet.species,
        breed=pet.breed,
        version=pet.version,
        updated_at=pet.updated_at,
    )


def pet_deleted(pet: Pet) -> PetDeleted:
    return PetDeleted(pet_id=pet.id, user_id=pet.user_id, version=pet.version, deleted_at=pet.updated_at)


def pet_row(pet: Pet, species: str, breed: str | None) -> PetRow:
    return PetRow(
        pet_id=pet.id,
        user_id=pet.user_id,
        name=pet.name,
        species=species,
        breed=breed,
        is_deleted=pet.deleted_at is not None,
        version=pet.version,
        updated_at=pet.updated_at,
    )


def vaccination_recorded(vaccination: Vaccination) -> VaccinationRecorded:
    return VaccinationRecorded(
        vaccination_id=vaccination.id,
        pet_id=vaccination.pet_id,
        vaccine_name=vaccination.vaccine_name,
        administered_date=vaccination.administered_date,
        expiry_date=vaccination.expiry_date,
    )
