"""A rush for the seats of one slot, on booking alone; `python -m tests.systems.petpro.rush FOLDER URL` is one process of it.

The variable `FREEHOLD_CRASH_AT` kills the process while it is at it.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from datetime import date, time
from pathlib import Path
from uuid import UUID

from sqlalchemy import func, select

from freehold import Problem, System, Tx, User
from freehold.testing import World
from systems.petpro.booking.reservations import reserve
from systems.petpro.booking.seats import held_seats
from systems.petpro.booking.service import booking
from systems.petpro.booking.tables import ClinicRef, ClinicService, PetRef, Reservation, Slot, UserRef

SEATS, BUYERS = 20, 200
SLOT, SERVICE, CLINIC = UUID(int=1), UUID(int=2), UUID(int=3)
system = System("petpro", services=[booking])


def open_world(folder: Path, url: str) -> World:
    """Booking, on its own database."""
    return World(system, databases={"booking": url}, folder=folder)


async def set_up(world: World) -> None:
    """One slot, and everybody who wants it, unless they are there already."""
    async with world.work("booking").transaction() as tx:
        if await tx.get(Slot, SLOT) is not None:
            return
        now = tx.now()
        stamps = {"created_at": now, "updated_at": now}
        tx.add(ClinicRef(clinic_id=CLINIC, owner_id=UUID(int=4), status="approved", synced_at=now))
        tx.add(ClinicService(id=SERVICE, clinic_id=CLINIC, name="Check-up", price=1, **stamps))
        await tx.flush()
        tx.add(
            Slot(
                id=SLOT, service_id=SERVICE, slot_date=date(2030, 1, 7), slot_start_time=time(9),
                slot_end_time=time(10), capacity=SEATS, **stamps,
            )
        )  # fmt: skip
        for user, pet in map(buyer, range(BUYERS)):
            tx.add(UserRef(user_id=user.id, synced_at=now))
            tx.add(PetRef(pet_id=pet, user_id=user.id, synced_at=now))


def buyer(number: int) -> tuple[User, UUID]:
    """Somebody with a pet."""
    return User(UUID(int=1000 + number), roles=frozenset({"customer"})), UUID(int=5000 + number)


async def rush(world: World) -> Counter[str]:
    """Everybody wants a seat at once: how many got what answer."""

    async def one(number: int) -> str:
        user, pet = buyer(number)

        async def take(tx: Tx) -> None:
            await reserve(SLOT, pet, user, tx)

        try:
            await world.work("booking").run(take)
        except Problem as problem:
            return problem.code
        return "reserved"

    return Counter(await asyncio.gather(*map(one, range(BUYERS))))


async def count(tx: Tx) -> tuple[int, int, int]:
    """The seats that the slot counts, that are held, and that reservations have."""
    slot = await tx.get(Slot, SLOT)
    assert slot is not None
    held = (await held_seats([SLOT], tx))[SLOT]
    reserved = await tx.scalar(select(func.count()).select_from(Reservation).where(Reservation.status == "pending"))
    return slot.booked_count, held, int(reserved)


async def counted(world: World) -> tuple[int, int, int]:
    """`count`, of what is committed."""
    return await world.work("booking").run(count, readonly=True)


async def main(folder: Path, url: str) -> None:
    """One process of the rush."""
    async with open_world(folder, url) as world:
        await set_up(world)
        await rush(world)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
