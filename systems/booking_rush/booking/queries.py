"""What booking tells whoever rebuilds a copy of its bookings."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from freehold import Problem, Tx
from systems.booking_rush.booking.contract import BookingRow, BookingRowPage, SnapshotBookings
from systems.booking_rush.booking.declaration import booking
from systems.booking_rush.booking.tables import Booking


@booking.answers(SnapshotBookings)
async def snapshot_bookings(query: SnapshotBookings, tx: Tx) -> BookingRowPage:
    page = select(Booking).order_by(Booking.id).limit(query.limit)
    if query.cursor is not None:
        page = page.where(Booking.id > _after(query.cursor))
    rows = [_row(found) for found in await tx.scalars(page)]
    return BookingRowPage(data=rows, next_cursor=str(rows[-1].booking_id) if len(rows) == query.limit else None)


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


def _after(cursor: str) -> UUID:
    try:
        return UUID(cursor)
    except ValueError:
        raise Problem(400, "BAD_REQUEST", "cursor: it is not one that this snapshot gave") from None
