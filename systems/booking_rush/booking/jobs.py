"""What booking does by the clock."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from sqlalchemy import select

from freehold import Work
from systems.booking_rush.booking.declaration import booking
from systems.booking_rush.booking.inventory import count_active, reconcile
from systems.booking_rush.booking.lifecycle import expire_if_due
from systems.booking_rush.booking.queue import forget_ended, queues_at_work, release_passes
from systems.booking_rush.booking.settings import BookingSettings
from systems.booking_rush.booking.settlement import Settled, compare_payments
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
    """Compare every zone's count with its open bookings and with ticket, and repair it; count the holds."""
    await reconcile(work, settings.inventory_page)
    await count_active(work)


@booking.provide
def settled() -> Settled:
    return Settled()


@booking.every(minutes=1)
async def payment_reconciler(work: Work, settled: Settled, settings: BookingSettings) -> None:
    """Compare what was paid with what is confirmed; start what was missed, and give back what cannot be."""
    await compare_payments(work, settled, settings)


@booking.every(seconds=1)
async def queue_release_worker(work: Work) -> None:
    """Give the passes that are free to those who wait longest, event by event."""
    async with work.transaction(readonly=True) as tx:
        events = await queues_at_work(tx)
    for event_id in events:
        await work.run(partial(release_passes, event_id))


@booking.every(hours=1)
async def queue_cleaner(work: Work, settings: BookingSettings) -> None:
    """Forget places that ended long ago, some at a time."""
    before = work.now() - timedelta(days=settings.queue_kept_days)
    while await work.run(partial(forget_ended, before, settings.queue_clean_batch)):
        pass
