"""Booking's routes."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Header, Query
from sqlalchemy import func, select

from freehold import Level, Once, Problem, Tx, Unavailable, User, Work, not_found, owner, role, user, uuid7
from systems.booking_rush.booking import lifecycle
from systems.booking_rush.booking.bodies import (
    BookAndPayIn,
    BookingOut,
    BookingPage,
    Bookings,
    Cancelled,
    ConfirmBooking,
    Confirmed,
    InventoryStatus,
    PageMeta,
    ReserveSeats,
    SagaAccepted,
    SagaOut,
    Summary,
    Synced,
    ZoneStatus,
)
from systems.booking_rush.booking.contract import BookingInfo, GetBooking
from systems.booking_rush.booking.declaration import booking
from systems.booking_rush.booking.inventory import sync, ticket_pages
from systems.booking_rush.booking.live_seats import LiveSeats
from systems.booking_rush.booking.metrics import refusals_counted
from systems.booking_rush.booking.queue import admit
from systems.booking_rush.booking.queue_gate import QueueGate
from systems.booking_rush.booking.queue_passes import QueuePasses
from systems.booking_rush.booking.rules import (
    SeatRequest,
    check_held,
    check_quantity,
    check_sale,
    check_zone,
    ticket_cap,
)
from systems.booking_rush.booking.sagas import BookAndPay, booking_saga
from systems.booking_rush.booking.seats import Reserved, held_by, hold_seats
from systems.booking_rush.booking.settings import BookingSettings
from systems.booking_rush.booking.snapshots import ZoneSnapshots
from systems.booking_rush.booking.tables import Booking, ZoneDirectory
from systems.booking_rush.payment.contract import GetPaymentOfBooking, KeepCard, PaymentInfo

ADMINS = ("admin", "super_admin")
QueuePass = Annotated[str | None, Header(alias="X-Queue-Pass")]
_INVALID = {
    "quantity": "INVALID_QUANTITY",
    "show_id": "INVALID_SHOW_ID",
    "event_id": "INVALID_EVENT_ID",
    "*": "INVALID_REQUEST",
}


# --- taking seats -----------------------------------------------------------------------------------------------------


@booking.post(
    "/bookings/reserve", access=user, status_code=201, idempotency="required", lean=True, invalid=_INVALID,
    errors=[403, 404, 409],
)  # fmt: skip
async def reserve(
    body: ReserveSeats, caller: User, work: Work, once: Once, *, queue_pass: QueuePass = None
) -> Reserved:
    """Hold seats for ten minutes."""
    with refusals_counted():
        wish = await _wish(body, caller, work, queue_pass)
        return await hold_seats(wish.keyed(once.key), work, once)


async def _wish(body: ReserveSeats, caller: User, work: Work, queue_pass: str | None) -> SeatRequest:
    """A request that may be granted. Raises the Problem of one that may not, whatever seats are left."""
    settings = work.use(BookingSettings)
    zone, now = await work.use(ZoneSnapshots).get(body.zone_id, work), work.now()
    check_zone(zone, body.show_id, body.event_id, caller)
    check_quantity(zone, body.quantity)
    check_sale(zone, now, timedelta(minutes=settings.sale_closes_before_show_minutes))
    required = await work.use(QueueGate).requires_pass(zone.event_id, caller.id, work)
    shown = body.queue_pass or queue_pass
    return SeatRequest(
        booking_id=uuid7(now),
        user_id=caller.id,
        quantity=body.quantity,
        cap=ticket_cap(zone.max_tickets_per_user, settings.max_tickets_per_user),
        zone=zone,
        reserved_at=now,
        expires_at=now + timedelta(minutes=settings.reservation_ttl_minutes),
        admission=await work.use(QueuePasses).admission(shown, zone.event_id, caller, required=required),
        context=work.context,
    )


@booking.post("/saga/bookings", access=user, status_code=202, idempotency="required", invalid=_INVALID)
async def book_and_pay(
    body: BookAndPayIn, caller: User, work: Work, once: Once, *, queue_pass: QueuePass = None
) -> SagaAccepted:
    """Reserve, pay and confirm in one request; it is carried out after the answer."""
    wish = await _wish(body, caller, work, queue_pass)
    if (body.total_price, body.currency) != (wish.total_amount, wish.zone.currency):
        raise Problem(400, "AMOUNT_MISMATCH", f"The price is {wish.total_amount} {wish.zone.currency}")
    data = BookAndPay(
        booking_id=wish.booking_id,
        user_id=caller.id,
        quantity=wish.quantity,
        cap=wish.cap,
        zone=wish.zone,
        reserved_at=wish.reserved_at,
        expires_at=wish.expires_at,
        amount=wish.total_amount,
        currency=body.currency,
        method=body.payment_method,
    )

    async def start(tx: Tx) -> SagaAccepted:
        if body.card_token is not None:
            kept = await tx.ask(KeepCard(card_token=body.card_token.get_secret_value()))
            data.card_id = kept.card_id
        await admit(wish.admission, tx)
        return SagaAccepted(saga_id=await tx.start(booking_saga, data), booking_id=wish.booking_id)

    return await work.run(start, once=once)


@booking.get("/saga/bookings/{saga_id}", access=user)
async def get_saga(saga_id: UUID, tx: Tx, caller: User) -> SagaOut:
    """How far a booking in one request has come."""
    saga = await tx.saga(saga_id)
    if saga is None or saga.saga != booking_saga.name:
        raise not_found("The saga")
    data = BookAndPay.model_validate(saga.data)
    if tx.context.tenant_id not in (None, data.zone.tenant_id):
        raise not_found("The saga")
    if data.user_id != caller.id and not caller.has_role(*ADMINS):
        raise Problem(403, "FORBIDDEN", "This is somebody else's")
    shown = data.model_dump(mode="json", include={"booking_id", "quantity", "amount", "currency", "payment_id"})
    return SagaOut(
        saga_id=saga.id,
        status=saga.status,
        current_step=saga.step,
        data=shown,
        error=saga.error,
        created_at=saga.created_at,
        updated_at=saga.updated_at,
        completed_at=saga.completed_at,
    )


# --- what becomes of them ---------------------------------------------------------------------------------------------


@booking.post("/bookings/{id}/confirm", access=owner(Booking.user_id), idempotency="required", errors=[402, 410])
async def confirm(id: UUID, body: ConfirmBooking, work: Work, once: Once, settings: BookingSettings) -> Confirmed:
    """Confirm a booking that was paid for, without waiting for the payment's event."""
    payment = await _succeeded_payment(id, work) if settings.confirm_requires_payment else None

    async def confirm_paid(tx: Tx) -> Confirmed:
        held = await lifecycle.hold_booking(id, tx)
        check_held(held)
        # What was paid for in time is sold, even when the hold has ended since and nobody has decided so yet.
        if payment is None or payment.amount != held.total_amount:
            await lifecycle.end_if_over(held, tx)
            if settings.confirm_requires_payment:
                raise Problem(402, "PAYMENT_REQUIRED", "There is no succeeded payment of this booking's amount")
        sold = lifecycle.confirm(held, payment.payment_id if payment else body.payment_id, tx)
        return Confirmed(booking_id=id, confirmed_at=sold.confirmed_at, confirmation_code=sold.confirmation_code)

    return await work.run(confirm_paid, once=once)


