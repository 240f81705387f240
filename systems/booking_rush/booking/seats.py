"""The count of a zone's seats: taken by reservations, many in one transaction, and given back exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import ColumnElement, case, func, literal_column, select
from sqlalchemy.exc import IntegrityError

from freehold import BulkInsert, MoneyNumber, Once, Problem, Tx, Work, listed
from systems.booking_rush.booking.contract import BookingReserved
from systems.booking_rush.booking.declaration import booking
from systems.booking_rush.booking.live_seats import LiveSeats
from systems.booking_rush.booking.metrics import RESERVATIONS
from systems.booking_rush.booking.queue import usable_passes, use_passes
from systems.booking_rush.booking.queue_passes import NotAdmitted
from systems.booking_rush.booking.rules import SeatRequest, ZoneNotCounted, decide, sold_out
from systems.booking_rush.booking.sold_out import SoldOutMemory
from systems.booking_rush.booking.tables import Base, Booking, ZoneInventory
from systems.booking_rush.ticket.contract import ZoneForSale, ZoneInventoryUpdated, ZoneSeats

OPEN = Booking.status.in_((literal_column("'reserved'"), literal_column("'confirmed'")))
"""Open bookings; spelled out in the statement, so that the planner sees that their partial index serves it."""


class Reserved(BaseModel):
    """The answer to a granted request."""

    booking_id: UUID
    status: str = "reserved"
    expires_at: datetime
    total_price: MoneyNumber


async def hold_seats(request: SeatRequest, work: Work, once: Once | None) -> Reserved:
    """Hold seats for a buyer. Raises Problem when they cannot be had."""
    if await _is_sold_out(request, work):
        raise sold_out()
    try:
        return await _reserve(request, work, once)
    except ZoneNotCounted:
        await work.run(lambda tx: count_zone(request.zone, request.zone.zone_name, tx))
    try:
        return await _reserve(request, work, once)
    except ZoneNotCounted:  # lost again at once
        raise Problem(503, "SERVICE_UNAVAILABLE", "The seats are being counted. Try again") from None


async def _is_sold_out(request: SeatRequest, work: Work) -> bool:
    """Whether the request can be refused without a look at the database."""
    memory, now = work.use(SoldOutMemory), work.now()
    if memory.refuses(request.zone_id, request.user_id, request.quantity, now):
        return True
    revision = memory.refused_at(request.zone_id, request.user_id, request.quantity)
    if revision is None or not await work.use(LiveSeats).still(request.zone_id, revision):
        return False
    memory.still(request.zone_id, revision, now)
    return True


async def _reserve(request: SeatRequest, work: Work, once: Once | None) -> Reserved:
    try:
        reserved: Reserved = await work.call(reserve_seats, request, once=once)
    except IntegrityError:
        first = await _first_answer(request, work)
        if first is None:
            raise
        return first
    except NotAdmitted as refused:
        # The pass that it shows may have been used by itself, long ago.
        first = await _first_answer(request, work) if request.admission.token_shown else None
        if first is None:
            raise refused.problem from None
        return first
    return reserved


async def _first_answer(request: SeatRequest, work: Work) -> Reserved | None:
    """What the key was answered long ago, when the record of it is gone but the booking is there."""
    async with work.transaction(readonly=True) as tx:
        first = await tx.find(Booking, Booking.idempotency_key == request.idempotency_key)
    if first is None:
        return None
    if (first.zone_id, first.quantity) != (request.zone_id, request.quantity):
        raise Problem(422, "IDEMPOTENCY_KEY_REUSED", "This key came with another request before")
    return Reserved(booking_id=first.id, expires_at=first.reservation_expires_at, total_price=first.total_amount)


# --- taking -----------------------------------------------------------------------------------------------------------


@booking.coalesced(key=lambda request: request.zone.event_id)
async def reserve_seats(
    requests: Sequence[SeatRequest], tx: Tx, memory: SoldOutMemory
) -> Sequence[Reserved | Problem | ZoneNotCounted | NotAdmitted]:
    """Decide the requests of one event in their order.

    All zones of the event are held, so that one process at a time decides about the event's tickets per user.
    """
    event_id = requests[0].zone.event_id
    zones = await hold_zones(tx, ZoneInventory.event_id == event_id)
    refusals = decide(
        requests,
        left={zone.zone_id: zone.left for zone in zones.values()},
        held=await held_by({request.user_id for request in requests}, event_id, tx),
        closed={zone.zone_id for zone in zones.values() if zone.closed},
        passes=await usable_passes(_passes(requests), tx),
    )
    granted = [request for request, refusal in zip(requests, refusals, strict=True) if refusal is None]
    before = {zone.zone_id: zone.revision for zone in zones.values()}
    await _take(granted, zones, tx)
    await _remember_sold_out(requests, granted, zones, before, memory=memory, tx=tx)
    return [refusal or _answer(request) for request, refusal in zip(requests, refusals, strict=True)]


def _passes(requests: Sequence[SeatRequest]) -> set[UUID]:
    return {request.admission.pass_id for request in requests if request.admission.pass_id is not None}


def _answer(request: SeatRequest) -> Reserved:
    return Reserved(booking_id=request.booking_id, expires_at=request.expires_at, total_price=request.total_amount)


async def hold_zones(tx: Tx, which: ColumnElement[bool]) -> dict[UUID, ZoneInventory]:
    """These zones' rows, held until the transaction ends; always in one order, so that nobody waits in a circle.

    The live counters learn what has changed in them.
    """
    rows = await tx.scalars(select(ZoneInventory).where(which).order_by(ZoneInventory.zone_id).with_for_update())
    zones = {zone.zone_id: zone for zone in rows}
    before = {zone_id: zone.revision for zone_id, zone in zones.items()}
    live = tx.use(LiveSeats)
    tx.on_commit(lambda: live.follow(zone for zone in zones.values() if zone.revision != before[zone.zone_id]))
    return zones


async def held_by(users: Collection[UUID], event_id: UUID, tx: Tx) -> dict[UUID, int]:
    """Tickets of the event that each user holds or has bought."""
    user = listed(users, like=Booking.user_id)
    # The event is no condition: in the first minute of a new table PostgreSQL would read all of its bookings.
    here = case((Booking.event_id == event_id, Booking.quantity), else_=0)
    held = select(func.coalesce(func.sum(here), 0)).where(Booking.user_id == user.c.value, OPEN)
    rows = await tx.execute(select(user.c.value, held.scalar_subquery()))
    return {user_id: int(held) for user_id, held in rows}


_insert_bookings = BulkInsert(Base.metadata.tables[Booking.__tablename__], SeatRequest.COLUMNS)


async def _take(granted: Sequence[SeatRequest], zones: dict[UUID, ZoneInventory], tx: Tx) -> None:
    if not granted:
        return
    seats: Counter[UUID] = Counter()
    rows = [request.booking() for request in granted]
    for request, row in zip(granted, rows, strict=True):
        seats[request.zone_id] += request.quantity
        tx.publish(BookingReserved.model_validate({**row, "booking_id": request.booking_id}))
        tx.audit(
            "reserve",
            "booking",
            request.booking_id,
            after={"status": "reserved", "zone_id": str(request.zone_id), "quantity": request.quantity},
            actor_id=request.user_id,
            tenant_id=request.zone.tenant_id,
            context=request.context,
        )
    for zone_id, taken in seats.items():
        zones[zone_id].take(taken)
    await _insert_bookings(await tx.connection(), rows)
    tx.on_commit(partial(RESERVATIONS.inc, len(granted)))
    await use_passes(_passes(granted), tx)


async def _remember_sold_out(
    requests: Sequence[SeatRequest],
    granted: Sequence[SeatRequest],
    zones: dict[UUID, ZoneInventory],
    before: dict[UUID, int],
    *,
    memory: SoldOutMemory,
    tx: Tx,
) -> None:
    """Once committed, let the memory know the zones that had too few seats for somebody, or have none left."""
    asked = {request.zone_id: request.quantity for request in sorted(requests, key=lambda request: request.quantity)}
    for zone_id, most in asked.items():
        zone = zones.get(zone_id)
        if zone is None or zone.left >= most:
            continue
        known = memory.buyers(zone_id, before[zone_id])
        if known is None:
            known = set(await tx.scalars(select(Booking.user_id).where(Booking.zone_id == zone_id).distinct()))
        known |= {request.user_id for request in granted if request.zone_id == zone_id}
        tx.on_commit(partial(memory.saw, zone_id, zone.revision, zone.left, tx.now(), known))


# --- giving back, and keeping count -----------------------------------------------------------------------------------


async def release(bookings: Collection[Booking], tx: Tx) -> None:
    """Give the seats of bookings back that were open until now, in the transaction that closes them."""
    seats: Counter[UUID] = Counter()
    for one in bookings:
        seats[one.zone_id] += one.quantity
    zones = await hold_zones(tx, ZoneInventory.zone_id.in_(sorted(seats)))
    memory = tx.use(SoldOutMemory)
    for zone_id, zone in zones.items():
        zone.give_back(seats[zone_id])
        tx.on_commit(partial(memory.changed, zone_id, zone.revision, zone.left))


async def count_zone(
    zone: ZoneForSale | ZoneInventoryUpdated | ZoneSeats, name: str, tx: Tx, *, capacity_at: datetime | None = None
) -> None:
    """Begin to count a zone's seats, with what its open bookings have; leave a zone alone that is counted already."""
    row = {
        "zone_id": zone.zone_id, "show_id": zone.show_id, "event_id": zone.event_id, "tenant_id": zone.tenant_id,
        "name": name, "total_seats": zone.total_seats, "taken": 0, "oversold": 0, "closed": False,
        "revision": int(tx.now().timestamp() * 1_000_000), "checked_revision": 0, "capacity_at": capacity_at,
    }  # fmt: skip
    if await tx.insert_new(ZoneInventory, [row], key=["zone_id"]):
        # Added up only now: whoever held a count that was lost has committed, and nobody sells before this one does.
        counted = await tx.get(ZoneInventory, zone.zone_id)
        assert counted is not None  # noqa: S101 - it was inserted a moment ago
        counted.add_up(await taken_seats(zone.zone_id, tx))
        tx.on_commit(partial(tx.use(SoldOutMemory).forget, zone.zone_id))
        tx.on_commit(partial(tx.use(LiveSeats).follow, [counted]))


async def taken_seats(zone_id: UUID, tx: Tx) -> int:
    """The truth that a zone's count must agree with: the sum of its open bookings."""
    total = select(func.coalesce(func.sum(Booking.quantity), 0)).where(Booking.zone_id == zone_id, OPEN)
    return int(await tx.scalar(total))
