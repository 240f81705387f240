"""Payment's routes and answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query
from fastapi.responses import JSONResponse
from sqlalchemy import select

from freehold import Listing, Once, Paging, Problem, Tx, User, Work, list_rows, not_found, owner, user, uuid7
from systems.booking_rush.booking.contract import BookingInfo, GetBooking
from systems.booking_rush.payment import lifecycle
from systems.booking_rush.payment.bodies import (
    Claim,
    PaymentIn,
    PaymentOut,
    ProcessIn,
    RefundIn,
    gateway_error,
    info_of,
)
from systems.booking_rush.payment.charging import charge, give_back
from systems.booking_rush.payment.contract import (
    AskRefund,
    CreatePayment,
    GetPaymentOfBooking,
    KeepCard,
    KeptCardInfo,
    PaymentInfo,
    PaymentStatus,
)
from systems.booking_rush.payment.declaration import payment
from systems.booking_rush.payment.gateway import CardRefused, GatewayError, PaymentGateway
from systems.booking_rush.payment.rules import check_amount, check_refund_amount, refundable
from systems.booking_rush.payment.settings import PaymentSettings
from systems.booking_rush.payment.tables import KeptCard, Payment

ADMINS = ("admin", "super_admin")


# --- paying -----------------------------------------------------------------------------------------------------------


@payment.post("/payments", access=user, status_code=201, idempotency="required", invalid="VALIDATION_ERROR")
async def create(
    body: PaymentIn,
    work: Work,
    caller: User,
    once: Once,
    *,
    gateway: PaymentGateway,
    auto_process: Annotated[bool, Query()] = False,
) -> PaymentOut | JSONResponse:
    """Claim the payment of one's booking; with `auto_process` charge it, too (202 when that could not be finished)."""

    async def pay() -> PaymentOut:
        claimed = await work.run(partial(_claim_own, body, caller), once=once.step("claim"))
        if not auto_process:
            return claimed
        await work.run(partial(_begin, claimed.id, gateway.name, None), once=once.step("begin"))
        return PaymentOut.of(await charge(claimed.id, work, gateway))

    done = await work.in_steps(pay, once=once)
    unfinished = auto_process and done.status == "processing"
    return JSONResponse(done.model_dump(mode="json"), 202) if unfinished else done


async def _claim_own(body: PaymentIn, caller: User, tx: Tx) -> PaymentOut:
    booking = await payable_booking(body.booking_id, tx)
    if booking.user_id != caller.id:
        raise Problem(403, "FORBIDDEN", "This is somebody else's booking")
    return PaymentOut.of(await claim(body, booking, tx, metadata=body.metadata))


async def payable_booking(booking_id: UUID, tx: Tx) -> BookingInfo:
    """The booking, still held. Raises Problem."""
    try:
        booking = await tx.ask(GetBooking(booking_id=booking_id))
    except Problem as problem:
        if problem.status != 404:
            raise
        raise Problem(404, "BOOKING_NOT_FOUND", "There is no such booking") from None
    if booking.status in ("cancelled", "expired") or booking.reservation_expires_at < tx.now():
        raise Problem(410, "BOOKING_EXPIRED", "The booking is not held any more")
    return booking


async def claim(
    wish: Claim, booking: BookingInfo, tx: Tx, *, metadata: Mapping[str, Any] | None = None, again: bool = False
) -> Payment:
    """Take up the pending payment of a booking, which only one may, unless `again`. Raises Problem."""
    check_amount(wish.amount, wish.currency, price=booking.total_amount, in_currency=booking.currency)
    found = await lifecycle.open_payment(booking, wish.method, tx)
    if found.status != "pending" or (found.claimed_at is not None and not again):
        raise Problem(409, "PAYMENT_EXISTS", f"The booking has a payment, which is {found.status}")
    if found.claimed_at is None:
        found.method, found.claimed_at, found.updated_at = wish.method, tx.now(), tx.now()
        found.details = {**(metadata or {}), **found.details}
    return found


@payment.post("/payments/{id}/process", access=owner(Payment.user_id), idempotency="required", errors=[409, 410, 502])
async def process(id: UUID, body: ProcessIn, work: Work, once: Once, gateway: PaymentGateway) -> PaymentOut:
    """Charge the card. `processing` is an answer too: the rest follows by itself."""

    async def pay() -> PaymentOut:
        token = await _token(body, gateway)
        await work.run(partial(_begin, id, gateway.name, token), once=once.step("begin"))
        return PaymentOut.of(await charge(id, work, gateway))

    return await work.in_steps(pay, once=once)


