"""Money at the gateway that does not fit our books: people must look at it."""

from __future__ import annotations

from uuid import UUID

from freehold import Command, Tx
from systems.booking_rush.payment.gateway import Transaction


class ReviewCharge(Command, name="payment.review_charge", key="payment_id"):
    """Settle a charge that could not be settled. It cannot be now either, and so becomes a dead letter, which people
    replay once they have mended what was wrong, or discard.
    """

    payment_id: UUID
    gateway: str
    transaction_id: str
    amount: int
    currency: str | None

    @property
    def transaction(self) -> Transaction:
        """The charge as the gateway told of it."""
        return Transaction(self.gateway, self.transaction_id, "succeeded", self.amount, self.currency)


class UnsettledCharge(Exception):
    """The gateway charged what it should not have; the text says what."""


def put_before_people(payment_id: UUID, charge: Transaction, tx: Tx) -> None:
    """Have the charge reviewed, if this transaction commits."""
    tx.send(
        ReviewCharge(
            payment_id=payment_id,
            gateway=charge.gateway,
            transaction_id=charge.id,
            amount=charge.amount,
            currency=charge.currency,
        )
    )
