"""What clients send to clinic, and what it answers."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from freehold import Coordinates, MoneyNumber
from systems.petpro.bodies import Body, PageOf
from systems.petpro.clinic.contract import ClinicStatus, DocumentType
from systems.petpro.clinic.tables import Clinic, Offering, Rating, StaffMember

StaffRole = Literal["veterinarian", "assistant", "groomer", "receptionist", "manager"]

UNSET: Any = Field(default=None)
"""Default of a field that a change may leave out, but not set to null."""


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, LookupError, ValueError):
        raise ValueError("is no time zone; write one like Asia/Jakarta") from None
    return name


def _normal_email(given: str) -> str:
    email = given.strip().lower()
    if not re.fullmatch(r"[^@\s\x00]+@[^@\s\x00]+\.[^@\s\x00]+", email):
        raise ValueError("is no e-mail address")
    return email


def _text(most: int) -> Any:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=most)


Text20 = Annotated[str, _text(20)]
Text100 = Annotated[str, _text(100)]
Text255 = Annotated[str, _text(255)]
Text500 = Annotated[str, _text(500)]
LongText = Annotated[str, Field(max_length=10_000)]
Email = Annotated[str, Field(max_length=255), AfterValidator(_normal_email)]
Zone = Annotated[str, Field(max_length=50), AfterValidator(_known_zone)]
Website = Annotated[str, StringConstraints(pattern=r"^https?://\S+$", max_length=255)]
Url = Annotated[str, StringConstraints(pattern=r"^https?://\S+$", max_length=500)]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
TimeText = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Price = Annotated[MoneyNumber, Field(ge=0)]
Rate = Annotated[MoneyNumber, Field(ge=0, le=100)]

# --- operating hours --------------------------------------------------------------------------------------------------


class Day(Body):
    """When somebody is there on one day of the week; local times of the clinic."""

    open: TimeText | None = None
    close: TimeText | None = None
    is_open: bool = True

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> Self:
        if self.is_open and (self.open is None or self.close is None or self.open >= self.close):
            raise ValueError("an open day needs open before close, both as HH:MM")
        return self


class Hours(Body):
    """A week; on a day that is not named nobody is there."""

    model_config = ConfigDict(extra="forbid")

    monday: Day | None = None
    tuesday: Day | None = None
    wednesday: Day | None = None
    thursday: Day | None = None
    friday: Day | None = None
    saturday: Day | None = None
    sunday: Day | None = None


# --- requests ---------------------------------------------------------------------------------------------------------


class Changes(Body):
    """At least one field, and only those that are given; null empties a column that may be empty."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("names nothing to change")
        return self

    def given(self) -> dict[str, Any]:
        """The new values by column."""
        return columns_of(self, exclude_unset=True)


def columns_of(body: Body, **options: Any) -> dict[str, Any]:
    """The body's values as its row keeps them: of a week, the days that are named."""
    values = body.model_dump(**options)
    for name in ("operating_hours", "working_hours"):
        if name in values:
            values[name] = getattr(body, name).model_dump(exclude_none=True)
    return values


class NewClinic(Body):
    name: Text255
    address: Text500
    city: Text100
    province: Text100
    postal_code: Annotated[str, _text(10)]
    phone_number: Text20
    email: Email
    website: Website | None = None
    description: LongText | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    operating_hours: Hours
    facilities: Annotated[list[Text100], Field(max_length=100)] = []
    timezone: Zone = "Asia/Jakarta"

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude: give both or none")
        return self


class ClinicChanges(Changes):
    """`commission_rate` and `status` are heeded from admins only."""

    name: Text255 = UNSET
    address: Text500 = UNSET
    city: Text100 = UNSET
    province: Text100 = UNSET
    postal_code: Annotated[str, _text(10)] = UNSET
    phone_number: Text20 = UNSET
    email: Email = UNSET
    website: Website | None = None
    description: LongText | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    operating_hours: Hours = UNSET
    facilities: Annotated[list[Text100], Field(max_length=100)] = UNSET
    timezone: Zone = UNSET
    commission_rate: Rate = UNSET
    status: ClinicStatus = UNSET


class StatusChange(Body):
    status: ClinicStatus
    reason: Text500 | None = None
    commission_rate: Rate | None = None


class NewStaff(Body):
    name: Text255
    email: Email
    phone: Text20 | None = None
    role: StaffRole
    specialization: Text100 | None = None
    photo_url: Url | None = None
    working_hours: Hours = Hours()
    qualifications: Annotated[list[Text255], Field(max_length=100)] = []
    user_id: UUID | None = None


class StaffChanges(Changes):
    name: Text255 = UNSET
    email: Email = UNSET
    phone: Text20 | None = None
    role: StaffRole = UNSET
    specialization: Text100 | None = None
    photo_url: Url | None = None
    working_hours: Hours = UNSET
    qualifications: Annotated[list[Text255], Field(max_length=100)] = UNSET
    user_id: UUID | None = None
    is_active: bool = UNSET


