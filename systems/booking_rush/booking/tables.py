"""What booking owns: bookings, and the count of each zone's seats that decides who gets one."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Money, Portable, TimeOfDay, soft_ref
from systems.booking_rush.booking.contract import (
    BookingCancelled,
    BookingConfirmed,
    BookingExpired,
    BookingFact,
    BookingStatus,
)

Fact = TypeVar("Fact", bound=BookingFact)


class Base(Portable, DeclarativeBase):
    """Booking's tables."""


class Booking(Base):
    """Seats of one zone, held for a buyer or sold. What it copied from the catalogue never changes again."""

    __tablename__ = "bookings"
    __table_args__ = (
        CheckConstraint("quantity > 0", "quantity"),
        Index("idx_bookings_status", "status"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = soft_ref("auth.tenants.id")
    user_id: Mapped[UUID] = soft_ref("auth.users.id")
    event_id: Mapped[UUID] = soft_ref("ticket.events.id")
    show_id: Mapped[UUID] = soft_ref("ticket.shows.id")
    zone_id: Mapped[UUID] = soft_ref("ticket.seat_zones.id")
    event_name: Mapped[str] = mapped_column(String(255))
    show_date: Mapped[date]
    show_time: Mapped[TimeOfDay]
    zone_name: Mapped[str] = mapped_column(String(100))
    venue_name: Mapped[str | None] = mapped_column(String(255))
    quantity: Mapped[int]
    unit_price: Mapped[Money]
    total_amount: Mapped[Money]
    currency: Mapped[str] = mapped_column(String(3), default="THB")
    status: Mapped[BookingStatus] = mapped_column(default="reserved")
    status_reason: Mapped[str | None] = mapped_column(Text)
    idempotency_key: Mapped[str | None] = mapped_column(String(255), unique=True)
    confirmation_code: Mapped[str | None] = mapped_column(String(20))
    payment_id: Mapped[UUID | None] = soft_ref("payment.payments.id")
    reserved_at: Mapped[datetime]
    reservation_expires_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    cancelled_by: Mapped[UUID | None] = soft_ref("auth.users.id", index=False)
    details: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    # --- its life -----------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether it holds seats."""
        return self.status in ("reserved", "confirmed")

    def confirm(self, payment_id: UUID | None, code: str, now: datetime) -> BookingConfirmed:
        """reserved → confirmed."""
        self._leave("reserved")
        self.status, self.payment_id, self.confirmation_code = "confirmed", payment_id, code
        self.confirmed_at = self.updated_at = now
        return self.as_confirmed()

    def as_confirmed(self) -> BookingConfirmed:
        """What is told of a confirmed booking."""
        return self._tell(BookingConfirmed)

    def cancel(self, reason: str, now: datetime, by: UUID | None = None) -> BookingCancelled:
        """reserved or confirmed → cancelled."""
        previous = self._leave("reserved", "confirmed")
        self.status, self.status_reason, self.cancelled_by = "cancelled", reason, by
        self.cancelled_at = self.updated_at = now
        return self._tell(BookingCancelled, previous_status=previous)

    def expire(self, now: datetime) -> BookingExpired:
        """reserved → expired."""
        previous = self._leave("reserved")
        self.status, self.status_reason, self.updated_at = "expired", "hold expired", now
        return self._tell(BookingExpired, previous_status=previous, expired_at=now)

    def _leave(self, *expected: BookingStatus) -> BookingStatus:
        if self.status not in expected:
            raise ValueError(f"booking {self.id} is {self.status}, not {' or '.join(expected)}")
        return self.status

    def _tell(self, kind: type[Fact], **more: Any) -> Fact:
        """The event, filled from the columns of its fields' names."""
        known = {name: getattr(self, name) for name in kind.model_fields if name in type(self).__mapper__.columns}
        return kind.model_validate({**known, "booking_id": self.id, **more})


Index("idx_bookings_user_history", Booking.user_id, Booking.created_at.desc())
_HELD = Booking.status == "reserved"
_OPEN = Booking.status.in_(("reserved", "confirmed"))
_CODED = Booking.confirmation_code.is_not(None)
Index("idx_bookings_pending_expired", Booking.reservation_expires_at, postgresql_where=_HELD, sqlite_where=_HELD)
Index("idx_bookings_open_of_user", Booking.user_id, Booking.event_id, postgresql_where=_OPEN, sqlite_where=_OPEN)
Index(
    "uq_bookings_confirmation_code",
    Booking.confirmation_code,
    unique=True,
    postgresql_where=_CODED,
    sqlite_where=_CODED,
)


class ZoneInventory(Base):
    """How many of a zone's seats are taken. Whoever holds this row decides; every other count follows it.

    `taken` is at all times the sum of the zone's open bookings. `revision` grows with every change, and when a lost
    count is made anew, so that a copy in memory can be told from an older one; `checked_revision` is the last one that
    the reconciler added up.
    """

    __tablename__ = "zone_inventory"
    __table_args__ = (CheckConstraint("taken >= 0 AND taken <= total_seats + oversold", "seats"),)

    zone_id: Mapped[UUID] = soft_ref("ticket.seat_zones.id", primary_key=True, index=False)
    show_id: Mapped[UUID] = soft_ref("ticket.shows.id")
    event_id: Mapped[UUID] = soft_ref("ticket.events.id")
    tenant_id: Mapped[UUID] = soft_ref("auth.tenants.id")
    name: Mapped[str] = mapped_column(String(100))
    total_seats: Mapped[int]
    taken: Mapped[int] = mapped_column(default=0)
    oversold: Mapped[int] = mapped_column(default=0)
    """Seats that are taken beyond the capacity. Taking never raises it: it is found when bookings are added up, or when
    the capacity shrinks below them, and alarms until bookings are given back.
    """
    closed: Mapped[bool] = mapped_column(default=False)
    """Its event or show was cancelled: nothing is sold any more, whatever a cached snapshot says."""
    revision: Mapped[int] = mapped_column(BigInteger, default=1)
    checked_revision: Mapped[int] = mapped_column(BigInteger, default=0)
    capacity_at: Mapped[datetime | None]
    """When `total_seats` was true, as ticket told it."""

    @property
    def left(self) -> int:
        """Seats that nobody has."""
        return max(self.total_seats - self.taken, 0)

    def take(self, seats: int) -> None:
        """Give seats to bookings."""
        self.taken += seats
        self.revision += 1

    def give_back(self, seats: int) -> None:
        """Take seats back from bookings."""
        self.add_up(self.taken - seats)

    def add_up(self, taken: int) -> None:
        """So many seats are taken, be it more than there are."""
        self.taken, self.oversold = taken, max(taken - self.total_seats, 0)
        self.revision += 1

    def close(self) -> None:
        """Sell no more."""
        self.closed = True
        self.revision += 1

    def resize(self, total_seats: int, at: datetime) -> None:
        """Follow ticket's capacity, the newest one. Seats that are taken already stay: they are somebody's."""
        if self.capacity_at is None or self.capacity_at <= at:
            self.total_seats, self.capacity_at = total_seats, at
            self.add_up(self.taken)


# --- copies of what others own ----------------------------------------------------------------------------------------


class TenantDirectory(Base):
    """Tenants, by auth's events."""

    __tablename__ = "tenant_directory"

    tenant_id: Mapped[UUID] = soft_ref("auth.tenants.id", primary_key=True, index=False)
    slug: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(255))
    is_active: Mapped[bool]
    version_at: Mapped[datetime]


class UserDirectory(Base):
    """Users, by auth's events."""

    __tablename__ = "user_directory"

    user_id: Mapped[UUID] = soft_ref("auth.users.id", primary_key=True, index=False)
    tenant_id: Mapped[UUID | None] = soft_ref("auth.tenants.id")
    email: Mapped[str | None] = mapped_column(String(255))
    name: Mapped[str | None] = mapped_column(String(200))
    is_active: Mapped[bool | None]
    deleted: Mapped[bool | None]
    version_at: Mapped[datetime]


class ZoneDirectory(Base):
    """Zones with their show and event, by ticket's events; for reading, never for deciding."""

    __tablename__ = "zone_directory"

    zone_id: Mapped[UUID] = soft_ref("ticket.seat_zones.id", primary_key=True, index=False)
    show_id: Mapped[UUID] = soft_ref("ticket.shows.id")
    event_id: Mapped[UUID] = soft_ref("ticket.events.id")
    tenant_id: Mapped[UUID] = soft_ref("auth.tenants.id")
    zone_name: Mapped[str] = mapped_column(String(100))
    event_name: Mapped[str | None] = mapped_column(String(255))
    venue_name: Mapped[str | None] = mapped_column(String(255))
    show_date: Mapped[date | None]
    show_time: Mapped[TimeOfDay | None]
    price: Mapped[Money]
    currency: Mapped[str] = mapped_column(String(3))
    total_seats: Mapped[int]
    min_per_order: Mapped[int]
    max_per_order: Mapped[int]
    max_tickets_per_user: Mapped[int | None]
    booking_start_at: Mapped[datetime | None]
    booking_end_at: Mapped[datetime | None]
    on_sale: Mapped[bool | None]
    is_active: Mapped[bool | None]
    sold_out: Mapped[bool | None]
    version_at: Mapped[datetime]
