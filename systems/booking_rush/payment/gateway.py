"""What payment needs of whoever moves the money."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol, runtime_checkable
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Card:
    """A card as its holder types it. It is turned into a token at once, and never shown, logged or stored."""

    number: str = field(repr=False)
    exp_month: int = field(repr=False)
    exp_year: int = field(repr=False)
    cvc: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChargeOrder:
    """What is to be charged. The payment's id is the gateway's idempotency key: the same order charges once."""

    payment_id: UUID
    booking_id: UUID
    user_id: UUID
    amount: int
    """In the currency's smallest unit."""
    currency: str
    card_token: str | None


@dataclass(frozen=True, slots=True)
class Transaction:
    """What the gateway knows of a charge. `code` and `message` say why it was declined."""

    gateway: str
    id: str
    status: Literal["succeeded", "declined", "pending"]
    amount: int
    card_brand: str | None = None
    card_last_four: str | None = None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """A signed message of the gateway. `kind` is None for types that are of no concern."""

    id: str
    type: str
    kind: Literal["succeeded", "failed", "refunded"] | None
    payment_id: UUID | None
    transaction: Transaction | None


class GatewayError(Exception):
    """The gateway could not do it now; it did not charge."""


class GatewayTimeout(GatewayError):
    """The gateway did not answer: what it did is not known."""


class InvalidWebhook(Exception):
    """Its signature or its body is not the gateway's."""


@runtime_checkable
class PaymentGateway(Protocol):
    """A provider of card payments. Each method raises GatewayError."""

    @property
    def name(self) -> str:
        """As `payments.gateway` keeps it."""
        ...

    async def tokenize(self, card: Card) -> str:
        """A word for the card that may be stored."""
        ...

    async def charge(self, order: ChargeOrder) -> Transaction:
        """Charge once for each payment id; a repeated order gets the first one's transaction."""
        ...

    async def get_transaction(self, payment_id: UUID) -> Transaction | None:
        """What became of a payment's charge; None when nothing was ever charged."""
        ...

    async def refund(self, transaction_id: str, amount: int, *, key: str) -> None:
        """Give back, once for each key."""
        ...

    def verify_webhook(self, body: bytes, signature: str | None) -> Webhook:
        """Read a webhook. Raises InvalidWebhook."""
        ...


def smallest_unit(amount: Decimal) -> int:
    """An amount as gateways count it."""
    return int(amount * 100)
