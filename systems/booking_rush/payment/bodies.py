"""What travels over payment's routes."""

from __future__ import annotations

import logging
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Protocol, Self
from uuid import UUID

from pydantic import BaseModel, Field, SecretStr, model_validator

from freehold import MoneyNumber, Problem
from systems.booking_rush.payment.contract import PaymentInfo, PaymentMethod, PaymentStatus
from systems.booking_rush.payment.gateway import Card, GatewayError
from systems.booking_rush.payment.tables import Payment

log = logging.getLogger(__name__)
Amount = Annotated[MoneyNumber, Field(gt=0)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]


class Claim(Protocol):
    """Who wants to pay what, and how."""

    @property
    def amount(self) -> Decimal: ...
    @property
    def currency(self) -> str: ...
    @property
    def method(self) -> PaymentMethod: ...


class PaymentIn(BaseModel):
    booking_id: UUID
    amount: Amount
    currency: Currency
    method: PaymentMethod
    metadata: dict[str, Any] = {}


class ProcessIn(BaseModel):
    """A card by its token, or by its number; neither for methods that need no card."""

    card_token: SecretStr | None = Field(default=None, max_length=100)
    card_number: SecretStr | None = Field(default=None, max_length=30)
    exp_month: int | None = Field(default=None, ge=1, le=12)
    exp_year: int | None = Field(default=None, ge=2000, le=2100)
    cvc: SecretStr | None = Field(default=None, max_length=4)

    @model_validator(mode="after")
    def _whole_card(self) -> Self:
        if self.card_number is not None and (self.exp_month is None or self.exp_year is None or self.cvc is None):
            raise ValueError("a card number comes with exp_month, exp_year and cvc")
        if self.card_number is not None and self.card_token is not None:
            raise ValueError("give card_token or card_number, not both")
        return self

    def card(self) -> Card | None:
        """The card, where it came by its number."""
        if self.card_number is None or self.exp_month is None or self.exp_year is None or self.cvc is None:
            return None
        return Card(self.card_number.get_secret_value(), self.exp_month, self.exp_year, self.cvc.get_secret_value())


class IntentIn(BaseModel):
    booking_id: UUID
    amount: Amount
    currency: Currency = "THB"
    metadata: dict[str, Any] = {}

    @property
    def method(self) -> PaymentMethod:
        """The gateway's form takes cards."""
        return "credit_card"


class IntentOut(BaseModel):
    payment_id: UUID
    client_secret: str
    payment_intent_id: str
    amount: MoneyNumber
    currency: str
    status: PaymentStatus


class ConfirmIn(BaseModel):
    payment_id: UUID
    payment_intent_id: str = Field(max_length=255)


class ConfirmedOut(BaseModel):
    """`status` is ours, `stripe_status` the gateway's own word."""

    payment_id: UUID
    status: PaymentStatus
    payment_intent_id: str
    stripe_status: str


class SavedMethodOut(BaseModel):
    id: str
    type: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    is_default: bool


class MethodsOut(BaseModel):
    payment_methods: list[SavedMethodOut]
    total: int


class PortalIn(BaseModel):
    return_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2000)]


class PortalOut(BaseModel):
    url: str


class RefundIn(BaseModel):
    amount: Amount | None = None
    reason: str | None = Field(default=None, max_length=500)


class PaymentOut(BaseModel):
    id: UUID
    tenant_id: UUID | None
    booking_id: UUID
    user_id: UUID
    amount: MoneyNumber
    currency: str
    status: PaymentStatus
    method: PaymentMethod
    gateway: str | None
    gateway_payment_id: str | None
    card_last_four: str | None
    card_brand: str | None
    error_code: str | None
    error_message: str | None
    refund_amount: MoneyNumber | None
    refund_reason: str | None
    refunded_at: datetime | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    processed_at: datetime | None
    completed_at: datetime | None

    @classmethod
    def of(cls, payment: Payment) -> PaymentOut:
        """The payment as its owner sees it."""
        kept = {name: getattr(payment, name) for name in cls.model_fields if name != "metadata"}
        return cls.model_validate({**kept, "metadata": payment.details})


def info_of(payment: Payment) -> PaymentInfo:
    """The payment as siblings see it."""
    kept = {name: getattr(payment, name) for name in PaymentInfo.model_fields if name != "payment_id"}
    return PaymentInfo.model_validate({**kept, "payment_id": payment.id})


def gateway_error(error: GatewayError) -> Problem:
    """What a client is told when the gateway could not do it."""
    log.warning("the payment gateway could not do it: %s", error)
    return Problem(502, "GATEWAY_ERROR", "The payment provider could not do it; try again later")
