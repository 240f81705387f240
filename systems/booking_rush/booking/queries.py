"""What booking tells whoever rebuilds a copy of its bookings."""

from __future__ import annotations

from sqlalchemy import select

from freehold import Page, Tx, page_of
from systems.booking_rush.booking.contract import BookingRow, SnapshotBookings
from systems.booking_rush.booking.declaration import booking
from systems.booking_rush.booking.tables import Booking


@booking.answers(SnapshotBookings)
async def snapshot_bookings(query: SnapshotBookings, tx: Tx) -> Page[BookingRow]:
    rows = [_row(found) for found in await tx.scalars(page_of(select(Booking), query, by=Booking.id))]
    return Page[BookingRow].of(rows, query, "booking_id")


def _row(booking: Booking) -> BookingRow:
    renamed = {"booking_id", "ended_at", "version_at"}
    kept = {name: getattr(booking, name) for name in BookingRow.model_fields if name not in renamed}
    is_over = booking.status in ("cancelled", "expired")
    return BookingRow(
        **kept,
        booking_id=booking.id,
        ended_at=(booking.cancelled_at or booking.updated_at) if is_over else None,
        version_at=booking.updated_at,
    )
