"""What operators see of booking's business, and what must never happen in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from freehold import Problem, counter, gauge

RESERVATIONS = counter("booking_reservations", "Reservations granted")
REFUSALS = counter(
    "booking_reservation_failures", "Requests for seats that were refused, by the problem's code", "code"
)
ACTIVE = gauge("active_reservations", "Holds that wait for their payment")

DRIFT = counter("booking_inventory_drift", "Zones whose count was wrong, and was mended")
OUT_OF_STEP = gauge("booking_zones_out_of_step", "Zones that ticket counts differently; it follows within seconds")
OVERSOLD = gauge("booking_oversold_zones", "Zones with more seats taken than there are: alert when above zero")

UNPAID = gauge("booking_confirmed_unpaid", "Bookings confirmed of late without a succeeded payment: alert above zero")
STRAY_PAYMENTS = counter("booking_stray_payments", "Payments without a confirmed booking, and what was done", "remedy")


@contextmanager
def refusals_counted() -> Iterator[None]:
    """A Problem that is raised within is counted."""
    try:
        yield
    except Problem as problem:
        REFUSALS.labels(problem.code).inc()
        raise