async def _succeeded_payment(booking_id: UUID, work: Work) -> PaymentInfo | None:
    try:
        payment = await work.ask(GetPaymentOfBooking(booking_id=booking_id))
    except Problem:
        return None
    except Unavailable:
        raise Problem(503, "SERVICE_UNAVAILABLE", "Payments do not answer. Try again") from None
    return payment if payment.status == "succeeded" else None


@booking.post("/bookings/{id}/cancel", access=owner(Booking.user_id), idempotency="required", errors=[409, 410])
async def cancel(id: UUID, tx: Tx, caller: User) -> Cancelled:
    """Give held seats back. What is confirmed is refunded instead."""
    held = await lifecycle.hold_held(id, tx)
    await lifecycle.cancel([held], "user_cancelled", tx, by=caller.id)
    return Cancelled(booking_id=id)


@booking.delete("/bookings/{id}", access=owner(Booking.user_id), idempotency="required", errors=[409, 410])
async def delete(id: UUID, tx: Tx, caller: User) -> Cancelled:
    """The same as cancel."""
    return await cancel(id, tx, caller)


# --- looking at them --------------------------------------------------------------------------------------------------


@booking.get("/bookings", access=user)
async def list_bookings(
    tx: Tx,
    caller: User,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    page_size: Annotated[int, Query(ge=1, le=100)] = 20,
) -> BookingPage:
    """One's own bookings, newest first."""
    mine = Booking.user_id == caller.id
    total = await tx.scalar(select(func.count()).select_from(Booking).where(mine))
    newest = select(Booking).where(mine).order_by(Booking.created_at.desc(), Booking.id.desc())
    rows = await tx.scalars(newest.limit(page_size).offset((page - 1) * page_size))
    meta = PageMeta(page=page, page_size=page_size, total_items=total, total_pages=-(-total // page_size))
    return BookingPage(data=[BookingOut.of(row) for row in rows], meta=meta)


@booking.get("/bookings/summary", access=user)
async def summary(event_id: UUID, tx: Tx, caller: User, settings: BookingSettings) -> Summary:
    """How many tickets of an event one has, and may still have."""
    booked = (await held_by([caller.id], event_id, tx)).get(caller.id, 0)
    allowed = await _cap(event_id, tx, settings)
    return Summary(
        user_id=caller.id,
        event_id=event_id,
        booked_count=booked,
        max_allowed=allowed,
        remaining_slots=max(allowed - booked, 0),
    )


async def _cap(event_id: UUID, tx: Tx, settings: BookingSettings) -> int:
    known = select(func.min(ZoneDirectory.max_tickets_per_user)).where(ZoneDirectory.event_id == event_id)
    return ticket_cap(await tx.scalar(known) or 0, settings.max_tickets_per_user)


@booking.get("/bookings/pending", access=user)
async def list_pending(tx: Tx, caller: User, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Bookings:
    """Holds that wait for their payment: one's own; an admin's tenant's."""
    held = select(Booking).where(Booking.status == "reserved", Booking.reservation_expires_at > tx.now())
    if not caller.has_role(*ADMINS):
        held = held.where(Booking.user_id == caller.id)
    rows = await tx.scalars(held.order_by(Booking.reservation_expires_at, Booking.id).limit(limit))
    return Bookings(data=[BookingOut.of(row) for row in rows])


@booking.get("/bookings/{id}", access=owner(Booking.user_id, roles=ADMINS))
async def get_booking(id: UUID, tx: Tx) -> BookingOut:
    """One booking."""
    found = await tx.get(Booking, id)
    if found is None:
        raise not_found("The booking")
    return BookingOut.of(found)


@booking.answers(GetBooking)
async def info(query: GetBooking, tx: Tx) -> BookingInfo:
    found = await tx.get(Booking, query.booking_id)
    if found is None:
        raise not_found("The booking")
    organizer = found.details.get("organizer_id")
    kept = {
        name: getattr(found, name) for name in BookingInfo.model_fields if name not in ("booking_id", "organizer_id")
    }
    return BookingInfo(booking_id=found.id, organizer_id=organizer, **kept)


# --- for operators ----------------------------------------------------------------------------------------------------


@booking.post("/admin/sync-inventory", access=role(*ADMINS))
async def sync_inventory(work: Work, settings: BookingSettings) -> Synced:
    """Count every zone that ticket knows, and add all counts up anew."""
    zones = await sync(work.as_service(), settings.inventory_page)

    async def note(tx: Tx) -> None:
        tx.audit("sync", "inventory", after={"zones": zones})

    await work.run(note)
    return Synced(message=f"{zones} zones are counted", zones_synced=zones)


@booking.get("/admin/inventory-status", access=role(*ADMINS))
async def inventory_status(work: Work, settings: BookingSettings) -> InventoryStatus:
    """The live counters and ticket's counts side by side."""
    data: list[ZoneStatus] = []
    mine = work.context.tenant_id
    async for page in ticket_pages(work, settings.inventory_page):
        batch = [seats for seats in page if mine in (None, seats.tenant_id)]
        live = await _live_levels([seats.zone_id for seats in batch], work)
        for seats in batch:
            left = live[seats.zone_id].left if seats.zone_id in live else -1
            data.append(
                ZoneStatus(
                    zone_id=seats.zone_id,
                    name=seats.name,
                    ticket_available=seats.available_seats,
                    ticket_total=seats.total_seats,
                    redis_available=left,
                    in_sync=left == seats.available_seats,
                )
            )
    return InventoryStatus(count=len(data), data=data)


async def _live_levels(zone_ids: list[UUID], work: Work) -> dict[UUID, Level]:
    try:
        return await work.use(LiveSeats).levels(zone_ids)
    except Unavailable:
        return {}
