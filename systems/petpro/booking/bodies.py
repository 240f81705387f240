"""What booking's routes take and give: services, slots and reservations."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AliasChoices, Field, PlainSerializer, model_validator

from freehold import MoneyNumber
from systems.petpro.bodies import Body, PageOf
from systems.petpro.booking.contract import ReservationStatus, ServiceCategory, SlotStatus

Price = Annotated[MoneyNumber, Field(ge=0)]
Minutes = Annotated[int, Field(ge=5, le=480, multiple_of=5)]
LocalTime = Annotated[
    dt.time, PlainSerializer(lambda value: value.strftime("%H:%M"), return_type=str, when_used="json")
]
"""A time of day at the clinic."""
_DURATION = AliasChoices("duration", "durationMinutes", "duration_minutes")


# --- services ---------------------------------------------------------------------------------------------------------


class ClinicServiceIn(Body):
    """A service of the clinic in the path."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    description: Annotated[str | None, Field(max_length=10_000)] = None
    price: Price
    duration: Annotated[Minutes, Field(validation_alias=_DURATION)]
    category: ServiceCategory = "veterinary"
    requires_approval: bool = False
    availability_exceptions: Annotated[list[dt.date], Field(max_length=1000)] = []


class ServiceIn(ClinicServiceIn):
    clinic_id: UUID


class ServiceChange(Body):
    """What is to change about a service; what is not there stays."""

    name: Annotated[str, Field(min_length=1, max_length=255)] = ""
    description: Annotated[str | None, Field(max_length=10_000)] = None
    price: Price | None = None
    duration: Annotated[Minutes | None, Field(validation_alias=_DURATION)] = None
    category: ServiceCategory | None = None
    requires_approval: bool | None = None
    availability_exceptions: Annotated[list[dt.date] | None, Field(max_length=1000)] = None


class ServiceOut(Body):
    id: UUID
    clinic_id: UUID
    name: str
    description: str | None
    price: MoneyNumber
    effective_price: MoneyNumber
    duration: int
    duration_minutes: int
    category: ServiceCategory
    requires_approval: bool
    is_active: bool
    availability_exceptions: list[dt.date]
    created_at: dt.datetime
    updated_at: dt.datetime


class ServiceList(PageOf):
    clinic_id: UUID | None = None
    category: ServiceCategory | None = None
    min_price: Price | None = None
    max_price: Price | None = None
    is_active: bool | None = None


class ServiceSearch(PageOf):
    q: Annotated[str, Field(min_length=1, max_length=100)]


# --- slots ------------------------------------------------------------------------------------------------------------

Weekday = (
    Annotated[int, Field(ge=0, le=7)]
    | Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
)
"""Its name, or its number: 1 for Monday to 7 (or 0) for Sunday."""


class SlotsIn(Body):
    date_from: dt.date
    date_to: dt.date
    staff_id: UUID | None = None
    start_time: dt.time
    end_time: dt.time
    capacity: Annotated[int, Field(ge=1, le=50)] = 1
    weekdays: Annotated[list[Weekday] | None, Field(max_length=7)] = None

    @model_validator(mode="after")
    def _stretch(self) -> SlotsIn:
        if self.start_time.tzinfo is not None or self.end_time.tzinfo is not None:
            raise ValueError("startTime and endTime are local times of the clinic: give them without an offset")
        if self.start_time >= self.end_time:
            raise ValueError("endTime must be after startTime")
        if not 0 <= (self.date_to - self.date_from).days < 60:
            raise ValueError("dateTo must be dateFrom or up to 59 days later: 60 days at a time")
        return self


class SlotsMade(Body):
    created: int
    skipped: int


class SlotChange(Body):
    status: Literal["blocked", "available"] | None = None
    capacity: Annotated[int | None, Field(ge=1, le=50)] = None


class SlotOut(Body):
    id: UUID
    service_id: UUID
    staff_id: UUID | None
    date: dt.date
    start_time: LocalTime
    end_time: LocalTime
    status: SlotStatus
    capacity: int
    booked_count: int
    remaining: int
    available: bool


class SlotsOfDay(Body):
    date: dt.date


class Availability(SlotsOfDay):
    service_id: UUID


class OpenSlots(PageOf):
    date: dt.date
    service_id: UUID | None = None
    staff_id: UUID | None = None


class TimeSlot(Body):
    slot_id: UUID
    staff_id: UUID | None
    start_time: LocalTime
    end_time: LocalTime
    capacity: int
    remaining: int
    available: bool


class TimeSlots(Body):
    service_id: UUID
    date: dt.date
    time_slots: list[TimeSlot]


# --- reservations -----------------------------------------------------------------------------------------------------


class ReserveIn(Body):
    pet_id: UUID
    service_id: UUID | None = None


class ReservationIn(ReserveIn):
    """A wish for a slot, which is named, or found by service, date and time."""

    slot_id: UUID | None = None
    date: dt.date | None = None
    time: Annotated[dt.time | None, Field(validation_alias=AliasChoices("time", "startTime", "start_time"))] = None

    @model_validator(mode="after")
    def _names_a_slot(self) -> ReservationIn:
        if self.slot_id is None and None in (self.service_id, self.date, self.time):
            raise ValueError("give slotId, or serviceId, date and time")
        return self


class ReservationOut(Body):
    reservation_id: UUID
    slot_id: UUID
    user_id: UUID
    pet_id: UUID
    service_id: UUID
    lock_id: str
    status: ReservationStatus
    created_at: dt.datetime
    expires_at: dt.datetime


class Extended(Body):
    expires_at: dt.datetime


class CancelReservation(Body):
    reason: Annotated[str | None, Field(max_length=255)] = None


class Success(Body):
    success: bool = True
