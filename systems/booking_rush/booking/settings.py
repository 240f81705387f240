"""What operators may change about booking."""

from __future__ import annotations

from pydantic import BaseModel, Field


class BookingSettings(BaseModel):
    """Durations in the unit that their names end with; fractions are allowed."""

    reservation_ttl_minutes: float = Field(default=10.0, gt=0)
    """How long seats are held for their payment."""
    max_tickets_per_user: int = Field(default=10, ge=1)
    """The cap of tickets per user and event that no event may exceed."""
    sale_closes_before_show_minutes: float = Field(default=60.0, ge=0)
    confirm_requires_payment: bool = True
    """False is for load tests only."""

    snapshot_fresh_seconds: float = Field(default=5.0, ge=0)
    """How long a zone's data from ticket is used without asking again."""
    snapshot_usable_seconds: float = Field(default=60.0, ge=0)
    """How long it is used while ticket does not answer."""
    sold_out_memory_seconds: float = Field(default=1.0, ge=0)
    """How long this process refuses by what a zone's row said last, without looking at it again."""

    expiry_batch: int = Field(default=100, ge=1)
    cancel_batch: int = Field(default=200, ge=1)
    inventory_page: int = Field(default=500, ge=1)
