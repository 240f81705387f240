"""What notification owns: what customers are told, in which words, and its copies of sales, people and events."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Money, Portable, soft_ref
from systems.booking_rush.booking.contract import BookingStatus
from systems.booking_rush.notification.rules import Channel, NotificationStatus, NotificationType
from systems.booking_rush.ticket.contract import EventStatus

SUBJECT_LENGTH = 255


class Base(Portable, DeclarativeBase):
    """Notification's tables."""


class Notification(Base):
    """Something that a user is told, once: `dedupe_key` names the occasion."""

    __tablename__ = "notifications"
    __table_args__ = (Index("ix_notifications_status", "status"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = soft_ref("auth.tenants.id")
    user_id: Mapped[UUID] = soft_ref("auth.users.id")
    booking_id: Mapped[UUID | None] = soft_ref("booking.bookings.id")
    type: Mapped[NotificationType]
    channel: Mapped[Channel] = mapped_column(default="email")
    status: Mapped[NotificationStatus] = mapped_column(default="pending")
    recipient: Mapped[str | None] = mapped_column(String(255))
    """Where it was sent: the user's address at that moment."""
    subject: Mapped[str | None] = mapped_column(String(SUBJECT_LENGTH))
    body: Mapped[str | None] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(Text)
    dedupe_key: Mapped[str] = mapped_column(String(255), unique=True)
    sent_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    next_attempt_at: Mapped[datetime | None]
    """When it is to be sent; None once it is settled."""

    # --- its life -----------------------------------------------------------------------------------------------------

    @property
    def is_waiting(self) -> bool:
        """Whether it is still to be sent."""
        return self.status in ("pending", "retrying")

    def sent(self, recipient: str, now: datetime) -> None:
        """pending or retrying → sent."""
        self.status, self.recipient, self.last_error = "sent", recipient, None
        self.attempts += 1
        self.sent_at = self.updated_at = now
        self.next_attempt_at = None

    def missed(self, error: str, wait: timedelta | None, now: datetime) -> None:
        """pending or retrying → retrying, after `wait`; → failed when there is none."""
        self.status = "failed" if wait is None else "retrying"
        self.attempts += 1
        self.last_error, self.updated_at = error, now
        self.next_attempt_at = None if wait is None else now + wait

    def give_up(self, reason: str, now: datetime) -> None:
        """pending or retrying → failed, without another attempt."""
        self.status, self.last_error, self.updated_at, self.next_attempt_at = "failed", reason, now, None


_DUE = Notification.next_attempt_at.is_not(None)
Index("idx_notifications_due", Notification.next_attempt_at, postgresql_where=_DUE, sqlite_where=_DUE)


class Template(Base):
    """The words of one kind of notification in one language, with `$names` for what changes.

    `type` is a kind of `wording.DEFAULTS`, whose words hold where there is no active row.
    """

    __tablename__ = "templates"
    __table_args__ = (UniqueConstraint("type", "locale"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    type: Mapped[str] = mapped_column(String(50))
    locale: Mapped[str] = mapped_column(String(8), default="en")
    subject: Mapped[str] = mapped_column(String(SUBJECT_LENGTH))
    body: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


# --- copies of what others own ----------------------------------------------------------------------------------------


class SalesFact(Base):
    """A booking as reports count it, by booking's and payment's events.

    `confirmed_at` says that it was sold, whatever became of it since; `ended_at` that it is over.
    """

    __tablename__ = "sales_facts"
    __table_args__ = (Index("idx_sales_facts_sold", "tenant_id", "confirmed_at"),)

    booking_id: Mapped[UUID] = soft_ref("booking.bookings.id", primary_key=True, index=False)
    tenant_id: Mapped[UUID] = soft_ref("auth.tenants.id", index=False)
    event_id: Mapped[UUID] = soft_ref("ticket.events.id")
    event_name: Mapped[str] = mapped_column(String(255))
    show_id: Mapped[UUID] = soft_ref("ticket.shows.id", index=False)
    show_date: Mapped[date]
    zone_id: Mapped[UUID] = soft_ref("ticket.seat_zones.id", index=False)
    zone_name: Mapped[str] = mapped_column(String(100))
    quantity: Mapped[int]
    total_amount: Mapped[Money]
    refund_amount: Mapped[Money | None]
    currency: Mapped[str] = mapped_column(String(3))
    status: Mapped[BookingStatus] = mapped_column(String(20))
    reserved_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    version_at: Mapped[datetime]


class RecipientDirectory(Base):
    """Whom notifications go to, by auth's events."""

    __tablename__ = "recipient_directory"

    user_id: Mapped[UUID] = soft_ref("auth.users.id", primary_key=True, index=False)
    tenant_id: Mapped[UUID | None] = soft_ref("auth.tenants.id", index=False)
    email: Mapped[str | None] = mapped_column(String(255))
    name: Mapped[str | None] = mapped_column(String(200))
    deleted: Mapped[bool | None]
    version_at: Mapped[datetime]


class EventDirectory(Base):
    """Events by name, and whose they are, by ticket's events."""

    __tablename__ = "event_directory"

    event_id: Mapped[UUID] = soft_ref("ticket.events.id", primary_key=True, index=False)
    tenant_id: Mapped[UUID] = soft_ref("auth.tenants.id")
    organizer_id: Mapped[UUID] = soft_ref("auth.users.id")
    name: Mapped[str] = mapped_column(String(255))
    status: Mapped[EventStatus] = mapped_column(String(20))
    deleted: Mapped[bool | None]
    version_at: Mapped[datetime]
