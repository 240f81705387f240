"""What other services may know of booking."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from freehold import After, Event, Money, Page, Query, Timestamp

BookingStatus = Literal[
    "pending_payment", "pending_approval", "confirmed", "in_progress", "completed", "cancelled", "no_show"
]
EntryKind = Literal["booking_fee", "refund", "adjustment"]
EntryStatus = Literal["pending", "settled", "cancelled"]
PaymentMethod = Literal["credit_card", "bank_transfer", "e_wallet"]
PaymentStatus = Literal[
    "pending", "processing", "success", "failed", "refund_pending", "refunded", "partially_refunded"
]
ReservationStatus = Literal["pending", "confirmed", "cancelled", "expired"]
ServiceCategory = Literal["grooming", "veterinary", "boarding", "daycare", "training"]
SlotStatus = Literal["available", "booked", "blocked"]


# --- events -----------------------------------------------------------------------------------------------------------


class ServiceDefined(Event, name="service.defined", topic="petpro.booking.services", key="service_id"):
    service_id: UUID
    clinic_id: UUID
    name: str
    description: str | None
    category: str
    price: Money
    duration_minutes: int
    requires_approval: bool
    is_available: bool
    version: int


class ReservationCreated(Event, name="reservation.created", topic="petpro.booking.reservations", key="slot_id"):
    reservation_id: UUID
    user_id: UUID
    pet_id: UUID
    service_id: UUID
    slot_id: UUID
    expires_at: Timestamp
    created_at: Timestamp


class ReservationExpired(Event, name="reservation.expired", topic="petpro.booking.reservations", key="slot_id"):
    reservation_id: UUID
    slot_id: UUID
    user_id: UUID
    booking_id: UUID | None
    expired_at: Timestamp


class ReservationCancelled(Event, name="reservation.cancelled", topic="petpro.booking.reservations", key="slot_id"):
    reservation_id: UUID
    slot_id: UUID
    user_id: UUID
    reason: str
    cancelled_at: Timestamp


class BookingCreated(Event, name="booking.created", topic="petpro.booking.bookings", key="booking_id"):
    booking_id: UUID
    reference_code: str
    reservation_id: UUID
    user_id: UUID
    user_name: str | None
    user_email: str | None
    pet_id: UUID
    pet_name: str | None
    pet_species: str | None
    clinic_id: UUID
    clinic_name: str | None
    service_id: UUID
    service_name: str
    slot_id: UUID
    staff_id: UUID | None
    starts_at: Timestamp
    ends_at: Timestamp
    amount: Money
    currency: str
    status: str
    version: int
    created_at: Timestamp


class BookingConfirmed(Event, name="booking.confirmed", topic="petpro.booking.bookings", key="booking_id"):
    booking_id: UUID
    reference_code: str
    user_id: UUID
    pet_id: UUID
    clinic_id: UUID
    service_id: UUID
    slot_id: UUID
    staff_id: UUID | None
    starts_at: Timestamp
    ends_at: Timestamp
    amount: Money
    currency: str
    status: str
    version: int
    confirmed_at: Timestamp


class BookingCancelled(Event, name="booking.cancelled", topic="petpro.booking.bookings", key="booking_id"):
    booking_id: UUID
    reference_code: str
    user_id: UUID
    pet_id: UUID
    clinic_id: UUID
    previous_status: str
    status: str
    cancellation_reason: str
    cancelled_by: str
    refund_percent: int
    refund_amount: Money
    refund_status: str
    version: int
    cancelled_at: Timestamp


class BookingCompleted(Event, name="booking.completed", topic="petpro.booking.bookings", key="booking_id"):
    booking_id: UUID
    reference_code: str
    user_id: UUID
    pet_id: UUID
    clinic_id: UUID
    service_id: UUID
    service_name: str
    status: str
    version: int
    completed_at: Timestamp


class BookingRescheduled(Event, name="booking.rescheduled", topic="petpro.booking.bookings", key="booking_id"):
    booking_id: UUID
    previous_slot_id: UUID
    slot_id: UUID
    staff_id: UUID | None
    starts_at: Timestamp
    ends_at: Timestamp
    status: str
    version: int
    rescheduled_at: Timestamp


class BookingStatusChanged(Event, name="booking.status_changed", topic="petpro.booking.bookings", key="booking_id"):
    booking_id: UUID
    reference_code: str
    previous_status: str
    status: str
    version: int
    changed_by: UUID | None
    changed_at: Timestamp


class BookingNotification(Event, name="booking.notification", topic="petpro.booking.notifications", key="user_id"):
    user_id: UUID
    booking_id: UUID
    type: str
    title: str
    content: str
    data: dict[str, Any]


class PaymentProcessed(Event, name="payment.processed", topic="petpro.booking.payments", key="booking_id"):
    payment_id: UUID
    booking_id: UUID
    external_reference: str | None
    amount: Money
    currency: str
    payment_method: str
    status: str
    processed_at: Timestamp


class PaymentFailed(Event, name="payment.failed", topic="petpro.booking.payments", key="booking_id"):
    payment_id: UUID
    booking_id: UUID
    reason: str
    status: str
    failed_at: Timestamp


class PaymentRefunded(Event, name="payment.refunded", topic="petpro.booking.payments", key="booking_id"):
    payment_id: UUID
    booking_id: UUID
    amount: Money
    refunded_total: Money
    currency: str
    status: str
    reason: str
    refunded_at: Timestamp


class FinancialEntryRecorded(Event, name="financial_entry.recorded", topic="petpro.booking.finance", key="clinic_id"):
    entry_id: UUID
    booking_id: UUID
    clinic_id: UUID
    type: str
    total_amount: Money
    platform_fee: Money
    clinic_amount: Money
    tax_amount: Money
    currency: str
    status: str
    recorded_at: Timestamp


class ReviewFact(Event):
    """What is told of a review."""

    review_id: UUID
    booking_id: UUID
    user_id: UUID
    clinic_id: UUID
    service_id: UUID
    rating: int
    is_published: bool
    version: int


class ReviewSubmitted(ReviewFact, name="review.submitted", topic="petpro.booking.reviews", key="clinic_id"):
    submitted_at: Timestamp


class ReviewUpdated(ReviewFact, name="review.updated", topic="petpro.booking.reviews", key="clinic_id"):
    updated_at: Timestamp


class ReviewDeleted(Event, name="review.deleted", topic="petpro.booking.reviews", key="clinic_id"):
    review_id: UUID
    booking_id: UUID
    clinic_id: UUID
    rating: int
    version: int
    deleted_at: Timestamp


# --- queries ----------------------------------------------------------------------------------------------------------


class ActiveBooking(BaseModel):
    """A booking that is still to come, or under way."""

    booking_id: UUID
    clinic_id: UUID
    status: BookingStatus


class GetActiveBookings(Query[list[ActiveBooking]], path="/internal/pets/{pet_id}/active-bookings"):
    """The live bookings of a pet; none for an unknown one. `ever` adds those that have ended."""

    pet_id: UUID
    ever: bool = False


class ServiceRow(BaseModel):
    """A service that a clinic offers, as booking defines it."""

    service_id: UUID
    clinic_id: UUID
    name: str
    description: str | None
    category: ServiceCategory
    price: Money
    duration_minutes: int
    requires_approval: bool
    is_available: bool
    version: int
    updated_at: Timestamp


class GetServices(Query[list[ServiceRow]], path="/internal/services"):
    """All services of a clinic."""

    clinic_id: UUID


class BookingRow(BaseModel):
    """A booking with its payment and review, as siblings keep one. `customer_name` is `user_name` in a calendar."""

    booking_id: UUID
    reference_code: str
    user_id: UUID
    user_name: str | None
    user_email: str | None
    customer_name: str | None = Field(default_factory=lambda known: known["user_name"])
    pet_id: UUID
    pet_name: str | None
    pet_species: str | None
    clinic_id: UUID
    clinic_name: str | None
    service_id: UUID
    service_name: str | None
    slot_id: UUID
    staff_id: UUID | None
    starts_at: Timestamp
    ends_at: Timestamp
    status: BookingStatus
    amount: Money
    currency: str
    payment_status: str
    refunded_amount: Money
    has_review: bool
    rating: int | None
    version: int
    created_at: Timestamp
    updated_at: Timestamp


class GetBooking(Query[BookingRow], path="/internal/bookings/{booking_id}"):
    """404 `BOOKING_NOT_FOUND` for one that is unknown."""

    booking_id: UUID


class ReviewRow(BaseModel):
    """A review, as clinic counts one."""

    review_id: UUID
    booking_id: UUID
    clinic_id: UUID
    rating: int
    is_published: bool
    version: int
    updated_at: Timestamp


class SnapshotServices(Query[Page[ServiceRow]], path="/internal/snapshots/{entity}"):
    entity: Literal["services"] = "services"
    cursor: After = None
    limit: int = 500


class SnapshotBookings(Query[Page[BookingRow]], path="/internal/snapshots/{entity}"):
    entity: Literal["bookings"] = "bookings"
    cursor: After = None
    limit: int = 500


class SnapshotReviews(Query[Page[ReviewRow]], path="/internal/snapshots/{entity}"):
    entity: Literal["reviews"] = "reviews"
    cursor: After = None
    limit: int = 500
