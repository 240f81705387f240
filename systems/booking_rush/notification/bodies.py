"""What travels over notification's routes."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field, PlainSerializer

from systems.booking_rush.booking.contract import BookingStatus
from systems.booking_rush.notification.rules import Channel, NotificationStatus, NotificationType, Period
from systems.booking_rush.notification.tables import Notification
from systems.booking_rush.ticket.contract import EventStatus

Sum = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
"""Many amounts together, which may have more digits than one has; a number in JSON."""
Percent = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2100, 12, 31))]


class NotificationOut(BaseModel):
    id: UUID
    booking_id: UUID | None
    type: NotificationType
    channel: Channel
    status: NotificationStatus
    recipient: str | None
    subject: str | None
    body: str | None
    metadata: dict[str, Any]
    sent_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, notification: Notification) -> NotificationOut:
        """The notification as its user sees it."""
        kept = {name: getattr(notification, name) for name in cls.model_fields if name != "metadata"}
        return cls.model_validate({**kept, "metadata": notification.details})


class ReportQuery(BaseModel):
    """Amounts in different currencies are never added up: a report is of one."""

    currency: str = Field(default="THB", pattern="^[A-Z]{3}$", max_length=3)


class SalesQuery(ReportQuery):
    """The last thirty days unless told otherwise; days, weeks (from Monday) and months are those of UTC."""

    start_date: Day | None = None
    end_date: Day | None = None
    period: Period = "day"


class TopQuery(ReportQuery):
    limit: int = Field(default=10, ge=1, le=100)


class Dashboard(BaseModel):
    """Changes compare the last thirty days with the thirty before them; null where there is nothing to compare."""

    currency: str
    total_revenue: Sum
    total_bookings: int
    total_tickets_sold: int
    active_events: int
    revenue_change_percent: Percent | None
    bookings_change_percent: Percent | None


class Sales(BaseModel):
    """What was sold: bookings that stand, their tickets, and revenue, which is confirmed totals minus refunds."""

    revenue: Sum
    bookings: int
    tickets_sold: int


class SalesOfPeriod(Sales):
    start_date: date
    end_date: date


class SalesReport(BaseModel):
    currency: str
    period: Period
    start_date: date
    end_date: date
    total: Sales
    data: list[SalesOfPeriod]


class SalesOfEvent(Sales):
    event_id: UUID
    name: str
    status: EventStatus | None


class TopEvents(BaseModel):
    currency: str
    data: list[SalesOfEvent]


class SalesOfZone(Sales):
    show_id: UUID
    show_date: date
    zone_id: UUID
    zone_name: str


class EventReport(SalesOfEvent):
    """`bookings_by_status` counts every booking there ever was."""

    currency: str
    refunded: Sum
    bookings_by_status: dict[BookingStatus, int]
    zones: list[SalesOfZone]
