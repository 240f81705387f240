"""Who may call booking's routes: every one that is declared, and everybody who may knock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from freehold import uuid7
from systems.petpro.booking.service import booking
from systems.petpro.clinic.tables import StaffMember
from tests.systems.petpro.booking_stage import Bookings
from tests.systems.petpro.stage import Person, stage_mark

pytestmark = stage_mark

NOBODY, CUSTOMER, OTHER, OWNER, STAFF, VENDOR, ADMIN = (
    "nobody", "the customer", "another customer", "the clinic's owner", "its staff", "another vendor", "an admin",
)  # fmt: skip
EVERYBODY = {NOBODY, CUSTOMER, OTHER, OWNER, STAFF, VENDOR, ADMIN}
SIGNED_IN = EVERYBODY - {NOBODY}
CLINIC = {OWNER, STAFF, ADMIN}
SEEN_BY = {CUSTOMER, *CLINIC}
BUYERS = {CUSTOMER, OTHER, ADMIN}

ALLOWED: Mapping[str, set[str]] = {
    "GET /services": EVERYBODY,
    "GET /services/search": EVERYBODY,
    "GET /services/{}": EVERYBODY,
    "GET /services/{}/slots": EVERYBODY,
    "GET /slots/{}": EVERYBODY,
    "GET /clinics/{}/slots": EVERYBODY,
    "GET /bookings/services": EVERYBODY,
    "GET /bookings/availability": EVERYBODY,
    "POST /services": CLINIC,
    "POST /clinics/{}/services": CLINIC,
    "PUT /services/{}": CLINIC,
    "DELETE /services/{}": CLINIC,
    "POST /services/{}/slots": CLINIC,
    "PATCH /slots/{}": CLINIC,
    "POST /slots/{}/reserve": BUYERS,
    "POST /reservations": BUYERS,
    "GET /reservations/{}": SEEN_BY,
    "PUT /reservations/{}/extend": {CUSTOMER, ADMIN},
    "PUT /reservations/{}/cancel": {CUSTOMER, ADMIN},
    "DELETE /reservations/{}": {CUSTOMER, ADMIN},
    "POST /bookings": {CUSTOMER, ADMIN},
    "GET /bookings": SIGNED_IN,
    "GET /bookings/upcoming": SIGNED_IN,
    "GET /users/{}/bookings": {CUSTOMER, ADMIN},
    "GET /bookings/{}": SEEN_BY,
    "GET /bookings/reference/{}": SEEN_BY,
    "PUT /bookings/{}": {CUSTOMER},
    "PATCH /bookings/{}/confirm": CLINIC,
    "PUT /bookings/{}/status": CLINIC,
    "PUT /bookings/{}/check-in": CLINIC,
    "PUT /bookings/{}/cancel": SEEN_BY,
    "PATCH /bookings/{}/cancel": SEEN_BY,
    "DELETE /bookings/{}": SEEN_BY,
    "PUT /bookings/{}/reschedule": SEEN_BY,
    "GET /payments/{}": SEEN_BY,
    "POST /payments/{}/retry": {CUSTOMER},
    "POST /payments/{}/refund": CLINIC,
    "GET /financial-entries": CLINIC,
    "POST /admin/settlements/run": {ADMIN},
    # Whoever has no signature is refused with 400, signed in or not.
    "POST /payments/webhook": EVERYBODY,
    "POST /webhooks/payment": EVERYBODY,
}


def declared() -> set[str]:
    """Booking's routes but those of reviews."""
    routes = set()
    for route in booking.routes:
        path = "/".join("{}" if part.startswith("{") else part for part in route.path.split("/"))
        if "review" not in path:
            routes.add(f"{route.method} {path}")
    return routes


async def test_every_route_is_in_the_table() -> None:
    assert declared() == set(ALLOWED)


async def everybody(play: Bookings, clinic: Any) -> dict[str, Person | None]:
    staff = await play.stage.staff()
    async with play.world.work("clinic").transaction() as tx:
        tx.add(
            StaffMember(
                id=uuid7(), clinic_id=clinic.id, name="Sari", email="sari@paw.id", role="assistant", is_active=True,
                user_id=staff.id, created_at=tx.now(), updated_at=tx.now(),
            )
        )  # fmt: skip
    return {
        NOBODY: None, CUSTOMER: await play.stage.customer(), OTHER: await play.stage.customer(), OWNER: clinic.owner,
        STAFF: staff, VENDOR: await play.stage.vendor(), ADMIN: clinic.admin,
    }  # fmt: skip


