"""What payment tells siblings who compare their books with its own."""

from __future__ import annotations

from sqlalchemy import select

from freehold import Tx
from systems.booking_rush.payment.contract import ListSucceededPayments, SucceededPayment
from systems.booking_rush.payment.declaration import payment
from systems.booking_rush.payment.tables import Payment


@payment.answers(ListSucceededPayments)
async def list_succeeded(query: ListSucceededPayments, tx: Tx) -> list[SucceededPayment]:
    later = Payment.completed_at >= query.since
    if query.after is not None:
        same = (Payment.completed_at == query.since) & (Payment.id > query.after)
        later = (Payment.completed_at > query.since) | same
    page = select(Payment).where(Payment.status == "succeeded", later, Payment.completed_at < query.until)
    rows = await tx.scalars(page.order_by(Payment.completed_at, Payment.id).limit(query.limit))
    return [SucceededPayment.model_validate(row, from_attributes=True) for row in rows]
