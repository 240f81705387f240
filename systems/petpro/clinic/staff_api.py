"""Who works at a clinic."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import select

from freehold import CamelListing, Problem, Tx, User, list_rows, not_found, public, user
from systems.petpro.bodies import PageOf
from systems.petpro.clinic import facts
from systems.petpro.clinic.bodies import NewStaff, StaffChanges, StaffOut, columns_of
from systems.petpro.clinic.declaration import clinic
from systems.petpro.clinic.members import acts_for, own_clinic, visible_clinic
from systems.petpro.clinic.tables import StaffMember
from systems.petpro.clinic.views import users


@clinic.get("/clinics/{id}/staff", access=public, errors=[404])
async def list_staff(
    id: UUID, query: Annotated[PageOf, Query()], tx: Tx, caller: User | None
) -> CamelListing[StaffOut]:
    """The active staff by name; those who act for the clinic see all of them, with how to reach them."""
    of = await visible_clinic(id, tx, caller)
    inside = await acts_for(of, tx, caller)
    found = select(StaffMember).where(StaffMember.clinic_id == id)
    if not inside:
        found = found.where(StaffMember.is_active)
    page = await list_rows(
        tx, found, query, order_by=StaffMember.name, show=lambda member: StaffOut.of(member, with_contact=inside)
    )
    return CamelListing.of(page)


@clinic.post("/clinics/{id}/staff", access=user, status_code=201, errors=[403, 404, 409])
async def add_staff(id: UUID, body: NewStaff, tx: Tx, caller: User) -> StaffOut:
    """Add somebody to the staff, with their login if they have one."""
    await own_clinic(id, tx, caller)
    await _require_user(body.user_id, tx)
    await own_clinic(id, tx, caller, lock=True)
    await _require_free(id, body.email, None, tx)
    member = StaffMember(**columns_of(body), clinic_id=id, is_active=True, created_at=tx.now(), updated_at=tx.now())
    tx.add(member)
    await tx.flush()
    tx.publish(facts.staff_changed(member, "created"))
    return StaffOut.of(member, with_contact=True)


@clinic.put("/clinics/{id}/staff/{staff_id}", access=user, errors=[403, 404, 409])
async def change_staff(id: UUID, staff_id: UUID, body: StaffChanges, tx: Tx, caller: User) -> StaffOut:
    """Change what is said of somebody; `isActive` takes them back."""
    await own_clinic(id, tx, caller)
    await _require_user(body.user_id, tx)
    member = await _own_member(id, staff_id, tx, caller)
    given = body.given()
    if given.get("email", member.email) != member.email:
        await _require_free(id, given["email"], staff_id, tx)
    changes = {name: value for name, value in given.items() if getattr(member, name) != value}
    if changes:
        for column, value in changes.items():
            setattr(member, column, value)
        member.updated_at = tx.now()
        tx.publish(facts.staff_changed(member, "updated" if member.is_active else "deactivated"))
    return StaffOut.of(member, with_contact=True)


@clinic.delete("/clinics/{id}/staff/{staff_id}", access=user, status_code=204, errors=[403, 404])
async def remove_staff(id: UUID, staff_id: UUID, tx: Tx, caller: User) -> None:
    """Somebody works there no longer; their row stays."""
    member = await _own_member(id, staff_id, tx, caller)
    if member.is_active:
        member.is_active = False
        member.updated_at = tx.now()
        tx.publish(facts.staff_changed(member, "deactivated"))


async def _own_member(clinic_id: UUID, staff_id: UUID, tx: Tx, caller: User) -> StaffMember:
    await own_clinic(clinic_id, tx, caller, lock=True)
    member = await tx.find(StaffMember, StaffMember.id == staff_id, StaffMember.clinic_id == clinic_id, lock=True)
    if member is None:
        raise not_found("The staff member", "STAFF_NOT_FOUND")
    return member


async def _require_user(user_id: UUID | None, tx: Tx) -> None:
    if user_id is not None and await tx.replica(users, user_id) is None:
        raise not_found("The user", "USER_NOT_FOUND")


async def _require_free(clinic_id: UUID, email: str, staff_id: UUID | None, tx: Tx) -> None:
    """Under the clinic's lock, so that two with one address do not come at once."""
    other = await tx.find(StaffMember, StaffMember.clinic_id == clinic_id, StaffMember.email == email)
    if other is not None and other.id != staff_id:
        raise Problem(409, "STAFF_EMAIL_TAKEN", "Somebody of the clinic has this e-mail address already")