class NewDocument(Body):
    document_type: DocumentType
    document_name: Text255
    document_url: Url


class OfferingChanges(Changes):
    is_active: bool = UNSET
    price_override: Price | None = None


class From(Body):
    """Where a client is, to be told how far it is."""

    lat: Latitude | None = None
    lon: Longitude | None = None

    @model_validator(mode="after")
    def _both_coordinates(self) -> Self:
        if (self.lat is None) != (self.lon is None):
            raise ValueError("lat and lon: give both or none")
        return self

    @property
    def centre(self) -> Coordinates | None:
        """The place, if it is given."""
        return None if self.lat is None or self.lon is None else Coordinates(self.lon, self.lat)


class ClinicList(PageOf, From):
    city: Text100 | None = None
    province: Text100 | None = None
    q: Text100 | None = None
    min_rating: Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)] | None = None
    radius_km: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _radius_has_a_centre(self) -> Self:
        if self.radius_km is not None and self.centre is None:
            raise ValueError("radiusKm: give lat and lon with it")
        if self.radius_km is not None and self.cursor is not None:
            raise ValueError("cursor: the nearest are listed by page or offset")
        return self


class AppointmentList(PageOf):
    """Days of the clinic, both included."""

    first: Annotated[date | None, Field(alias="from")] = None
    last: Annotated[date | None, Field(alias="to")] = None
    staff_id: UUID | None = None


# --- answers ----------------------------------------------------------------------------------------------------------


class RatingOut(Body):
    average: float
    count: int
    distribution: dict[str, int]

    @classmethod
    def of(cls, rating: Rating) -> Self:
        return cls(average=rating.avg_rating, count=rating.review_count, distribution=rating.rating_distribution)


class RatingSummary(Body):
    average_rating: float
    total_reviews: int
    rating_distribution: dict[str, int]


class ClinicOut(Body):
    """A clinic; `commission_rate` is for its owner and for admins."""

    id: UUID
    owner_id: UUID
    name: str
    address: str
    city: str
    province: str
    postal_code: str
    latitude: float | None
    longitude: float | None
    phone_number: str
    email: str
    website: str | None
    description: str | None
    operating_hours: Hours
    facilities: list[str]
    status: ClinicStatus
    commission_rate: MoneyNumber | None
    timezone: str
    rating: RatingOut
    distance_km: float | None = None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, clinic: Clinic, rating: Rating, *, with_terms: bool, metres: float | None = None) -> Self:
        shown = {name: getattr(clinic, name) for name in cls.model_fields if hasattr(clinic, name)}
        return cls.model_validate(
            shown
            | {
                "commission_rate": clinic.commission_rate if with_terms else None,
                "rating": RatingOut.of(rating),
                "distance_km": None if metres is None else round(metres / 1000, 2),
            }
        )


class StaffOut(Body):
    """Somebody who works there; `email`, `phone` and `user_id` are for the clinic and for admins."""

    id: UUID
    clinic_id: UUID
    name: str
    email: str | None
    phone: str | None
    role: StaffRole
    specialization: str | None
    photo_url: str | None
    working_hours: Hours
    qualifications: list[str]
    user_id: UUID | None
    is_active: bool
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, member: StaffMember, *, with_contact: bool) -> Self:
        shown = cls.model_validate(member)
        return shown if with_contact else shown.model_copy(update={"email": None, "phone": None, "user_id": None})


class DocumentOut(Body):
    id: UUID
    clinic_id: UUID
    document_type: DocumentType
    document_name: str
    document_url: str
    is_verified: bool
    verified_at: datetime | None
    created_at: datetime
    updated_at: datetime


class OfferingOut(Body):
    """A service with the clinic's terms; nothing of the definition while booking has not told it."""

    service_id: UUID
    clinic_id: UUID
    name: str | None
    price: MoneyNumber | None
    effective_price: MoneyNumber | None
    duration_minutes: int | None
    is_active: bool
    price_override: MoneyNumber | None
    updated_at: datetime

    @classmethod
    def of(cls, offering: Offering) -> Self:
        override = offering.price_override
        return cls(
            service_id=offering.service_id,
            clinic_id=offering.clinic_id,
            name=offering.definition.get("name"),
            price=offering.price,
            effective_price=offering.price if override is None else override,
            duration_minutes=offering.definition.get("duration_minutes"),
            is_active=offering.is_active,
            price_override=override,
            updated_at=offering.updated_at,
        )


class AppointmentOut(Body):
    booking_id: UUID
    clinic_id: UUID
    staff_id: UUID | None
    reference_code: str
    service_name: str | None
    pet_name: str | None
    customer_name: str | None
    starts_at: datetime
    ends_at: datetime
    status: str
