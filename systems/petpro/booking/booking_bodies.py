"""What booking's routes take and give: bookings, payments and the financial split."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from freehold import CamelListing, MoneyNumber, Percent
from systems.petpro.bodies import Body, PageOf
from systems.petpro.booking.bodies import LocalTime
from systems.petpro.booking.contract import BookingStatus, EntryKind, EntryStatus, PaymentMethod, PaymentStatus

Reason = Annotated[str | None, Field(max_length=255)]
Notes = Annotated[str | None, Field(max_length=500)]


def _no_number(value: Any) -> Any:
    # Pydantic takes numbers for seconds since 1970: a client's mistake would become a date.
    if isinstance(value, int | float):
        raise ValueError("write it in ISO 8601, like 2030-01-07T09:00")
    return value


Start = Annotated[
    dt.datetime | None,
    BeforeValidator(_no_number),
    Field(validation_alias=AliasChoices("startTime", "start_time", "appointmentDate", "appointment_date")),
]
"""When a slot starts: the clinic's local time, or a moment with its offset."""


# --- bookings ---------------------------------------------------------------------------------------------------------


class BookingIn(Body):
    """A booking of a reservation, or in one step of the slot of a service that starts at a time."""

    reservation_id: UUID | None = None
    lock_id: Annotated[str | None, Field(max_length=100)] = None
    service_id: UUID | None = None
    pet_id: UUID | None = None
    start_time: Start = None
    payment_method: PaymentMethod | None = None
    notes: Notes = None
    special_requests: Notes = None

    @model_validator(mode="after")
    def _names_a_slot(self) -> BookingIn:
        if self.reservation_id is None and None in (self.service_id, self.pet_id, self.start_time):
            raise ValueError("give reservationId, or serviceId, petId and startTime")
        if self.reservation_id is not None and self.payment_method is None:
            raise ValueError("paymentMethod is required: credit_card, bank_transfer or e_wallet")
        return self


class BookingChange(Body):
    notes: Notes = None
    start_time: Start = None


class StatusIn(Body):
    status: BookingStatus
    notes: Notes = None


class CancelIn(Body):
    reason: Reason = None
    notes: Notes = None
    request_refund: bool | None = None
    """What is due goes back, asked for or not."""


class RescheduleIn(Body):
    new_slot_id: UUID
    reason: Reason = None


class Person(Body):
    id: UUID
    name: str | None
    email: str | None
    phone: str | None


class Animal(Body):
    id: UUID
    name: str | None
    species: str | None
    breed: str | None


class Place(Body):
    id: UUID
    name: str | None


class Treatment(Body):
    id: UUID
    name: str | None
    duration: int
    price: MoneyNumber


class Schedule(Body):
    """Local date and times at the clinic, and the same moments in UTC."""

    date: dt.date
    start_time: LocalTime
    end_time: LocalTime
    staff_id: UUID | None
    starts_at: dt.datetime
    ends_at: dt.datetime


class PaymentOut(Body):
    payment_id: UUID
    booking_id: UUID
    amount: MoneyNumber
    currency: str
    payment_method: PaymentMethod
    status: PaymentStatus
    payment_url: str | None
    external_reference: str | None
    expires_at: dt.datetime | None
    paid_at: dt.datetime | None
    refunded_amount: MoneyNumber
    created_at: dt.datetime


class BookingOut(Body):
    id: UUID
    reference_code: str
    reservation_id: UUID | None
    slot_id: UUID
    user_id: UUID
    pet_id: UUID
    clinic_id: UUID
    service_id: UUID
    user: Person
    pet: Animal
    clinic: Place
    service: Treatment
    schedule: Schedule
    status: BookingStatus
    payment_status: PaymentStatus
    amount: MoneyNumber
    currency: str
    notes: str | None
    cancellation_reason: str | None
    reschedule_count: int
    payment: PaymentOut
    created_at: dt.datetime
    updated_at: dt.datetime


class StatusOut(Body):
    id: UUID
    status: BookingStatus
    updated_at: dt.datetime


class RefundOut(Body):
    eligible: bool
    percent: int
    amount: MoneyNumber
    status: Literal["none", "processing", "refunded"]


class CancelledOut(Body):
    id: UUID
    status: BookingStatus
    cancellation_reason: str | None
    cancelled_at: dt.datetime | None
    refund: RefundOut


class SlotTimes(Body):
    slot_id: UUID
    date: dt.date
    start_time: LocalTime
    end_time: LocalTime


class Fee(Body):
    amount: MoneyNumber


class RescheduledOut(Body):
    booking: BookingOut
    previous_slot: SlotTimes
    new_slot: SlotTimes
    rescheduled_at: dt.datetime
    fee: Fee


class UserBookings(PageOf):
    status: BookingStatus | Literal["upcoming", "past", "active"] | None = None


class BookingList(UserBookings):
    start_date: dt.date | None = None
    end_date: dt.date | None = None
    pet_id: UUID | None = None
    clinic_id: UUID | None = None


class Upcoming(PageOf):
    days: Annotated[int, Field(ge=1, le=365)] = 7


# --- money ------------------------------------------------------------------------------------------------------------


class RetryIn(Body):
    payment_method: PaymentMethod | None = None


class RefundIn(Body):
    amount: Annotated[MoneyNumber | None, Field(gt=0)] = None
    reason: Annotated[str, Field(min_length=1, max_length=255)]


class NoticeIn(Body):
    """What the gateway's webhook says."""

    payment_id: UUID | None = None
    external_reference: Annotated[str | None, Field(max_length=100)] = None
    status: Literal["completed", "failed", "expired"]
    amount: MoneyNumber
    payment_method: str | None = None
    transaction_time: str | None = None

    @model_validator(mode="after")
    def _names_a_payment(self) -> NoticeIn:
        if self.payment_id is None and self.external_reference is None:
            raise ValueError("give payment_id or external_reference")
        return self


class NoticeTaken(Body):
    status: Literal["ok"] = "ok"


class EntryList(PageOf):
    clinic_id: UUID | None = None
    status: EntryStatus | None = None
    from_: Annotated[dt.date | None, Field(validation_alias=AliasChoices("from", "from_"))] = None
    to: dt.date | None = None


class EntryOut(Body):
    id: UUID
    booking_id: UUID
    clinic_id: UUID
    type: EntryKind
    total_amount: MoneyNumber
    platform_fee: MoneyNumber
    clinic_amount: MoneyNumber
    tax_amount: MoneyNumber
    currency: str
    commission_rate: Percent
    status: EntryStatus
    settlement_date: dt.datetime | None
    created_at: dt.datetime


class Totals(Body):
    """Over all entries of the list that were not cancelled."""

    total_amount: MoneyNumber
    platform_fee: MoneyNumber
    clinic_amount: MoneyNumber
    tax_amount: MoneyNumber


class EntryPage(CamelListing[EntryOut]):
    totals: Totals


class Settled(Body):
    settled: int
    amount: MoneyNumber
