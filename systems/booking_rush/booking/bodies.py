"""What travels over booking's routes."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, SecretStr, model_validator

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
    queue_pass: str | None = Field(default=None, max_length=8192)


class ConfirmBooking(BaseModel):
    payment_id: UUID | None = None


class BookAndPayIn(ReserveSeats):
    total_price: MoneyNumber
    currency: str = Field(default="THB", min_length=3, max_length=3)
    payment_method: PaymentMethod = "credit_card"
    card_token: SecretStr | None = Field(default=None, max_length=100)


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
    """`redis_available`: what the live counter says; -1 where there is none, or the store does not answer."""

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


# --- the queue --------------------------------------------------------------------------------------------------------


class JoinIn(BaseModel):
    event_id: UUID


class LeaveIn(BaseModel):
    event_id: UUID
    token: str = Field(max_length=100)


class Left(BaseModel):
    success: bool = True
    message: str = "You have left the queue"


class QueuePosition(BaseModel):
    """`position` 1 is the next; 0 is somebody whose pass is there (`is_ready`)."""

    position: int
    total_in_queue: int
    estimated_wait_seconds: int
    is_ready: bool
    expires_at: datetime
    queue_pass: str | None = None
    queue_pass_expires_at: datetime | None = None


class StreamEnded(BaseModel):
    event: Literal["not_in_queue", "timeout"]
    message: str


class QueueStatus(BaseModel):
    event_id: UUID
    total_in_queue: int
    is_open: bool


class QueueSettingsIn(BaseModel):
    required: bool | None = None
    max_concurrent_bookings: int | None = Field(default=None, ge=0, le=1_000_000)
    queue_pass_ttl_minutes: float | None = Field(default=None, gt=0, le=1440)
    max_queue_size: int | None = Field(default=None, ge=0, le=10_000_000)

    @model_validator(mode="after")
    def _says_something(self) -> QueueSettingsIn:
        if not self.model_dump(exclude_none=True):
            raise ValueError("names nothing to change")
        return self


class QueueSettings(BaseModel):
    event_id: UUID
    required: bool
    max_concurrent_bookings: int
    queue_pass_ttl_minutes: float
    max_queue_size: int
