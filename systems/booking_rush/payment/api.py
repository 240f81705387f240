"""Payment's routes and answers."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query
from fastapi.responses import JSONResponse
from sqlalchemy import select

from freehold import Listing, Paging, Problem, Tx, User, Work, list_rows, not_found, owner, user
from systems.booking_rush.booking.contract import BookingInfo, GetBooking
from systems.booking_rush.payment import lifecycle
from systems.booking_rush.payment.bodies import PaymentIn, PaymentOut, ProcessIn, RefundIn, info_of
from systems.booking_rush.payment.charging import charge, give_back
from systems.booking_rush.payment.contract import AskRefund, CreatePayment, GetPaymentOfBooking, PaymentInfo
from systems.booking_rush.payment.declaration import payment
from systems.booking_rush.payment.gateway import PaymentGateway
from systems.booking_rush.payment.rules import check_amount, check_refund_amount, refundable
from systems.booking_rush.payment.settings import PaymentSettings
from systems.booking_rush.payment.tables import Payment

ADMINS = ("admin", "super_admin")


# --- paying -----------------------------------------------------------------------------------------------------------


@payment.post("/payments", access=user, status_code=201, idempotency="required", invalid="VALIDATION_ERROR")
async def create(
    body: PaymentIn, work: Work, caller: User, gateway: PaymentGateway, auto_process: Annotated[bool, Query()] = False
) -> PaymentOut | JSONResponse:
    """Claim the payment of one's booking; with `auto_process` charge it, too (202 when that could not be finished)."""
    booking = await _payable_booking(body.booking_id, work)
    if booking.user_id != caller.id:
        raise Problem(403, "FORBIDDEN", "This is somebody else's booking")
    claimed = await work.run(partial(_claim, body, booking))
    if not auto_process:
        return claimed
    await work.run(partial(_begin, claimed.id, gateway.name, None))
    done = PaymentOut.of(await charge(claimed.id, work, gateway))
    return JSONResponse(done.model_dump(mode="json"), 202) if done.status == "processing" else done


async def _payable_booking(booking_id: UUID, work: Work) -> BookingInfo:
    try:
        booking = await work.ask(GetBooking(booking_id=booking_id))
    except Problem as problem:
        if problem.status != 404:
            raise
        raise Problem(404, "BOOKING_NOT_FOUND", "There is no such booking") from None
    if booking.status in ("cancelled", "expired") or booking.reservation_expires_at < work.now():
        raise Problem(410, "BOOKING_EXPIRED", "The booking is not held any more")
    return booking


async def _claim(body: PaymentIn | CreatePayment, booking: BookingInfo, tx: Tx) -> PaymentOut:
    check_amount(body.amount, body.currency, price=booking.total_amount, in_currency=booking.currency)
    found = await lifecycle.open_payment(booking, body.method, tx)
    if found.details.get("claimed") or found.status != "pending":
        raise Problem(409, "PAYMENT_EXISTS", f"The booking has a payment, which is {found.status}")
    found.method, found.updated_at = body.method, tx.now()
    client = body.metadata if isinstance(body, PaymentIn) else {}
    found.details = {**client, **found.details, "claimed": True}
    return PaymentOut.of(found)


@payment.post("/payments/{id}/process", access=owner(Payment.user_id), idempotency="required", errors=[409, 410])
async def process(id: UUID, body: ProcessIn, work: Work, gateway: PaymentGateway) -> PaymentOut:
    """Charge the card. `processing` is an answer too: the rest follows by itself."""
    card = body.card()
    token = body.card_token if card is None else await gateway.tokenize(card)
    await work.run(partial(_begin, id, gateway.name, token))
    return PaymentOut.of(await charge(id, work, gateway))


async def _begin(payment_id: UUID, gateway: str, card_token: str | None, tx: Tx) -> None:
    found = await lifecycle.hold_payment(payment_id, tx)
    lifecycle.check_payable(found, tx.now())
    lifecycle.begin(found, gateway, card_token, tx)


@payment.post("/payments/{id}/cancel", access=owner(Payment.user_id), idempotency="required", errors=[409])
async def cancel(id: UUID, tx: Tx) -> PaymentOut:
    """Give up a payment that was not begun."""
    found = await lifecycle.hold_payment(id, tx)
    if found.status != "pending":
        raise Problem(409, "INVALID_STATUS", f"The payment is {found.status}")
    found.cancel(tx.now())
    tx.audit("payment.cancelled", "payment", id)
    return PaymentOut.of(found)


# --- giving back ------------------------------------------------------------------------------------------------------


