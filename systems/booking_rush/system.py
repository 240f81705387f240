"""The system: its services, and the gateway in front of them."""

from __future__ import annotations

from freehold import Gateway, QueuePass, RateLimit, System
from systems.booking_rush.auth.service import auth
from systems.booking_rush.booking.service import booking
from systems.booking_rush.notification.service import notification
from systems.booking_rush.payment.service import payment
from systems.booking_rush.ticket.service import ticket

system = System(
    "booking_rush",
    title="Booking Rush",
    services=[auth, ticket, booking, payment, notification],  # notification is optional: none of the others knows of it
    auth="auth",
    tenant_column="tenant_id",
    tenant_free_roles=("super_admin",),
    invalid_status=400,
    data_sets="systems.booking_rush.demo:load",
    load_shapes="systems.booking_rush.load_shapes:SHAPES",
    gateway=Gateway(
        prefix="/api/v1",
        timeout=30.0,
        timeouts={
            "/auth": 10.0,
            "/tenants": 10.0,
            "/users": 10.0,
            "/categories": 15.0,
            "/events": 15.0,
            "/shows": 15.0,
            "/zones": 15.0,
            "/admin": 60.0,
            "/payments": 60.0,
            "/queue": 300.0,
            "/notifications": 15.0,
            "/analytics": 15.0,
        },
        rate_limits=[
            RateLimit("/", per_second=1000, burst=100),
            RateLimit("/bookings", per_second=100, burst=20, methods=("POST",)),
            RateLimit("/bookings", per_second=50, burst=10, methods=("POST",), suffix="/confirm"),
            RateLimit("/events", per_second=2000, burst=200, methods=("GET",)),
            RateLimit("/auth", per_second=20, burst=5, methods=("POST",)),
        ],
        queue=QueuePass(paths=("/bookings",), methods=("POST", "PUT"), issuer="booking"),
    ),
)