def addresses(play: Bookings, made: Mapping[str, str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Where each route is knocked at, and with what, so that nothing but its access refuses it."""
    service = {"name": "Bath", "price": 1, "duration": 30}
    slots = {"dateFrom": "2031-01-06", "dateTo": "2031-01-06", "startTime": "09:00", "endTime": "09:30"}
    bodies: dict[str, dict[str, Any]] = {
        "POST /services": {**service, "clinicId": made["clinic"]},
        "POST /clinics/{}/services": service,
        "PUT /services/{}": {"price": 2},
        "POST /services/{}/slots": slots,
        "PATCH /slots/{}": {"capacity": 9},
        "POST /slots/{}/reserve": {"petId": str(uuid7())},
        "POST /reservations": {"petId": str(uuid7()), "slotId": made["slot"]},
        "POST /bookings": {"reservationId": made["reservation"], "paymentMethod": "e_wallet"},
        "PUT /bookings/{}": {"notes": "shy"},
        "PUT /bookings/{}/status": {"status": "no_show"},
        "PUT /bookings/{}/reschedule": {"newSlotId": made["slot"]},
        "POST /payments/{}/refund": {"reason": "unhappy"},
    }
    ids = {
        "services": "service", "slots": "slot", "clinics": "clinic", "reservations": "reservation",
        "bookings": "booking", "reference": "code", "payments": "payment", "users": "customer",
    }  # fmt: skip
    queries = {
        "GET /services/search": "?q=bath", "GET /services/{}/slots": "?date=2031-01-06",
        "GET /clinics/{}/slots": "?date=2031-01-06", "GET /financial-entries": f"?clinicId={made['clinic']}",
        "GET /bookings/availability": f"?date=2031-01-06&serviceId={made['service']}",
    }  # fmt: skip
    found = {}
    for route in ALLOWED:
        path = route.partition(" ")[2]
        parts = path.split("/")
        filled = [made[ids[parts[n - 1]]] if part == "{}" else part for n, part in enumerate(parts)]
        found[route] = ("/".join(filled) + queries.get(route, ""), bodies.get(route, {}))
    return found


def outcome(answer: httpx.Response) -> str:
    if answer.status_code == 401:
        return "unknown"
    return "refused" if answer.status_code == 403 and answer.json()["code"] == "FORBIDDEN" else "in"


async def test_who_may_call_what(play: Bookings) -> None:
    clinic = await play.clinic()
    people = await everybody(play, clinic)
    customer = people[CUSTOMER]
    assert customer is not None
    booked = await play.confirmed(customer, await play.slot(clinic, hours=50, capacity=5))
    held = await play.reserved(customer, await play.slot(clinic, hours=60))
    made = {
        "clinic": str(clinic.id), "service": clinic.service["id"], "slot": await play.slot(clinic, hours=70, capacity=9),
        "reservation": held["reservationId"], "booking": booked["id"], "code": booked["referenceCode"],
        "payment": booked["payment"]["paymentId"], "customer": str(customer.id),
    }  # fmt: skip
    wrong = []
    for route, (path, body) in addresses(play, made).items():
        for name in sorted(EVERYBODY, key=lambda name: name in ALLOWED[route]):  # those who may, and change it, last
            answer = await play.stage.call(route.partition(" ")[0], path, people[name], **body)
            expected = "in" if name in ALLOWED[route] else "unknown" if name == NOBODY else "refused"
            if outcome(answer) != expected or answer.status_code >= 500:
                wrong.append(f"{name}: {route}: {answer.status_code} {answer.text[:120]}, not {expected}")
    assert wrong == []


async def test_internal_routes_want_a_service_token(play: Bookings) -> None:
    clinic = await play.clinic()
    for path in (
        f"/internal/services?clinic_id={clinic.id}", f"/internal/pets/{clinic.id}/active-bookings",
        f"/internal/bookings/{clinic.id}", "/internal/snapshots/services", "/internal/snapshots/bookings",
    ):  # fmt: skip
        async with play.world.service("booking") as own:
            assert (await own.get(path, headers=clinic.admin.headers)).status_code == 401
        assert (await play.world.http.get(path, headers=clinic.admin.headers)).status_code in (403, 404)
