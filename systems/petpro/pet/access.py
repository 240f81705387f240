"""Who may see a pet, and in whose name somebody writes about it."""

from __future__ import annotations

from uuid import UUID

from freehold import Problem, Tx, User, not_found
from systems.petpro.booking.contract import GetActiveBookings
from systems.petpro.clinic.contract import GetMembership, GetStaff
from systems.petpro.pet.tables import Pet

FORBIDDEN = Problem(403, "FORBIDDEN", "This pet is somebody else's")


async def living_pet(pet_id: UUID, tx: Tx, *, lock: bool = False) -> Pet:
    """404 for a pet that is unknown or deleted."""
    pet = await tx.get(Pet, pet_id, lock=lock)
    if pet is None or pet.deleted_at is not None:
        raise not_found("The pet", "PET_NOT_FOUND")
    return pet


def is_own(pet: Pet, caller: User) -> bool:
    """Whether the pet is the caller's, or the caller may do what its owner may."""
    return pet.user_id == caller.id or caller.has_role("admin")


async def own_pet(pet_id: UUID, tx: Tx, caller: User) -> Pet:
    """403 for other people's."""
    pet = await living_pet(pet_id, tx)
    if not is_own(pet, caller):
        raise FORBIDDEN
    return pet


async def seen_pet(pet_id: UUID, tx: Tx, caller: User) -> Pet:
    """A pet that the caller may see: its owner, an admin, a clinic that has or had a booking of it."""
    pet = await living_pet(pet_id, tx)
    await side_of(pet, tx, caller)
    return pet


async def side_of(pet: Pet, tx: Tx, caller: User) -> UUID | None:
    """The clinic in whose name the caller comes; None for the owner and for admins. 403 for everybody else.

    Asks booking and clinic, so it is called before the first write.
    """
    if is_own(pet, caller):
        return None
    bookings = await tx.ask(GetActiveBookings(pet_id=pet.id, ever=True))
    for clinic_id in dict.fromkeys(booking.clinic_id for booking in bookings):
        if await _is_member(clinic_id, tx, caller):
            return clinic_id
    raise FORBIDDEN


async def require_writer(clinic_id: UUID | None, pet: Pet, tx: Tx, caller: User) -> None:
    """What a clinic wrote its people may change, what the owner wrote the owner, all of it an admin; else 403."""
    if caller.has_role("admin"):
        return
    if clinic_id is None:
        allowed = pet.user_id == caller.id
    else:
        allowed = await _is_member(clinic_id, tx, caller)
    if not allowed:
        raise Problem(403, "FORBIDDEN", "Only those who wrote this may change it")


async def _is_member(clinic_id: UUID, tx: Tx, caller: User) -> bool:
    try:
        membership = await tx.ask(GetMembership(clinic_id=clinic_id, user_id=caller.id))
    except Problem as refused:
        if refused.status == 404:
            return False
        raise
    return membership.is_owner or membership.staff_id is not None


async def require_staff(staff_id: UUID | None, tx: Tx) -> None:
    """422 for a veterinarian whom the clinic service does not know."""
    if staff_id is None:
        return
    try:
        await tx.ask(GetStaff(staff_id=staff_id))
    except Problem as refused:
        if refused.status != 404:
            raise
        raise Problem(422, "STAFF_NOT_FOUND", f"No clinic has the staff member {staff_id}") from None
