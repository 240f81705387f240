"""Clinics: found by everybody, registered and described by their owners, approved by admins."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import select

from freehold import CamelListing, Problem, Tx, User, not_found, public, role, user
from systems.petpro.clinic import facts
from systems.petpro.clinic.bodies import (
    ClinicChanges,
    ClinicList,
    ClinicOut,
    From,
    NewClinic,
    RatingSummary,
    StatusChange,
    columns_of,
)
from systems.petpro.clinic.declaration import clinic
from systems.petpro.clinic.lifecycle import change_status
from systems.petpro.clinic.members import existing_clinic, own_clinic, visible_clinic
from systems.petpro.clinic.rules import distribution_of
from systems.petpro.clinic.search import describe, find_clinics
from systems.petpro.clinic.tables import Clinic, Rating
from systems.petpro.clinic.views import users

# --- browsing ---------------------------------------------------------------------------------------------------------


@clinic.get("/clinics", access=public)
async def list_clinics(query: Annotated[ClinicList, Query()], tx: Tx, caller: User | None) -> CamelListing[ClinicOut]:
    """Approved clinics, one's own, and to admins all: by name, or within `radiusKm` of a place the nearest first."""
    return await find_clinics(query, tx, caller)


@clinic.get("/clinics/{id}", access=public, errors=[404])
async def show_clinic(id: UUID, query: Annotated[From, Query()], tx: Tx, caller: User | None) -> ClinicOut:
    """An approved clinic; any other one to those who act for it."""
    found = await visible_clinic(id, tx, caller)
    return (await describe([found], query.centre, tx, caller))[0]


@clinic.get("/reviews/vendor/{id}/summary", access=public, errors=[404])
@clinic.get("/clinics/{id}/rating", access=public, errors=[404])
async def show_rating(id: UUID, tx: Tx, caller: User | None) -> RatingSummary:
    """What the published reviews of a clinic come to."""
    found = await visible_clinic(id, tx, caller)
    rating = (await tx.scalars(select(Rating).where(Rating.clinic_id == found.id))).one()
    return RatingSummary(
        average_rating=rating.avg_rating,
        total_reviews=rating.review_count,
        rating_distribution=rating.rating_distribution,
    )


# --- what owners and admins do ----------------------------------------------------------------------------------------


@clinic.post("/clinics", access=role("vendor", "admin"), status_code=201, errors=[403, 404])
async def register_clinic(body: NewClinic, tx: Tx, caller: User) -> ClinicOut:
    """Register a clinic of one's own; it waits for approval."""
    owner = await tx.replica(users, caller.id)
    if owner is None:
        raise not_found("The owner", "USER_NOT_FOUND")
    if not owner.is_active:
        raise Problem(403, "FORBIDDEN", "Somebody who is deactivated registers no clinic")
    registered = Clinic(
        **columns_of(body), owner_id=caller.id, status="pending", version=1, created_at=tx.now(), updated_at=tx.now()
    )
    tx.add(registered)
    await tx.flush()
    tx.add(Rating(clinic_id=registered.id, rating_distribution=distribution_of(()), last_updated=tx.now()))
    tx.publish(facts.clinic_created(registered))
    tx.audit("create", "clinic", registered.id, after={"name": registered.name, "status": registered.status})
    return (await describe([registered], None, tx, caller))[0]


@clinic.put("/clinics/{id}", access=user, errors=[403, 404, 409, 422])
async def change_clinic(id: UUID, body: ClinicChanges, tx: Tx, caller: User) -> ClinicOut:
    """Change a clinic. A rejected one that its own people change is submitted again."""
    changed = await own_clinic(id, tx, caller, lock=True)
    given, is_admin = body.given(), caller.has_role("admin")
    status, rate = given.pop("status", None), given.pop("commission_rate", None)
    before = {name: getattr(changed, name) for name in given if getattr(changed, name) != given[name]}
    for column in before:
        setattr(changed, column, given[column])
    if (changed.latitude is None) != (changed.longitude is None):
        raise Problem(400, "VALIDATION_ERROR", "latitude and longitude: give both or none")
    if before:
        changed.touch(tx.now())
        tx.publish(facts.clinic_updated(changed))
        tx.audit("update", "clinic", id, before=before, after={name: given[name] for name in before})
    if is_admin:
        await change_status(changed, status or changed.status, None, tx, commission_rate=rate)
    elif changed.status == "rejected":
        await change_status(changed, "pending", "submitted again", tx)
    await tx.flush()
    return (await describe([changed], None, tx, caller))[0]


@clinic.put("/admin/clinics/{id}/status", access=role("admin"), errors=[404, 409, 422])
async def decide_on_clinic(id: UUID, body: StatusChange, tx: Tx, caller: User) -> ClinicOut:
    """Approve, reject, suspend or reinstate a clinic, and agree on its commission."""
    decided = await existing_clinic(id, tx, lock=True)
    await change_status(decided, body.status, body.reason, tx, commission_rate=body.commission_rate)
    return (await describe([decided], None, tx, caller))[0]
