"""What clients send to pet, and what it answers."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AliasChoices, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from systems.petpro.bodies import Body, PageOf
from systems.petpro.pet.rules import Gender, RecordType
from systems.petpro.pet.tables import MedicalRecord, Pet, Vaccination

# --- requests ---------------------------------------------------------------------------------------------------------

PetName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
SpeciesName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]
BreedName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Weight = Annotated[float, Field(ge=0.1, le=500, allow_inf_nan=False)]
Url = Annotated[str, Field(max_length=500)]
Microchip = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]
Remark = Annotated[str, Field(max_length=2000)]
Remarks = Remark | Annotated[list[Remark], Field(max_length=50)]
MICROCHIP = AliasChoices("microchipId", "microchip_id", "microchipNumber", "microchip_number")
BIRTH_DATE = AliasChoices("birthDate", "birth_date", "birthdate")
HISTORY = ("color", "allergies", "special_needs", "medical_conditions", "dietary_requirements", "microchipped")
"""Fields that are kept inside `pets.medical_history`."""
NEVER_EMPTY = ("name", "gender")


class History(Body):
    """What is kept of a pet beside its columns."""

    color: Annotated[str, Field(max_length=100)] | None = None
    allergies: Remarks | None = None
    special_needs: Remarks | None = None
    medical_conditions: Remarks | None = None
    dietary_requirements: Remarks | None = None
    microchipped: bool | None = None


class PetChanges(History):
    """What is named changes; null takes away what a pet need not have."""

    name: PetName | None = None
    species: SpeciesName | None = None
    breed: BreedName | None = None
    birthdate: Annotated[date | None, Field(validation_alias=BIRTH_DATE)] = None
    gender: Gender | None = None
    weight: Weight | None = None
    photo_url: Url | None = None
    microchip_id: Annotated[Microchip | None, Field(validation_alias=MICROCHIP)] = None

    def given(self) -> dict[str, Any]:
        """Values by column; species and breed are for the catalogue to say."""
        values = self.model_dump(exclude_unset=True, exclude={*HISTORY, "species", "breed"})
        return {name: value for name, value in values.items() if value is not None or name not in NEVER_EMPTY}

    def history(self) -> dict[str, Any]:
        """What goes into `medical_history`."""
        return self.model_dump(exclude_unset=True, include=set(HISTORY))


class NewPet(PetChanges):
    name: PetName
    species: SpeciesName
    gender: Gender


class RecordChanges(Body):
    record_date: Annotated[date | None, Field(validation_alias=AliasChoices("recordDate", "record_date", "date"))] = (
        None
    )
    record_type: RecordType | None = None
    diagnosis: Annotated[str, Field(max_length=10_000)] | None = None
    treatment: Annotated[str, Field(max_length=10_000)] | None = None
    veterinarian_id: UUID | None = None
    attachments: Annotated[list[Url], Field(max_length=20)] | None = None

    def given(self) -> dict[str, Any]:
        """Values by column."""
        values = self.model_dump(exclude_unset=True, exclude={"pet_id"})
        never_empty = ("record_date", "record_type", "attachments")
        return {name: value for name, value in values.items() if value is not None or name not in never_empty}


class NewRecord(RecordChanges):
    pet_id: UUID
    record_date: Annotated[date, Field(validation_alias=AliasChoices("recordDate", "record_date", "date"))]
    record_type: RecordType


ADMINISTERED = AliasChoices("administeredDate", "administered_date", "dateAdministered", "date_administered")
EXPIRY = AliasChoices("expiryDate", "expiry_date", "expirationDate", "expiration_date")
VaccineName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class VaccinationChanges(Body):
    vaccine_name: VaccineName | None = None
    administered_date: Annotated[date | None, Field(validation_alias=ADMINISTERED)] = None
    expiry_date: Annotated[date | None, Field(validation_alias=EXPIRY)] = None
    administered_by: UUID | None = None
    certificate_info: dict[str, Any] | None = None

    def given(self) -> dict[str, Any]:
        """Values by column."""
        values = self.model_dump(exclude_unset=True, exclude={"pet_id"})
        never_empty = ("vaccine_name", "administered_date", "certificate_info")
        return {name: value for name, value in values.items() if value is not None or name not in never_empty}


class NewVaccination(VaccinationChanges):
    vaccine_name: VaccineName
    administered_date: Annotated[date, Field(validation_alias=ADMINISTERED)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.expiry_date is not None and self.expiry_date <= self.administered_date:
            raise PydanticCustomError("expiry", "expiryDate must be after administeredDate")
        return self


class NewVaccinationOf(NewVaccination):
    pet_id: UUID


class SpeciesChanges(Body):
    name: SpeciesName | None = None
    description: Annotated[str, Field(max_length=500)] | None = None
    is_active: bool | None = None

    def given(self) -> dict[str, Any]:
        """Values by column, without the name."""
        values = self.model_dump(exclude_unset=True, exclude={"name", "species_id"})
        return {name: value for name, value in values.items() if value is not None or name == "description"}


class NewSpecies(SpeciesChanges):
    name: SpeciesName


class BreedChanges(SpeciesChanges):
    name: BreedName | None = None
    characteristics: dict[str, Any] | None = None


class NewBreed(BreedChanges):
    species_id: UUID
    name: BreedName


class OfPet(PageOf):
    pet_id: Annotated[UUID, Field(validation_alias=AliasChoices("petId", "pet_id"))]


# --- answers ----------------------------------------------------------------------------------------------------------


class PetOut(History):
    """A pet, with its age in whole years."""

    id: UUID
    user_id: UUID
    name: str
    species: str
    breed: str | None
    birth_date: date | None
    age: int | None
    gender: str
    weight: float | None
    photo_url: str | None
    microchip_id: str | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, pet: Pet, today: date, species: str, breed: str | None) -> PetOut:
        names = ("id", "user_id", "name", "gender", "weight", "photo_url", "microchip_id",
                 "created_at", "updated_at")  # fmt: skip
        columns: dict[str, Any] = {name: getattr(pet, name) for name in names}
        history: dict[str, Any] = {name: pet.medical_history.get(name) for name in HISTORY}
        return cls(**columns, **history, species=species, breed=breed, birth_date=pet.birthdate, age=pet.age(today))


class RecordOut(Body):
    id: UUID
    pet_id: UUID
    record_date: date
    record_type: str
    diagnosis: str | None
    treatment: str | None
    veterinarian_id: UUID | None
    attachments: list[Any]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, record: MedicalRecord) -> RecordOut:
        return cls.model_validate(record)


class VaccinationOut(Body):
    id: UUID
    pet_id: UUID
    vaccine_name: str
    administered_date: date
    expiry_date: date | None
    administered_by: UUID | None
    certificate_info: dict[str, Any]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, vaccination: Vaccination) -> VaccinationOut:
        return cls.model_validate(vaccination)


class Dashboard(Body):
    """A pet's health on one page; vaccinations that expire within 30 days are named once more."""

    pet: PetOut
    last_record: RecordOut | None
    vaccinations: list[VaccinationOut]
    expiring_vaccinations: list[VaccinationOut]


class SpeciesOut(Body):
    id: UUID
    name: str
    description: str | None
    is_active: bool


class BreedOut(Body):
    id: UUID
    species_id: UUID
    name: str
    description: str | None
    characteristics: dict[str, Any]
    is_active: bool
