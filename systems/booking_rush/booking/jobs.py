"""What booking does by the clock."""

from __future__ import annotations

from functools import partial

from sqlalchemy import select

from freehold import Work
from systems.booking_rush.booking.declaration import booking
from systems.booking_rush.booking.inventory import reconcile
from systems.booking_rush.booking.lifecycle import expire_if_due
from systems.booking_rush.booking.settings import BookingSettings
from systems.booking_rush.booking.tables import Booking


@booking.every(seconds=5)
async def expiry_worker(work: Work, settings: BookingSettings) -> None:
    """Expire holds whose time is up, each in a transaction of its own, until none is left."""
    now = work.now()
    overdue = (
        select(Booking.id)
        .where(Booking.status == "reserved", Booking.reservation_expires_at < now)
        .order_by(Booking.reservation_expires_at)
        .limit(settings.expiry_batch)
    )
    while True:
        async with work.transaction(readonly=True) as tx:
            batch = list(await tx.scalars(overdue))
        expired = [await work.run(partial(expire_if_due, one, now)) for one in batch]
        if len(batch) < settings.expiry_batch or not any(expired):
            return


@booking.every(seconds=5)
async def inventory_reconciler(work: Work, settings: BookingSettings) -> None:
    """Compare every zone's count with its open bookings and with ticket, and repair it."""
    await reconcile(work, settings.inventory_page)
