"""What services tell of one booking and its payment, to be varied by tests."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID, uuid4

from freehold import Event
from systems.booking_rush.booking.contract import BookingCancelled, BookingConfirmed, BookingExpired, BookingReserved
from systems.booking_rush.payment.contract import PaymentCompleted, PaymentFailed, PaymentRefunded
from systems.booking_rush.ticket.contract import EventCreated, EventPublished
from tests.unit.booking_rush.zones import NOW, TENANT

E = TypeVar("E", bound=Event)


class Sale:
    """Two tickets of 3000.00 each; `told` are fields that all of its events have."""

    def __init__(self, at: datetime = NOW, *, quantity: int = 2, price: str = "3000.00", **told: Any) -> None:
        self.at = at
        self.booking_id, self.payment_id = uuid4(), uuid4()
        total = Decimal(price) * quantity
        self._told: dict[str, Any] = {
            "booking_id": self.booking_id, "payment_id": self.payment_id, "tenant_id": TENANT, "user_id": uuid4(),
            "event_id": uuid4(), "show_id": uuid4(), "zone_id": uuid4(), "event_name": "Rush",
            "show_date": date(2030, 3, 1), "show_time": time(19, 30, tzinfo=UTC), "zone_name": "Gold",
            "venue_name": "Arena", "quantity": quantity, "unit_price": Decimal(price), "total_amount": total,
            "currency": "THB", "amount": total, "method": "credit_card", "confirmation_code": "BK-ABCDEF",
            "reserved_at": at, "reservation_expires_at": at + timedelta(minutes=10), **told,
        }  # fmt: skip

    def tell(self, kind: type[E], **more: Any) -> E:
        """An event of this booking or payment."""
        return kind.model_validate(self._told | more)

    def reserved(self) -> BookingReserved:
        return self.tell(BookingReserved, status="reserved")

    def confirmed(self) -> BookingConfirmed:
        return self.tell(BookingConfirmed, status="confirmed", confirmed_at=self.at + timedelta(minutes=2))

    def expired(self) -> BookingExpired:
        at = self.at + timedelta(minutes=10)
        return self.tell(
            BookingExpired, status="expired", previous_status="reserved", status_reason="hold expired", expired_at=at
        )

    def cancelled(self, reason: str = "user_cancelled", previous: str = "confirmed") -> BookingCancelled:
        return self.tell(
            BookingCancelled, status="cancelled", previous_status=previous, status_reason=reason, cancelled_by=None,
            cancelled_at=self.at + timedelta(hours=1),
        )  # fmt: skip

    def paid(self) -> PaymentCompleted:
        return self.tell(
            PaymentCompleted, gateway="simulated", gateway_payment_id="sim_1", card_last_four="4242",
            card_brand="visa", status="succeeded", completed_at=self.at + timedelta(minutes=1),
        )  # fmt: skip

    def declined(self, status: str = "failed") -> PaymentFailed:
        return self.tell(
            PaymentFailed, status=status, error_code="insufficient_funds", error_message="Insufficient funds",
            retry_count=0, failed_at=self.at + timedelta(minutes=1),
        )  # fmt: skip

    def refunded(self, amount: str) -> PaymentRefunded:
        back = Decimal(amount)
        return self.tell(
            PaymentRefunded, refund_amount=back, refund_reason="requested", full=back == self._told["amount"],
            refunded_at=self.at + timedelta(hours=1, minutes=1),
        )  # fmt: skip


def created(event_id: UUID, organizer_id: UUID, name: str = "Rush", tenant_id: UUID = TENANT) -> EventCreated:
    return EventCreated(
        event_id=event_id, tenant_id=tenant_id, organizer_id=organizer_id, category_id=None, name=name, slug="rush",
        status="draft", max_tickets_per_user=10, created_at=NOW - timedelta(days=90),
    )  # fmt: skip


def published(event_id: UUID, name: str = "Rush", tenant_id: UUID = TENANT) -> EventPublished:
    return EventPublished(
        event_id=event_id, tenant_id=tenant_id, name=name, slug="rush", venue_name=None, booking_start_at=None,
        booking_end_at=None, max_tickets_per_user=10, published_at=NOW - timedelta(days=89),
    )  # fmt: skip
