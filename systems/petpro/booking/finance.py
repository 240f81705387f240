"""The financial split: an entry for what came in, one for what went back, settled when the clinic gets its share."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import reduce

from sqlalchemy import select

from freehold import Tx, uuid7
from systems.petpro.booking.booking_bodies import Settled
from systems.petpro.booking.contract import EntryKind
from systems.petpro.booking.facts import entry_recorded
from systems.petpro.booking.money_tables import FinancialEntry
from systems.petpro.booking.rules import Split, split
from systems.petpro.booking.settings import BookingSettings
from systems.petpro.booking.tables import Booking


async def record_fee(booking: Booking, commission_rate: Decimal, tx: Tx) -> None:
    """The split of a booking's price, at a rate that is frozen by it."""
    if not any(entry.type == "booking_fee" for entry in await _entries(booking, tx)):
        parts = split(booking.amount, commission_rate, tx.use(BookingSettings).tax_rate_percent)
        _record("booking_fee", booking, parts, commission_rate, tx)


async def record_refunds(booking: Booking, given_back: Decimal, tx: Tx) -> None:
    """Bring the entries in line with all that goes back of a booking's price.

    All of it, before the settlement: the fee counts no longer. Otherwise one refund entry, which grows until it is
    settled itself; what goes back later is an adjustment.
    """
    entries = [entry for entry in await _entries(booking, tx) if entry.status != "cancelled"]
    fee = next((entry for entry in entries if entry.type == "booking_fee"), None)
    if fee is None:
        return
    now = tx.now()
    if given_back == booking.amount and all(entry.status == "pending" for entry in entries):
        for entry in entries:
            entry.cancel(now)
            tx.publish(entry_recorded(entry))
        return
    due = -split(given_back, fee.commission_rate, tx.use(BookingSettings).tax_rate_percent)
    back = [entry for entry in entries if entry is not fee]
    growing = next((entry for entry in back if entry.type == "refund" and entry.status == "pending"), None)
    if growing is not None:
        growing.set(due, now)
        tx.publish(entry_recorded(growing))
    elif not back:
        _record("refund", booking, due, fee.commission_rate, tx)
    else:
        rest = reduce(Split.__sub__, (entry.split for entry in back), due)
        _record("adjustment", booking, rest, fee.commission_rate, tx)


async def settle_due(tx: Tx) -> Settled:
    """Settle the pending entries of bookings that were completed long enough ago; their number, the clinics' share."""
    until = tx.now() - timedelta(days=tx.use(BookingSettings).settlement_hold_days)
    completed = select(Booking.id).where(Booking.status == "completed", Booking.ended_at <= until)
    due = (
        select(FinancialEntry)
        .where(FinancialEntry.status == "pending", FinancialEntry.booking_id.in_(completed))
        .order_by(FinancialEntry.id)
        .with_for_update()
    )
    settled, amount = 0, Decimal(0)
    for entry in await tx.scalars(due):
        entry.settle(tx.now())
        tx.publish(entry_recorded(entry))
        settled, amount = settled + 1, amount + entry.clinic_amount
    return Settled(settled=settled, amount=amount)


async def _entries(booking: Booking, tx: Tx) -> list[FinancialEntry]:
    rows = await tx.scalars(
        select(FinancialEntry)
        .where(FinancialEntry.booking_id == booking.id)
        .order_by(FinancialEntry.id)
        .with_for_update()
    )
    return list(rows)


def _record(kind: EntryKind, booking: Booking, parts: Split, rate: Decimal, tx: Tx) -> None:
    entry = FinancialEntry(
        id=uuid7(tx.now()), booking_id=booking.id, clinic_id=booking.clinic_id, type=kind, currency="IDR",
        status="pending", commission_rate=rate, created_at=tx.now(), total_amount=parts.total,
        tax_amount=parts.tax, platform_fee=parts.platform_fee, clinic_amount=parts.clinic_amount, updated_at=tx.now(),
    )  # fmt: skip
    tx.add(entry)
    tx.publish(entry_recorded(entry))