@payment.post(
    "/payments/{id}/refund",
    access=owner(Payment.user_id, roles=("organizer", *ADMINS)),
    idempotency="required",
    errors=[409],
)
async def refund(
    id: UUID, body: RefundIn, work: Work, caller: User, *, gateway: PaymentGateway, settings: PaymentSettings
) -> PaymentOut:
    """Give money back: to owners by the policy, organizers of the event and admins as they decide."""
    async with work.transaction(readonly=True) as tx:
        found = await tx.get(Payment, id)
    if found is None:
        raise not_found("The payment")
    booking = await work.ask(GetBooking(booking_id=found.booking_id))
    if not (caller.has_role(*ADMINS) or caller.id in (found.user_id, booking.organizer_id)):
        raise Problem(403, "FORBIDDEN", "This is somebody else's event")
    by_policy = not (caller.has_role(*ADMINS) or caller.id == booking.organizer_id)
    most = found.amount
    if by_policy:
        most = refundable(
            found.amount,
            booking.show_date,
            work.now().date(),
            full_days=settings.full_refund_days,
            half_days=settings.half_refund_days,
        )
    await work.run(partial(_ask_refund, id, body.amount, most, body.reason or "requested"))
    return PaymentOut.of(await give_back(id, work, gateway))


async def _ask_refund(payment_id: UUID, amount: Decimal | None, most: Decimal, reason: str, tx: Tx) -> None:
    found = await lifecycle.hold_payment(payment_id, tx)
    if found.status != "succeeded":
        raise Problem(409, "INVALID_STATUS", f"The payment is {found.status}")
    lifecycle.ask_refund(found, check_refund_amount(amount, most), reason, tx)


# --- looking ----------------------------------------------------------------------------------------------------------


@payment.get("/payments/{id}", access=owner(Payment.user_id, roles=ADMINS))
async def get_payment(id: UUID, tx: Tx) -> PaymentOut:
    """One payment."""
    found = await tx.get(Payment, id)
    if found is None:
        raise not_found("The payment")
    return PaymentOut.of(found)


@payment.get("/payments/booking/{booking_id}", access=user)
async def get_payment_of_booking(booking_id: UUID, tx: Tx, caller: User) -> PaymentOut:
    """The payment of a booking."""
    found = await tx.find(Payment, Payment.booking_id == booking_id)
    if found is None:
        raise not_found("The payment")
    if found.user_id != caller.id and not caller.has_role(*ADMINS):
        raise Problem(403, "FORBIDDEN", "This is somebody else's payment")
    return PaymentOut.of(found)


@payment.get("/payments/user/{user_id}", access=owner(param="user_id", roles=ADMINS))
async def list_payments(user_id: UUID, tx: Tx, paging: Annotated[Paging, Depends()]) -> Listing[PaymentOut]:
    """A user's payments, newest first."""
    theirs = select(Payment).where(Payment.user_id == user_id)
    return await list_rows(tx, theirs, paging, order_by=Payment.created_at, descending=True, show=PaymentOut.of)


# --- for siblings -----------------------------------------------------------------------------------------------------


@payment.answers(GetPaymentOfBooking)
async def payment_of_booking(query: GetPaymentOfBooking, tx: Tx) -> PaymentInfo:
    found = await tx.find(Payment, Payment.booking_id == query.booking_id)
    if found is None:
        raise not_found("The payment")
    return info_of(found)


@payment.answers(CreatePayment)
async def create_for_sibling(query: CreatePayment, work: Work) -> PaymentInfo:
    booking = await _payable_booking(query.booking_id, work)
    return await work.run(partial(_claim_once, query, booking))


async def _claim_once(query: CreatePayment, booking: BookingInfo, tx: Tx) -> PaymentInfo:
    found = await lifecycle.hold_payment_of(query.booking_id, tx)
    if found is None or found.idempotency_key != query.idempotency_key:
        await _claim(query, booking, tx)
        found = await lifecycle.hold_payment_of(query.booking_id, tx)
        assert found is not None  # noqa: S101 - it was claimed a line ago
        found.idempotency_key = query.idempotency_key
    return info_of(found)


@payment.answers(AskRefund)
async def refund_for_sibling(query: AskRefund, work: Work, gateway: PaymentGateway) -> PaymentInfo:
    await work.run(partial(_ask_refund_once, query))
    return info_of(await give_back(query.id, work, gateway))


async def _ask_refund_once(query: AskRefund, tx: Tx) -> None:
    found = await lifecycle.hold_payment(query.id, tx)
    if found.status in ("refund_pending", "refunded") and found.details.get("refund_key") == query.idempotency_key:
        return
    await _ask_refund(query.id, query.amount, found.amount, query.reason, tx)
    found.details = {**found.details, "refund_key": query.idempotency_key}
