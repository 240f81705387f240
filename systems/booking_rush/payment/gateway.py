"""What payment needs of whoever moves the money."""

from __future__ import annotations

from collections.abc import Sequence
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
    """What is to be charged. The gateway's idempotency keys are made of the payment's id: it is charged once."""

    payment_id: UUID
    booking_id: UUID
    user_id: UUID
    amount: int
    """In the currency's smallest unit."""
    currency: str
    card_token: str | None = field(default=None, repr=False)
    intent_id: str | None = None
    """The intent that was made for the payment before: it is that one which is charged."""
    attempt: int = 0
    """How often this was tried before."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What the gateway knows of a charge. `code` and `message` say why it was declined."""

    gateway: str
    id: str
    status: Literal["succeeded", "declined", "pending"]
    amount: int
    currency: str | None = None
    charge_id: str | None = None
    card_brand: str | None = None
    card_last_four: str | None = None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """A payment that the customer completes with the gateway's own form.

    `status` is the gateway's own word. `transaction` is None as long as nobody tried to pay.
    """

    id: str
    client_secret: str = field(repr=False)
    status: str
    transaction: Transaction | None


@dataclass(frozen=True, slots=True)
class SavedMethod:
    """A card that the gateway keeps for a customer."""

    id: str
    type: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    is_default: bool


@dataclass(frozen=True, slots=True)
class Webhook:
    """A signed message of the gateway. `kind` is None for types that are of no concern."""

    id: str
    type: str
    kind: Literal["succeeded", "failed", "refunded"] | None
    payment_id: UUID | None
    transaction: Transaction | None
    refunded: int = 0
    """How much of it was given back by now, in the smallest unit."""


class GatewayError(Exception):
    """The gateway could not do it now; it did not charge."""


class GatewayTimeout(GatewayError):
    """The gateway gave no answer that says what it did: it may have charged."""


class CardRefused(GatewayError):
    """This is no card that can be charged, whatever is tried."""


class NotSupported(GatewayError):
    """This gateway has no such thing."""


class InvalidWebhook(Exception):
    """Its signature or its body is not the gateway's."""


@runtime_checkable
class PaymentGateway(Protocol):
    """A provider of card payments. Each method raises GatewayError."""

    @property
    def name(self) -> str:
        """As `payments.gateway` keeps it."""
        ...

    # --- charges ------------------------------------------------------------------------------------------------------

    async def tokenize(self, card: Card) -> str:
        """A word for the card that may be stored. Raises CardRefused."""
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

    # --- the gateway's own form ---------------------------------------------------------------------------------------

    async def create_intent(self, order: ChargeOrder, customer_id: str | None) -> Intent:
        """Let the customer pay there; a repeated order gets the payment's one intent."""
        ...

    async def confirm_intent(self, intent_id: str) -> Intent:
        """What became of an intent; one that waits for our word only gets it."""
        ...

    async def cancel_intent(self, intent_id: str) -> Intent:
        """Let nobody pay it any more; it tells whether somebody had."""
        ...

    # --- customers ----------------------------------------------------------------------------------------------------

    async def create_customer(self, user_id: UUID, email: str | None, name: str | None) -> str:
        """The gateway's id of a new customer, once for each user. Raises NotSupported where it keeps none."""
        ...

    async def list_methods(self, customer_id: str) -> Sequence[SavedMethod]:
        """The cards that the gateway keeps for a customer."""
        ...

    async def portal(self, customer_id: str, return_url: str) -> str:
        """Address of a page where the customer looks after saved cards. Raises NotSupported where there is none."""
        ...

    # --- webhooks -----------------------------------------------------------------------------------------------------

    def verify_webhook(self, body: bytes, signature: str | None) -> Webhook:
        """Read a webhook. Raises InvalidWebhook."""
        ...


def smallest_unit(amount: Decimal) -> int:
    """An amount as gateways count it."""
    return int(amount * 100)
