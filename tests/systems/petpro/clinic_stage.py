"""Clinics, their services and their bookings, for the tests that need some."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from freehold import uuid7
from systems.petpro.booking.contract import BookingStatus, ServiceDefined
from systems.petpro.booking.tables import Booking, ClinicService, Slot
from tests.systems.petpro.stage import Person, Stage

WEEK = {day: {"open": "09:00", "close": "17:00"} for day in ("monday", "tuesday", "wednesday", "thursday", "friday")}
CLINIC: dict[str, Any] = {
    "name": "Paw Clinic", "address": "Jl. Melati 1", "city": "Jakarta", "province": "DKI Jakarta", "postalCode": "10110",
    "phoneNumber": "+62 21 555", "email": "hello@paw.id", "operatingHours": WEEK,
}  # fmt: skip


async def new_clinic(stage: Stage, owner: Person, **fields: Any) -> str:
    """The id of a clinic that waits for approval."""
    id: str = (await stage.made("/clinics", owner, **(CLINIC | fields)))["id"]
    return id


async def licensed(stage: Stage, clinic_id: str, owner: Person, admin: Person) -> None:
    """Give the clinic a verified business license."""
    document = await stage.made(
        f"/clinics/{clinic_id}/documents", owner,
        documentType="business_license", documentName="NIB", documentUrl="https://files.example/nib.pdf",
    )  # fmt: skip
    answer = await stage.call("PUT", f"/admin/clinics/{clinic_id}/documents/{document['id']}/verify", admin)
    assert answer.status_code == 200, answer.text


async def approved_clinic(stage: Stage, owner: Person, admin: Person, **fields: Any) -> str:
    """The id of a clinic that the public sees."""
    clinic_id = await new_clinic(stage, owner, **fields)
    await licensed(stage, clinic_id, owner, admin)
    answer = await stage.call("PUT", f"/admin/clinics/{clinic_id}/status", admin, status="approved")
    assert answer.status_code == 200, answer.text
    return clinic_id


def definition(clinic_id: str, **fields: Any) -> ServiceDefined:
    """What booking tells of a service."""
    told: dict[str, Any] = {
        "service_id": uuid7(), "clinic_id": clinic_id, "name": "Check-up", "description": None,
        "category": "veterinary", "price": Decimal("250000.00"), "duration_minutes": 30, "requires_approval": False,
        "is_available": True, "version": 1,
    }  # fmt: skip
    return ServiceDefined.model_validate(told | fields)


async def new_service(stage: Stage, clinic_id: str, **fields: Any) -> UUID:
    """The id of a service of the clinic, in booking's own table, made known."""
    told, now = definition(clinic_id, **fields), stage.clock.now()
    async with stage.world.work("booking").transaction() as tx:
        values = told.model_dump(exclude={"service_id"})
        tx.add(ClinicService(id=told.service_id, created_at=now, updated_at=now, **values))
        tx.publish(told)
    await stage.world.settle()
    return told.service_id


async def new_booking(
    stage: Stage, customer: Person, clinic_id: str, service_id: UUID, status: BookingStatus = "completed"
) -> str:
    """The id of a booking of the past, in booking's own tables."""
    now, booking_id, slot_id = stage.clock.now(), uuid7(), uuid7()
    async with stage.world.work("booking").transaction() as tx:
        tx.add(
            Slot(
                id=slot_id, service_id=service_id, staff_id=uuid7(), slot_date=date(2020, 1, 6), slot_start_time=time(9),
                slot_end_time=time(9, 30), status="booked", capacity=1, booked_count=1, created_at=now, updated_at=now,
            )
        )  # fmt: skip
        await tx.flush()
        tx.add(
            Booking(
                id=booking_id, user_id=customer.id, pet_id=uuid7(), clinic_id=UUID(clinic_id), service_id=service_id,
                slot_id=slot_id, reference_code=f"BP{int(booking_id) % 10**8:08d}", amount=Decimal("250000.00"),
                status=status, holds_seat=status != "cancelled", created_at=now, updated_at=now,
                starts_at=now - timedelta(hours=2), ends_at=now - timedelta(hours=1),
            )
        )  # fmt: skip
    return str(booking_id)
