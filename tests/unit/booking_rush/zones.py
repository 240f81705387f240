"""A zone on sale, to be varied by tests."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from systems.booking_rush.booking.rules import SeatRequest
from systems.booking_rush.ticket.contract import ZoneForSale

NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
TENANT, EVENT, SHOW, ZONE = (UUID(int=number) for number in (1, 2, 3, 4))


def zone(**changed: Any) -> ZoneForSale:
    known: dict[str, Any] = {
        "zone_id": ZONE, "show_id": SHOW, "event_id": EVENT, "tenant_id": TENANT, "organizer_id": uuid4(),
        "zone_name": "Gold", "price": Decimal("3000.00"), "currency": "THB", "total_seats": 100, "min_per_order": 1,
        "max_per_order": 10, "zone_active": True, "zone_sale_start_at": None, "zone_sale_end_at": None,
        "show_date": date(2030, 3, 1), "show_time": time(19, 30, tzinfo=UTC), "show_status": "on_sale",
        "show_sale_start_at": None, "show_sale_end_at": None, "event_name": "Rush", "venue_name": None,
        "event_status": "published", "max_tickets_per_user": 10, "booking_start_at": None, "booking_end_at": None,
        "tenant_active": True,
    }  # fmt: skip
    return ZoneForSale.model_validate(known | changed)


def request(user_id: UUID, quantity: int, *, cap: int = 10, of: ZoneForSale | None = None) -> SeatRequest:
    return SeatRequest(
        booking_id=uuid4(),
        user_id=user_id,
        quantity=quantity,
        cap=cap,
        zone=of or zone(),
        reserved_at=NOW,
        expires_at=NOW + timedelta(minutes=10),
    )