async def _token(body: ProcessIn, gateway: PaymentGateway) -> str | None:
    card = body.card()
    if card is None:
        return body.card_token.get_secret_value() if body.card_token is not None else None
    try:
        return await gateway.tokenize(card)
    except CardRefused as error:
        raise Problem(400, "VALIDATION_ERROR", f"card_number: the payment provider says {error}") from None
    except GatewayError as error:
        raise gateway_error(error) from None


async def _begin(payment_id: UUID, gateway: str, card_token: str | None, tx: Tx) -> PaymentStatus:
    found = await lifecycle.hold_payment(payment_id, tx)
    lifecycle.check_payable(found, tx.now())
    lifecycle.begin(found, gateway, card_token, tx)
    return found.status


@payment.post("/payments/{id}/cancel", access=owner(Payment.user_id), idempotency="required", errors=[409])
async def cancel(id: UUID, tx: Tx) -> PaymentOut:
    """Give up a payment that was not begun."""
    found = await lifecycle.hold_payment(id, tx)
    if found.status != "pending":
        raise Problem(409, "INVALID_STATUS", f"The payment is {found.status}")
    lifecycle.cancel(found, tx)
    return PaymentOut.of(found)


# --- giving back ------------------------------------------------------------------------------------------------------


@payment.post(
    "/payments/{id}/refund",
    access=owner(Payment.user_id, roles=("organizer", *ADMINS)),
    idempotency="required",
    errors=[409],
)
async def refund(
    id: UUID,
    body: RefundIn,
    work: Work,
    caller: User,
    once: Once,
    *,
    gateway: PaymentGateway,
    settings: PaymentSettings,
) -> PaymentOut:
    """Give money back: to owners by the policy, organizers of the event and admins as they decide."""

    async with work.transaction(readonly=True) as tx:
        found = await tx.get(Payment, id)
    if found is None:
        raise not_found("The payment")
    booking = await work.ask(GetBooking(booking_id=found.booking_id))
    decides = caller.has_role(*ADMINS) or caller.id == booking.organizer_id
    if not decides and caller.id != found.user_id:
        raise Problem(403, "FORBIDDEN", "This is somebody else's event")
    days = {"full_days": settings.full_refund_days, "half_days": settings.half_refund_days}
    most = found.amount if decides else refundable(found.amount, booking.show_date, work.now().date(), **days)

    async def give() -> PaymentOut:
        ask = partial(_ask_refund, id, body.amount, most, body.reason or "requested")
        await work.run(ask, once=once.step("ask"))
        return PaymentOut.of(await give_back(id, work, gateway))

    return await work.in_steps(give, once=once)


async def _ask_refund(payment_id: UUID, amount: Decimal | None, most: Decimal, reason: str, tx: Tx) -> PaymentStatus:
    found = await lifecycle.hold_payment(payment_id, tx)
    if found.status != "succeeded":
        raise Problem(409, "INVALID_STATUS", f"The payment is {found.status}")
    lifecycle.ask_refund(found, check_refund_amount(amount, most), reason, tx)
    return found.status


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
async def create_for_sibling(query: CreatePayment, tx: Tx) -> PaymentInfo:
    booking = await payable_booking(query.booking_id, tx)
    found = await lifecycle.hold_payment_of(query.booking_id, tx)
    if found is None or found.idempotency_key != query.idempotency_key:
        found = await claim(query, booking, tx)
        found.idempotency_key = query.idempotency_key
    return info_of(found)


@payment.answers(KeepCard)
async def keep_card(query: KeepCard, tx: Tx) -> KeptCardInfo:
    now = tx.now()
    until = now + timedelta(minutes=tx.use(PaymentSettings).card_kept_minutes)
    kept = KeptCard(id=uuid7(now), card_token=query.card_token, kept_until=until)
    tx.add(kept)
    return KeptCardInfo(card_id=kept.id)


@payment.answers(AskRefund)
async def refund_for_sibling(query: AskRefund, work: Work, gateway: PaymentGateway) -> PaymentInfo:
    await work.run(partial(_ask_refund_once, query))
    return info_of(await give_back(query.id, work, gateway))


async def _ask_refund_once(query: AskRefund, tx: Tx) -> None:
    found = await lifecycle.hold_payment(query.id, tx)
    if found.status in ("refund_pending", "refunded") and found.refund_key == query.idempotency_key:
        return
    await _ask_refund(query.id, query.amount, found.amount, query.reason, tx)
    found.refund_key = query.idempotency_key
