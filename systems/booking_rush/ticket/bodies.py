"""What clients send to ticket, and what it answers."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints, model_validator

from freehold import MoneyNumber, Paging, TimeOfDay, Timestamp
from systems.booking_rush.ticket.contract import EventStatus, ShowStatus
from systems.booking_rush.ticket.rules import slug_of, time_of_day
from systems.booking_rush.ticket.tables import Event

# --- kinds of values --------------------------------------------------------------------------------------------------

UNSET: Any = Field(default=None)
"""Default of a field that an update may leave out, but not set to null."""

LargestInt = 2_147_483_647
CategoryName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
EventName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
ZoneName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)]
Color = Annotated[str, StringConstraints(pattern=r"^#[0-9A-Fa-f]{6}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
LongText = Annotated[str, Field(max_length=20_000)]
Url = Annotated[str, Field(max_length=2000)]
Order = Annotated[int, Field(ge=-LargestInt, le=LargestInt)]
Seats = Annotated[int, Field(gt=0, le=10_000_000)]
PerOrder = Annotated[int, Field(ge=1, le=1000)]
Price = Annotated[MoneyNumber, Field(ge=0)]
Degrees = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]


def _text_only(given: Any) -> Any:
    if isinstance(given, str):
        return given
    raise ValueError("write it as YYYY-MM-DD")  # pydantic would take a number for seconds since 1970


Day = Annotated[date, BeforeValidator(_text_only)]
Clock = Annotated[TimeOfDay, BeforeValidator(time_of_day)]

# --- requests ---------------------------------------------------------------------------------------------------------


class Changes(BaseModel):
    """An update: at least one field, and only those that are given; null empties a column that may be empty."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("names nothing to change")
        return self

    def given(self) -> dict[str, Any]:
        """The new values."""
        return self.model_dump(exclude_unset=True)


class CategoryFields(BaseModel):
    description: LongText | None = None
    icon: Annotated[str, Field(max_length=50)] | None = None
    sort_order: Order = 0
    is_active: bool = True


class NewCategory(CategoryFields):
    name: CategoryName
    slug: Slug | None = None

    def slug_wanted(self) -> str:
        """The one given, or made from the name."""
        return self.slug or slug_of(self.name, 90)


class CategoryChanges(Changes, CategoryFields):
    name: CategoryName = UNSET
    slug: Slug = UNSET


class EventFields(BaseModel):
    description: LongText | None = None
    short_description: Annotated[str, Field(max_length=500)] | None = None
    category_id: UUID | None = None
    poster_url: Url | None = None
    banner_url: Url | None = None
    gallery: Annotated[list[Url], Field(max_length=100)] = []
    venue_name: Annotated[str, Field(max_length=255)] | None = None
    venue_address: Annotated[str, Field(max_length=2000)] | None = None
    city: Annotated[str, Field(max_length=100)] | None = None
    country: Annotated[str, Field(max_length=100)] | None = None
    latitude: Annotated[Decimal, Field(ge=-90, le=90, max_digits=10, decimal_places=8)] | None = None
    longitude: Annotated[Decimal, Field(ge=-180, le=180, max_digits=11, decimal_places=8)] | None = None
    max_tickets_per_user: Annotated[int, Field(ge=0, le=10_000)] = 10
    booking_start_at: Timestamp | None = None
    booking_end_at: Timestamp | None = None
    meta_title: Annotated[str, Field(max_length=255)] | None = None
    meta_description: Annotated[str, Field(max_length=500)] | None = None


class NewEvent(EventFields):
    name: EventName
    organizer_id: UUID | None = None


class EventChanges(Changes, EventFields):
    name: EventName = UNSET
    status: EventStatus = UNSET
    is_featured: bool = UNSET
    is_public: bool = UNSET


class Cancellation(BaseModel):
    reason: Annotated[str, Field(max_length=1000)] | None = None


