"""Clinics with slots, customers with pets, and a gateway that does what it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
from sqlalchemy import select

from freehold import Event, System, uuid7
from freehold.runtime.saga_store import SagaView
from freehold.testing import World
from systems.petpro.auth.settings import AuthSettings
from systems.petpro.booking.money_tables import FinancialEntry, Payment
from systems.petpro.booking.seats import held_seats
from systems.petpro.booking.settings import BookingSettings
from systems.petpro.booking.tables import Booking, Reservation, Slot
from systems.petpro.clinic.contract import ClinicCreated, ClinicUpdated
from systems.petpro.clinic.tables import Clinic
from systems.petpro.gateway import FakeGateway, PaymentGateway
from systems.petpro.pet.contract import PetCreated
from systems.petpro.pet.tables import Pet
from tests.systems.petpro.stage import FAST, Person, Stage, system

PRICE = Decimal("250000.00")
JAKARTA = ZoneInfo("Asia/Jakarta")
HOURS = {
    day: {"open": "00:00", "close": "23:59", "is_open": True}
    for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
}
SYSTEM = replace(
    system, services=[each for each in system.services if each.name in ("auth", "pet", "booking", "clinic")]
)
AT_ONCE = BookingSettings(session_waits_seconds=(0, 0))


@dataclass(frozen=True)
class Clinics:
    """A clinic with its people, and a service of it."""

    id: UUID
    owner: Person
    admin: Person
    service: dict[str, Any]


class Bookings:
    """What customers and clinics do, over HTTP, and what is left in booking's tables."""

    def __init__(self, stage: Stage, gateway: FakeGateway) -> None:
        self.stage, self.gateway = stage, gateway
        self.world, self.clock = stage.world, stage.clock

    # --- setting up -----------------------------------------------------------------------------------------------------

    async def clinic(self, *, commission: str = "10.00", **service: Any) -> Clinics:
        """An approved clinic that is open all day, with a service of 30 minutes at 250,000."""
        owner, admin = await self.stage.vendor(), await self.stage.admin()
        clinic_id = await self.new_clinic(owner, commission)
        made = await self.service(clinic_id, owner, **service)
        return Clinics(clinic_id, owner, admin, made)

    async def new_clinic(self, owner: Person, commission: str = "10.00", status: str = "approved") -> UUID:
        clinic_id, now = uuid7(), self.clock.now()
        async with self.world.work("clinic").transaction() as tx:
            clinic = Clinic(
                id=clinic_id, owner_id=owner.id, name="Paw Clinic", address="Jl. Melati 1", city="Jakarta",
                province="DKI Jakarta", postal_code="10110", phone_number="+62 21 555", email="hello@paw.id",
                operating_hours=HOURS, status=status, commission_rate=Decimal(commission), timezone="Asia/Jakarta",
                created_at=now, updated_at=now,
            )  # fmt: skip
            tx.add(clinic)
            await tx.flush()
            names = set(ClinicCreated.model_fields) - {"clinic_id"}
            tx.publish(
                ClinicCreated.model_validate({"clinic_id": clinic_id} | {name: getattr(clinic, name) for name in names})
            )
        await self.world.settle()
        return clinic_id

    async def set_clinic(self, clinic_id: UUID, **values: Any) -> None:
        """Change the clinic, and tell of it."""
        async with self.world.work("clinic").transaction() as tx:
            clinic = await tx.get(Clinic, clinic_id, lock=True)
            assert clinic is not None
            for name, value in values.items():
                setattr(clinic, name, value)
            clinic.touch(tx.now())
            names = set(ClinicUpdated.model_fields) - {"clinic_id"}
            tx.publish(
                ClinicUpdated.model_validate({"clinic_id": clinic_id} | {name: getattr(clinic, name) for name in names})
            )
        await self.world.settle()

    async def service(self, clinic_id: UUID, owner: Person, **fields: Any) -> dict[str, Any]:
        wish = {"clinicId": str(clinic_id), "name": "Check-up", "price": 250000, "duration": 30} | fields
        return await self.stage.made("/services", owner, **wish)

    async def slot(
        self, clinic: Clinics, *, hours: float = 72, capacity: int = 1, service: dict[str, Any] | None = None
    ) -> str:
        """The id of a slot that starts so many hours from now."""
        start = (self.clock.now() + timedelta(hours=hours)).astimezone(JAKARTA)
        offered, duration = service or clinic.service, timedelta(minutes=(service or clinic.service)["duration"])
        wish = {
            "dateFrom": start.date().isoformat(), "dateTo": start.date().isoformat(), "capacity": capacity,
            "startTime": f"{start:%H:%M}", "endTime": f"{start + duration:%H:%M}",
        }  # fmt: skip
        made = await self.stage.made(f"/services/{offered['id']}/slots", clinic.owner, **wish)
        assert made == {"created": 1, "skipped": 0}
        (slot,) = await self.stage.rows(
            "booking", Slot, Slot.service_id == UUID(offered["id"]), Slot.slot_date == start.date(),
            Slot.slot_start_time == time(start.hour, start.minute),
        )  # fmt: skip
        return str(slot.id)

    async def pet(self, owner: Person) -> UUID:
        """The id of a new pet that everybody has heard of."""
        pet_id, now = uuid7(), self.clock.now()
        async with self.world.work("pet").transaction() as tx:
            tx.add(
                Pet(
                    id=pet_id, user_id=owner.id, name="Rex", species="dog", breed=None, gender="male",
                    medical_history={}, created_at=now, updated_at=now,
                )
            )  # fmt: skip
            tx.publish(
                PetCreated(
                    pet_id=pet_id, user_id=owner.id, name="Rex", species="dog", breed=None, version=1, created_at=now
                )
            )
        await self.world.settle()
        return pet_id

    # --- acting ---------------------------------------------------------------------------------------------------------

    async def reserve(self, who: Person, slot_id: str, pet_id: UUID | None = None) -> httpx.Response:
        pet = pet_id or await self.pet(who)
        return await self.stage.call("POST", f"/slots/{slot_id}/reserve", who, petId=str(pet))

    async def reserved(self, who: Person, slot_id: str, pet_id: UUID | None = None) -> dict[str, Any]:
        answer = await self.reserve(who, slot_id, pet_id)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def booked(self, who: Person, slot_id: str, pet_id: UUID | None = None) -> dict[str, Any]:
        """A booking that waits for its payment."""
        held = await self.reserved(who, slot_id, pet_id)
        made = await self.stage.made("/bookings", who, reservationId=held["reservationId"], paymentMethod="e_wallet")
        await self.world.run_due()
        return made

    async def webhook(
        self, booking: dict[str, Any], status: str = "completed", amount: Decimal | None = None
    ) -> httpx.Response:
        """What the gateway tells of a booking's payment, and what follows at once."""
        answer = await self.send(booking, status, amount)
        await self.world.run_due()
        return answer

    async def send(
        self, booking: dict[str, Any], status: str = "completed", amount: Decimal | None = None
    ) -> httpx.Response:
        paid = Decimal(str(booking["amount"])) if amount is None else amount
        body, signed = self.gateway.webhook(booking["payment"]["externalReference"], paid, status)
        return await self.world.http.post(
            "/api/v1/payments/webhook", content=body, headers={"X-Webhook-Signature": signed}
        )

    async def confirmed(self, who: Person, slot_id: str, pet_id: UUID | None = None) -> dict[str, Any]:
        """A booking that is paid."""
        made = await self.booked(who, slot_id, pet_id)
        assert (await self.webhook(made)).json() == {"status": "ok"}
        return made

    async def completed(self, clinic: Clinics, who: Person, slot_id: str) -> dict[str, Any]:
        """A booking whose appointment is over."""
        made = await self.confirmed(who, slot_id)
        row = await self.row(made)
        self.clock.advance(seconds=(row.starts_at - self.clock.now()).total_seconds())
        for status in ("in_progress", "completed"):
            answer = await self.stage.call("PUT", f"/bookings/{made['id']}/status", clinic.owner, status=status)
            assert answer.status_code == 200, answer.text
        return made

    async def cancel(self, booking: dict[str, Any], who: Person, **body: Any) -> httpx.Response:
        return await self.stage.call("PUT", f"/bookings/{booking['id']}/cancel", who, **(body or {"reason": "ill"}))

    # --- looking --------------------------------------------------------------------------------------------------------

    async def row(self, booking: dict[str, Any]) -> Booking:
        (found,) = await self.stage.rows("booking", Booking, Booking.id == UUID(booking["id"]))
        return found

    async def payment(self, booking: dict[str, Any]) -> Payment:
        (found,) = await self.stage.rows("booking", Payment, Payment.booking_id == UUID(booking["id"]))
        return found

    async def entries(self, booking: dict[str, Any]) -> dict[str, FinancialEntry]:
        rows = await self.stage.rows("booking", FinancialEntry, FinancialEntry.booking_id == UUID(booking["id"]))
        return {entry.type: entry for entry in rows}

    async def slot_row(self, slot_id: str) -> Slot:
        (found,) = await self.stage.rows("booking", Slot, Slot.id == UUID(slot_id))
        return found

    async def reservation(self, held: dict[str, Any]) -> Reservation:
        id = UUID(held["reservationId"])
        (found,) = await self.stage.rows("booking", Reservation, Reservation.id == id)
        return found

    async def saga(self, name: str, key: str) -> SagaView:
        async with self.world.work("booking").transaction(readonly=True) as tx:
            found = await self.stage.host("booking").sagas.find(tx, name, key)
        assert found is not None
        return found

    async def told(self, kind: type[Event], booking: dict[str, Any]) -> list[Any]:
        """The events of this type about a booking."""
        return [
            each for each in await self.stage.published(kind) if str(getattr(each, "booking_id", "")) == booking["id"]
        ]

    async def check_books(self) -> None:
        """What must hold whenever the queues are drained."""
        async with self.world.work("booking").transaction(readonly=True) as tx:
            slots = {slot.id: slot for slot in await tx.scalars(select(Slot))}
            held = await held_seats(list(slots), tx)
            bookings = list(await tx.scalars(select(Booking)))
            payments = {each.booking_id: each for each in await tx.scalars(select(Payment))}
            entries = list(await tx.scalars(select(FinancialEntry)))
        for id, slot in slots.items():
            assert 0 <= slot.booked_count == held[id] <= slot.capacity
            assert slot.status == "blocked" or (slot.status == "booked") == (slot.booked_count == slot.capacity)
        for entry in entries:
            assert entry.platform_fee + entry.clinic_amount + entry.tax_amount == entry.total_amount
        for booking in bookings:
            fees = [each for each in entries if each.booking_id == booking.id and each.type == "booking_fee"]
            if booking.status == "confirmed":
                assert payments[booking.id].is_paid
                assert len(fees) == 1
            assert len(fees) <= 1
            assert booking.status != "cancelled" or not booking.holds_seat


@asynccontextmanager
async def open_bookings(
    folder: Path, databases: Mapping[str, str] | None = None, of: System = SYSTEM
) -> AsyncIterator[Bookings]:
    """Booking and the services that it lives with, and one fake gateway; `databases` are addresses of some."""
    gateway = FakeGateway("the gateway's secret")
    given: dict[type[Any], Any] = {AuthSettings: FAST, PaymentGateway: gateway, BookingSettings: AT_ONCE}
    async with World(of, databases=databases, given=given, folder=folder) as world:
        yield Bookings(Stage(world), gateway)


def day_of(moment: datetime) -> date:
    """The clinic's date."""
    return moment.astimezone(JAKARTA).date()
