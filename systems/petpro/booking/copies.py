"""What booking keeps of users, pets, clinics and their offerings, so that a reservation asks nobody."""

from __future__ import annotations

from freehold import Change, Problem, Tx, View, not_found
from systems.petpro.auth.contract import GetUser, SnapshotUsers, UserCreated, UserDeactivated, UserUpdated
from systems.petpro.booking.declaration import booking
from systems.petpro.booking.tables import ClinicRef, OfferingRef, PetRef, UserRef
from systems.petpro.clinic.contract import (
    ClinicCreated,
    ClinicUpdated,
    GetClinic,
    GetOffering,
    ServiceUpdated,
    SnapshotClinics,
    SnapshotOfferings,
)
from systems.petpro.pet.contract import GetPet, PetCreated, PetDeleted, PetUpdated, SnapshotPets

users = booking.view(
    View("user_refs", table=UserRef, key="user_id", version="version", synced="synced_at", rebuild=SnapshotUsers,
         one=GetUser)
)  # fmt: skip
pets = booking.view(
    View("pet_refs", table=PetRef, key="pet_id", version="version", synced="synced_at", rebuild=SnapshotPets,
         one=GetPet)
)  # fmt: skip
clinics = booking.view(
    View("clinic_refs", table=ClinicRef, key="clinic_id", version="version", synced="synced_at",
         rebuild=SnapshotClinics, one=GetClinic)
)  # fmt: skip
offerings = booking.view(
    View("offering_refs", table=OfferingRef, key="service_id", version="version", synced="synced_at",
         rebuild=SnapshotOfferings, one=GetOffering)
)  # fmt: skip
COPIES = (users, pets, clinics, offerings)


@users.on(UserCreated, UserUpdated)
def user_known(event: UserCreated | UserUpdated) -> Change:
    columns = {"user_id", "email", "full_name", "phone_number", "is_active"}
    return Change(event.model_dump(include=columns), version=event.version)


@users.on(UserDeactivated)
def user_gone(event: UserDeactivated) -> Change:
    return Change({"user_id": event.user_id, "is_active": False}, version=event.version)


@pets.on(PetCreated, PetUpdated)
def pet_known(event: PetCreated | PetUpdated) -> Change:
    columns = {"pet_id", "user_id", "name", "species", "breed"}
    return Change({**event.model_dump(include=columns), "is_deleted": False}, version=event.version)


@pets.on(PetDeleted)
def pet_gone(event: PetDeleted) -> Change:
    return Change(
        {"pet_id": event.pet_id, "user_id": event.user_id, "is_deleted": True},
        version=event.version,
    )


@clinics.on(ClinicCreated, ClinicUpdated)
def clinic_known(event: ClinicCreated | ClinicUpdated) -> Change:
    columns = {"clinic_id", "owner_id", "name", "status", "commission_rate", "timezone", "operating_hours"}
    return Change(event.model_dump(include=columns), version=event.version)


@offerings.on(ServiceUpdated)
def offering_known(event: ServiceUpdated) -> Change:
    columns = {"service_id", "clinic_id", "is_active", "price_override"}
    return Change(event.model_dump(include=columns), version=event.version)


# --- looking one up, and asking its owner where there is no copy ------------------------------------------------------


async def known_clinic(clinic_id: object, tx: Tx) -> ClinicRef:
    """The copy of a clinic. Raises Problem 404."""
    clinic: ClinicRef | None = await tx.replica(clinics, clinic_id)
    if clinic is None:
        raise not_found("The clinic", "CLINIC_NOT_FOUND")
    return clinic


async def known_pet(pet_id: object, tx: Tx) -> PetRef:
    """The copy of a living pet. Raises Problem 404."""
    pet: PetRef | None = await tx.replica(pets, pet_id)
    if pet is None or pet.is_deleted:
        raise not_found("The pet", "PET_NOT_FOUND")
    return pet


async def known_user(user_id: object, tx: Tx) -> UserRef:
    """The copy of an active user. Raises Problem 404, or 403 for one who was deactivated."""
    found: UserRef | None = await tx.replica(users, user_id)
    if found is None:
        raise not_found("The user", "USER_NOT_FOUND")
    if not found.is_active:
        raise Problem(403, "FORBIDDEN", "This user was deactivated")
    return found
