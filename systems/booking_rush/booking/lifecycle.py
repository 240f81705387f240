"""What becomes of a booking: it is confirmed, cancelled or expired, once, with its seats in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from freehold import Tx, not_found
from systems.booking_rush.booking.contract import BookingConfirmed
from systems.booking_rush.booking.rules import check_held, confirmation_code, expired, hold_is_over
from systems.booking_rush.booking.seats import release
from systems.booking_rush.booking.tables import Booking


async def hold_booking(booking_id: UUID, tx: Tx) -> Booking:
    """The booking, locked. Raises Problem 404."""
    booking = await tx.get(Booking, booking_id, lock=True)
    if booking is None:
        raise not_found("The booking")
    return booking


async def hold_held(booking_id: UUID, tx: Tx) -> Booking:
    """The booking, locked, if its seats are held still; a hold that is over is ended on the spot.

    Raises Problem: 404, 409 `ALREADY_CONFIRMED` or `ALREADY_RELEASED`, 410 `EXPIRED`.
    """
    booking = await hold_booking(booking_id, tx)
    check_held(booking)
    await end_if_over(booking, tx)
    return booking


async def end_if_over(booking: Booking, tx: Tx) -> None:
    """Expire a hold whose time is up, without waiting for the worker. Raises Problem 410 `EXPIRED`, keeping that."""
    if hold_is_over(booking, tx.now()):
        await expire(booking, tx)
        raise expired(keep=True)


def confirm(booking: Booking, payment_id: UUID | None, tx: Tx) -> BookingConfirmed:
    """Sell the held seats."""
    before = _said(booking)
    sold = booking.confirm(payment_id, confirmation_code(), tx.now())
    tx.publish(sold)
    _audit("confirm", booking, before, tx)
    return sold


async def cancel(bookings: Sequence[Booking], reason: str, tx: Tx, *, by: UUID | None = None) -> None:
    """Give up open bookings, held or sold."""
    for booking in bookings:
        before = _said(booking)
        tx.publish(booking.cancel(reason, tx.now(), by))
        _audit("cancel", booking, before, tx)
    await release(bookings, tx)


async def expire(booking: Booking, tx: Tx) -> None:
    """End a hold that nobody paid for in time."""
    tx.publish(booking.expire(tx.now()))
    await release([booking], tx)


async def expire_if_due(booking_id: UUID, now: datetime, tx: Tx) -> bool:
    """Expire the booking unless somebody else has it in hand, or has decided otherwise already."""
    due = select(Booking).where(
        Booking.id == booking_id, Booking.status == "reserved", Booking.reservation_expires_at < now
    )
    booking = await tx.scalar(due.with_for_update(skip_locked=True))
    if booking is None:
        return False
    await expire(booking, tx)
    return True


def _said(booking: Booking) -> dict[str, Any]:
    """What the audit trail tells of a booking's state."""
    payment_id = None if booking.payment_id is None else str(booking.payment_id)
    return {"status": booking.status, "reason": booking.status_reason, "payment_id": payment_id}


def _audit(action: str, booking: Booking, before: dict[str, Any], tx: Tx) -> None:
    tx.audit(action, "booking", booking.id, before=before, after=_said(booking), tenant_id=booking.tenant_id)
