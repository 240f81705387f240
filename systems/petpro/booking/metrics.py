"""What operators see of booking's business, and what must never happen in it."""

from __future__ import annotations

from freehold import counter

STUBBORN_REFUNDS = counter(
    "booking_refund_alerts", "Refunds that the gateway has refused ten times or more: alert when it grows"
)
