"""What operators may change about booking."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, Field


class BookingSettings(BaseModel):
    """Durations in the unit that their names end with; fractions are allowed."""

    reservation_ttl_seconds: float = Field(default=600, gt=0)
    reservation_extend_seconds: float = Field(default=300, gt=0)
    payment_window_seconds: float = Field(default=900, gt=0)
    """How long the seat of a booking waits for its payment."""
    min_lead_minutes: float = Field(default=60, ge=0)
    """How long before its start a slot can be reserved at the latest."""
    max_active_bookings_per_pet: int = Field(default=3, ge=1)
    approval_window_hours: float = Field(default=24, gt=0)
    approval_before_start_hours: float = Field(default=2, ge=0)
    """A clinic approves at least so long before the start, and within its window after the payment."""
    check_in_before_start_hours: float = Field(default=2, ge=0)
    no_show_after_end_hours: float = Field(default=2, ge=0)
    reschedule_cutoff_hours: float = Field(default=3, ge=0)
    clinic_copy_hours: float = Field(default=24, ge=0)
    """How old the copy of a clinic may be that a booking is confirmed by while clinic does not answer."""
    services_per_clinic: int = Field(default=50, ge=1)
    slot_list_seconds: float = Field(default=60, ge=0)
    """How long a list of slots is kept in the cache."""

    tax_rate_percent: Decimal = Field(default=Decimal("11.00"), ge=0)
    settlement_hold_days: float = Field(default=3, ge=0)

    gateway_timeout_seconds: float = Field(default=5, gt=0)
    session_waits_seconds: tuple[float, ...] = (0.2, 0.5)
    """Between the tries to open a session of payment; one more try than waits."""
    refund_first_wait_seconds: float = Field(default=60, gt=0)
    refund_longest_wait_seconds: float = Field(default=3600, gt=0)
    refund_alert_after: int = Field(default=10, ge=1)
    batch: int = Field(default=100, ge=1)
    """Rows that a job takes at a time."""
