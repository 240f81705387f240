"""What travels over payment's routes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, Field, SecretStr, model_validator

from freehold import MoneyNumber
from systems.booking_rush.payment.contract import PaymentInfo, PaymentMethod, PaymentStatus
from systems.booking_rush.payment.gateway import Card
from systems.booking_rush.payment.tables import Payment

Amount = Annotated[MoneyNumber, Field(gt=0)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]


class PaymentIn(BaseModel):
    booking_id: UUID
    amount: Amount
    currency: Currency
    method: PaymentMethod
    metadata: dict[str, Any] = {}


class ProcessIn(BaseModel):
    """A card by its token, or by its number; neither for methods that need no card."""

    card_token: str | None = Field(default=None, max_length=100)
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