class ShowFields(BaseModel):
    name: Annotated[str, Field(max_length=255)] | None = None
    end_time: Clock | None = None
    doors_open_at: Clock | None = None
    sale_start_at: Timestamp | None = None
    sale_end_at: Timestamp | None = None


class NewShow(ShowFields):
    show_date: Day
    start_time: Clock


class ShowChanges(Changes, ShowFields):
    show_date: Day = UNSET
    start_time: Clock = UNSET
    status: ShowStatus = UNSET


class ZoneFields(BaseModel):
    description: Annotated[str, Field(max_length=1000)] | None = None
    color: Color | None = None
    currency: Currency = "THB"
    min_per_order: PerOrder = 1
    max_per_order: PerOrder = 10
    sort_order: Order = 0
    sale_start_at: Timestamp | None = None
    sale_end_at: Timestamp | None = None
    attributes: dict[str, Any] = Field(default_factory=dict)


class NewZone(ZoneFields):
    name: ZoneName
    price: Price
    total_seats: Seats


class ZoneChanges(Changes, ZoneFields):
    name: ZoneName = UNSET
    price: Price = UNSET
    total_seats: Seats = UNSET
    is_active: bool = UNSET


class CategoryList(Paging):
    limit: int = Field(default=100, ge=1, le=100)
    is_active: bool | None = None


class EventList(Paging):
    status: EventStatus | None = None
    category_id: UUID | None = None
    city: Annotated[str, Field(max_length=100)] | None = None
    search: Annotated[str, Field(max_length=100)] | None = None


class OwnEventList(Paging):
    status: EventStatus | None = None


class ZoneList(Paging):
    limit: int = Field(default=100, ge=1, le=100)
    is_active: bool | None = None


# --- answers ----------------------------------------------------------------------------------------------------------


class Done(BaseModel):
    message: str


class CategoryDetails(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    tenant_id: UUID
    name: str
    slug: str
    description: str | None
    icon: str | None
    sort_order: int
    is_active: bool
    created_at: datetime
    updated_at: datetime


class EventDetails(BaseModel):
    """An event, with what its shows and zones say about it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    tenant_id: UUID
    organizer_id: UUID
    category_id: UUID | None
    name: str
    slug: str
    description: str | None
    short_description: str | None
    poster_url: str | None
    banner_url: str | None
    gallery: list[Any]
    venue_name: str | None
    venue_address: str | None
    city: str | None
    country: str | None
    latitude: Degrees | None
    longitude: Degrees | None
    max_tickets_per_user: int
    booking_start_at: datetime | None
    booking_end_at: datetime | None
    status: EventStatus
    is_featured: bool
    is_public: bool
    published_at: datetime | None
    created_at: datetime
    updated_at: datetime
    meta_title: str | None = None
    meta_description: str | None = None
    sale_status: str = "scheduled"
    min_price: MoneyNumber | None = None

    @classmethod
    def of(cls, event: Event, sale_status: str, min_price: Decimal | None) -> EventDetails:
        """The answer for an event."""
        shown = cls.model_validate(event)
        texts = {name: event.settings.get(name) for name in ("meta_title", "meta_description")}
        return shown.model_copy(update={**texts, "sale_status": sale_status, "min_price": min_price})


class ShowDetails(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    event_id: UUID
    name: str | None
    show_date: date
    start_time: time
    end_time: time | None
    doors_open_at: time | None
    status: ShowStatus
    sale_start_at: datetime | None
    sale_end_at: datetime | None
    total_capacity: int
    reserved_count: int
    sold_count: int
    created_at: datetime
    updated_at: datetime


class ZoneDetails(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    show_id: UUID
    name: str
    description: str | None
    color: str | None
    price: MoneyNumber
    currency: str
    total_seats: int
    available_seats: int
    reserved_seats: int
    sold_seats: int
    min_per_order: int
    max_per_order: int
    is_active: bool
    sort_order: int
    sale_start_at: datetime | None
    sale_end_at: datetime | None
    created_at: datetime
    updated_at: datetime
