"""Pet: pets, medical records, vaccinations, species and breeds."""

from __future__ import annotations

from freehold import Service
from systems.petpro.auth.contract import GetUser, SnapshotUsers
from systems.petpro.booking.contract import GetActiveBookings
from systems.petpro.clinic.contract import GetMembership, GetStaff
from systems.petpro.pet.contract import PetCreated, PetDeleted, PetUpdated, VaccinationRecorded
from systems.petpro.pet.species_refs import READ, WRITE
from systems.petpro.pet.tables import Base

pet = Service(
    "pet",
    tables=Base,
    database="pet_db",
    publishes=[PetCreated, PetUpdated, PetDeleted, VaccinationRecorded],
    asks=[GetUser, SnapshotUsers, GetActiveBookings, GetMembership, GetStaff],
    flags=[WRITE, READ],
    description="Pets, medical records, vaccinations, species and breeds",
)
