"""What travels over booking's routes."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from freehold import MoneyNumber, TimeOfDay
from systems.booking_rush.booking.contract import BookingStatus
from systems.booking_rush.booking.tables import Booking
from systems.booking_rush.payment.contract import PaymentMethod

Quantity = Annotated[int, Field(ge=1, le=10, strict=True)]


class ReserveSeats(BaseModel):
    event_id: UUID
    zone_id: UUID
    show_id: UUID
    quantity: Quantity


class ConfirmBooking(BaseModel):
    payment_id: UUID | None = None


class BookAndPayIn(ReserveSeats):
    total_price: MoneyNumber
    currency: str = Field(default="THB", min_length=3, max_length=3)
    payment_method: PaymentMethod = "credit_card"
    card_token: str | None = Field(default=None, max_length=100)


class SagaAccepted(BaseModel):
    saga_id: UUID
    booking_id: UUID
    status: Literal["pending"] = "pending"
    message: str = "The booking is being made"


class SagaOut(BaseModel):
    saga_id: UUID
    status: str
    current_step: int
    data: dict[str, Any]
    error: str | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None


class Confirmed(BaseModel):
    booking_id: UUID
    status: Literal["confirmed"] = "confirmed"
    confirmed_at: datetime
    confirmation_code: str


class Cancelled(BaseModel):
    booking_id: UUID
    status: Literal["cancelled"] = "cancelled"
    message: str = "The seats were given back"


class BookingOut(BaseModel):
    id: UUID
    user_id: UUID
    event_id: UUID
    show_id: UUID
    zone_id: UUID
    event_name: str
    show_date: date
    show_time: TimeOfDay
    zone_name: str
    venue_name: str | None
    quantity: int
    unit_price: MoneyNumber
    total_price: MoneyNumber
    currency: str
    status: BookingStatus
    status_reason: str | None
    payment_id: UUID | None
    confirmation_code: str | None
    reserved_at: datetime
    confirmed_at: datetime | None
    cancelled_at: datetime | None
    expires_at: datetime

    @classmethod
    def of(cls, booking: Booking) -> BookingOut:
        """The booking as its owner sees it."""
        renamed = {"total_price": booking.total_amount, "expires_at": booking.reservation_expires_at}
        kept = {name: getattr(booking, name) for name in cls.model_fields if name not in renamed}
        return cls.model_validate({**kept, **renamed})


class PageMeta(BaseModel):
    page: int
    page_size: int
    total_items: int
    total_pages: int


class BookingPage(BaseModel):
    data: list[BookingOut]
    next_cursor: str | None = None
    meta: PageMeta


class Bookings(BaseModel):
    data: list[BookingOut]
    next_cursor: str | None = None


class Summary(BaseModel):
    user_id: UUID
    event_id: UUID
    booked_count: int
    max_allowed: int
    remaining_slots: int


class Synced(BaseModel):
    success: bool = True
    message: str
    zones_synced: int


class ZoneStatus(BaseModel):
    """`redis_available`: what the counter that decides has left; -1 where there is none."""

    zone_id: UUID
    name: str
    ticket_available: int
    ticket_total: int
    redis_available: int
    in_sync: bool


class InventoryStatus(BaseModel):
    success: bool = True
    count: int
    data: list[ZoneStatus]
