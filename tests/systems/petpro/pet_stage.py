"""Pets in a test, and the clinics that know them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from freehold import uuid7
from systems.petpro.clinic.tables import StaffMember
from systems.petpro.pet.tables import Breed, Pet, Species
from tests.systems.petpro.stage import Person, Stage

CATALOGUE = {"Dog": ("Labrador", "Poodle"), "Cat": ("Siamese",)}


async def make_catalogue(stage: Stage) -> dict[str, UUID]:
    """Species and breeds, by name."""
    ids: dict[str, UUID] = {}
    now = stage.clock.now()
    async with stage.world.work("pet").transaction() as tx:
        for species, breeds in CATALOGUE.items():
            ids[species] = uuid7()
            tx.add(Species(id=ids[species], name=species, is_active=True, created_at=now, updated_at=now))
            await tx.flush()
            for breed in breeds:
                ids[breed] = uuid7()
                tx.add(
                    Breed(
                        id=ids[breed], species_id=ids[species], name=breed, characteristics={}, is_active=True,
                        created_at=now, updated_at=now,
                    )
                )  # fmt: skip
    return ids


async def pet_of(stage: Stage, owner: Person, name: str = "Rex", **more: Any) -> dict[str, Any]:
    """A new pet, as POST /pets answers it."""
    wish = {"name": name, "species": "dog", "gender": "male"} | more
    return await stage.made("/pets", owner, **wish)


async def pet_row(stage: Stage, pet: dict[str, Any]) -> Pet:
    """The row."""
    (row,) = await stage.rows("pet", Pet, Pet.id == UUID(pet["id"]))
    return row


async def clinic_of(stage: Stage, owner: Person, *staff: Person) -> UUID:
    """A clinic with its people."""
    clinic_id = await _insert(stage, "clinic", "clinics", owner_id=owner.id, status="approved")
    for person in staff:
        await _insert(
            stage, "clinic", "staff", clinic_id=clinic_id, user_id=person.id, email=person.email, role="veterinarian"
        )
    return clinic_id


async def staff_ids(stage: Stage, clinic_id: UUID) -> Sequence[UUID]:
    """The clinic's staff members."""
    return [member.id for member in await stage.rows("clinic", StaffMember, StaffMember.clinic_id == clinic_id)]


async def booked(stage: Stage, pet: dict[str, Any], clinic_id: UUID, status: str) -> None:
    """The clinic has a booking of the pet."""
    service_id = await _insert(
        stage, "booking", "services", clinic_id=clinic_id, category="veterinary", duration_minutes=30
    )
    slot_id = await _insert(
        stage, "booking", "slots", service_id=service_id, slot_start_time=time(9), slot_end_time=time(10)
    )
    await _insert(
        stage, "booking", "bookings", user_id=UUID(pet["userId"]), pet_id=UUID(pet["id"]), clinic_id=clinic_id,
        service_id=service_id, slot_id=slot_id, status=status, holds_seat=False,
    )  # fmt: skip


async def _insert(stage: Stage, service: str, table: str, **given: Any) -> UUID:
    """A row with these values, and with something in every other column that must have a value; its id."""
    host, now = stage.host(service), stage.clock.now()
    kind = host.service.metadata.tables[table]
    some: dict[type, Any] = {
        str: uuid7().hex[-10:], int: 1, Decimal: Decimal(100), float: 1.0, UUID: uuid7(), dict: {}, list: [],
        bool: True, datetime: now, date: now.date(), time: time(9),
    }  # fmt: skip
    wanted = [c for c in kind.columns if not c.nullable and c.default is None and c.server_default is None]
    row = {column.name: some[column.type.python_type] for column in wanted} | {"id": uuid7()} | given
    async with host.engine.write() as connection:
        await connection.execute(kind.insert().values(row))
    id: UUID = row["id"]
    return id
