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

    require_queue_pass: bool = False
    """Whether every event is sold only to those whom its queue let through."""
    queue_auto_buyers: int = Field(default=1000, ge=1)
    """With more buyers of an event than these in this process at a time, its queue is required."""
    queue_auto_window_seconds: float = Field(default=10.0, gt=0)
    """How long somebody who asked for seats counts as one of them."""
    queue_max_concurrent_bookings: int = Field(default=500, ge=0)
    """How many passes of an event are out at a time, where its queue says nothing else."""
    queue_pass_ttl_minutes: float = Field(default=5.0, gt=0)
    queue_max_size: int = Field(default=100_000, ge=0)
    """How many may wait for an event, where its queue says nothing else."""
    queue_entry_minutes: float = Field(default=30.0, gt=0)
    """How long somebody waits before the place lapses."""
    queue_seconds_per_position: float = Field(default=3.0, ge=0)
    """The estimate of a wait."""
    queue_stream_every_seconds: float = Field(default=15.0, gt=0)
    queue_stream_minutes: float = Field(default=5.0, gt=0)
    queue_line_seconds: float = Field(default=1.0, gt=0)
    """How old a position may be that this process shows."""
    queue_line_idle_seconds: float = Field(default=60.0, ge=0)
    """How long a line that nobody looks at is remembered."""
    queue_clean_batch: int = Field(default=1000, ge=1)
    queue_kept_days: float = Field(default=7.0, ge=0)
    """How long places that have ended stay on record."""

    expiry_batch: int = Field(default=100, ge=1)
    cancel_batch: int = Field(default=200, ge=1)
    inventory_page: int = Field(default=500, ge=1)
    payment_grace_minutes: float = Field(default=2.0, ge=0)
    """How long a payment and its booking may disagree before something is done about it."""
    payment_lookback_hours: float = Field(default=24.0, gt=0)
    """How far back a process that has just started compares payments with bookings."""
