"""The nightly comparison with what others own."""

from __future__ import annotations

from freehold import Work
from systems.petpro.clinic.declaration import clinic
from systems.petpro.clinic.reconciliation import reconcile_with_reviews
from systems.petpro.clinic.views import appointments, users


@clinic.every(hours=24)
async def reconcile_user_refs(work: Work) -> None:
    """The copies of users against auth's."""
    await work.reconcile(users)


@clinic.every(hours=24)
async def reconcile_appointments(work: Work) -> None:
    """The calendar against booking's bookings."""
    await work.reconcile(appointments)


@clinic.every(hours=24)
async def reconcile_ratings(work: Work) -> None:
    """The ratings against booking's reviews."""
    await reconcile_with_reviews(work)
