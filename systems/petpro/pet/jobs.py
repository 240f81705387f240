"""What pet does by itself."""

from __future__ import annotations

import logging

from sqlalchemy import select

from freehold import Work, gauge
from systems.petpro.pet.declaration import pet
from systems.petpro.pet.rules import EXPIRES_SOON
from systems.petpro.pet.species_refs import WRITE, backfill
from systems.petpro.pet.tables import Pet, Vaccination
from systems.petpro.pet.views import users

log = logging.getLogger(__name__)
expiring = gauge("pet_vaccinations_expiring", "Vaccinations of living pets that expire within 30 days")


@pet.every(hours=24)
async def reconcile_user_refs(work: Work) -> None:
    """Hold the copies of users against auth's snapshot, and repair what differs."""
    await work.reconcile(users)


@pet.every(minutes=10)
async def backfill_species_refs(work: Work) -> None:
    """While references are written for everybody: fill those of earlier pets, and count where both forms differ."""
    async with work.transaction(readonly=True) as tx:
        written = await tx.flag(WRITE.name)
    if written and (left := await backfill(work)):
        log.warning("%d pets have no references, or such as differ from their species and breed", left)


@pet.every(hours=24)
async def vaccination_expiry_scan(work: Work) -> None:
    """Say which vaccinations should be renewed."""
    today = work.now().date()
    living = select(Pet.id).where(Pet.deleted_at.is_(None))
    soon = select(Vaccination).where(
        Vaccination.expiry_date.between(today, today + EXPIRES_SOON), Vaccination.pet_id.in_(living)
    )
    async with work.transaction(readonly=True) as tx:
        found = (await tx.scalars(soon.order_by(Vaccination.expiry_date, Vaccination.id))).all()
    expiring.set(len(found))
    for vaccination in found:
        log.info("vaccination %s of pet %s expires on %s", vaccination.id, vaccination.pet_id, vaccination.expiry_date)
