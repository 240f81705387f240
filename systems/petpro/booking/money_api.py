"""The routes of payments and of the financial split, and the gateway's webhook."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request
from pydantic import ValidationError
from sqlalchemy import Select, func, select

from freehold import CamelListing, InvalidSignature, Once, Problem, Tx, User, Work, list_rows, role, signature, user
from systems.petpro.booking.appointments import booking_of, hold
from systems.petpro.booking.booking_bodies import (
    EntryList,
    EntryOut,
    EntryPage,
    NoticeIn,
    NoticeTaken,
    PaymentOut,
    RefundIn,
    RetryIn,
    Settled,
    Totals,
)
from systems.petpro.booking.clinics import actor, clinics_of, forbidden, require_clinic
from systems.petpro.booking.declaration import booking
from systems.petpro.booking.finance import settle_due
from systems.petpro.booking.money_tables import FinancialEntry
from systems.petpro.booking.payments import ask_refund, give_back, open_session, payment_of, take_notice
from systems.petpro.booking.reservations import hold_pending, reservation_over
from systems.petpro.booking.rules import instant, invalid_transition
from systems.petpro.booking.showing import payment_out
from systems.petpro.booking.tables import Reservation
from systems.petpro.gateway import ORDERS, PaymentGateway
from systems.petpro.vendor.contract import TakePaymentNotice

# --- payments ---------------------------------------------------------------------------------------------------------


@booking.get("/payments/{id}", access=user, errors=[403, 404])
async def get_payment(id: UUID, tx: Tx, caller: User) -> PaymentOut:
    """One payment."""
    paid_for = await booking_of((await payment_of(id, tx)).booking_id, tx)
    await actor(paid_for.user_id, paid_for.clinic_id, caller, tx)
    return await _shown(id, tx)


@booking.post("/payments/{id}/retry", access=user, errors=[403, 404, 409, 410])
async def retry_payment(
    id: UUID, work: Work, caller: User, gateway: PaymentGateway, *, once: Once | None, body: RetryIn | None = None
) -> PaymentOut:
    """Another place to pay at, while the seat is held."""

    async def steps() -> PaymentOut:
        taken = once.step("retry") if once is not None else None
        await work.run(partial(_try_again, id, body or RetryIn(), caller), once=taken)
        await open_session(id, work, gateway)
        async with work.transaction(readonly=True) as tx:
            return await _shown(id, tx)

    return await (steps() if once is None else work.in_steps(steps, once=once))


async def _try_again(id: UUID, body: RetryIn, caller: User, tx: Tx) -> None:
    paid_for = await booking_of((await payment_of(id, tx)).booking_id, tx)
    if paid_for.user_id != caller.id:
        raise forbidden()
    held = await hold(paid_for.id, tx)
    payment = held.payment
    if payment.status not in ("pending", "failed"):
        raise invalid_transition(payment.status, "pending")
    if (await hold_pending(held.reservation.id, tx)).status != "pending":
        raise reservation_over()
    payment.status = "pending"
    payment.payment_method = body.payment_method or payment.payment_method
    payment.note(tx.now(), sessions=payment.payment_details.get("sessions", 0) + 1)


@booking.post("/payments/{id}/refund", access=user, errors=[403, 404, 409, 422])
async def refund_payment(
    id: UUID, body: RefundIn, work: Work, caller: User, gateway: PaymentGateway, *, once: Once | None
) -> PaymentOut:
    """Give money back, whatever becomes of the booking."""

    async def steps() -> PaymentOut:
        taken = once.step("refund") if once is not None else None
        await work.run(partial(_refund, id, body, caller), once=taken)
        await give_back(id, work, gateway)
        async with work.transaction(readonly=True) as tx:
            return await _shown(id, tx)

    return await (steps() if once is None else work.in_steps(steps, once=once))


async def _refund(id: UUID, body: RefundIn, caller: User, tx: Tx) -> None:
    paid_for = await booking_of((await payment_of(id, tx)).booking_id, tx)
    await require_clinic(paid_for.clinic_id, caller, tx)
    await ask_refund(id, body.amount, body.reason, tx)


async def _shown(id: UUID, tx: Tx) -> PaymentOut:
    payment = await payment_of(id, tx)
    reservation = await tx.get(Reservation, (await booking_of(payment.booking_id, tx)).reservation_id)
    return payment_out(payment, None if reservation is None else reservation.expires_at)


# --- the gateway's webhook --------------------------------------------------------------------------------------------


@booking.post("/payments/webhook", access=signature, idempotency="none", errors=[404])
@booking.post("/webhooks/payment", access=signature, idempotency="none", errors=[404])
async def payment_webhook(request: Request, work: Work, gateway: PaymentGateway) -> NoticeTaken:
    """What became of a payment, told any number of times; what is about an order goes on to vendor."""
    body, signed = await request.body(), request.headers.get("X-Webhook-Signature")
    try:
        gateway.verify(body, signed)
    except InvalidSignature as error:
        raise Problem(400, "INVALID_SIGNATURE", f"This is no webhook of ours: {error}") from None
    notice = _read(body)
    if (notice.external_reference or "").startswith(ORDERS):
        await work.ask(TakePaymentNotice(body=body.decode(), signature=signed))
        return NoticeTaken()
    payment_id = await work.run(partial(take_notice, notice))
    await give_back(payment_id, work, gateway)
    return NoticeTaken()


def _read(body: bytes) -> NoticeIn:
    try:
        return NoticeIn.model_validate_json(body)
    except ValidationError as error:
        wrong = [
            {"field": ".".join(map(str, each["loc"])) or "body", "problem": each["msg"]}
            for each in error.errors(include_url=False, include_input=False)
        ]
        raise Problem(400, "VALIDATION_ERROR", "The webhook is not valid", errors=wrong) from None


# --- the financial split ----------------------------------------------------------------------------------------------


@booking.get("/financial-entries", access=user, errors=[403])
async def list_entries(tx: Tx, caller: User, wanted: Annotated[EntryList, Query()]) -> EntryPage:
    """The entries of one's clinics, and what they add up to."""
    found = select(FinancialEntry)
    if wanted.clinic_id is not None:
        await require_clinic(wanted.clinic_id, caller, tx)
        found = found.where(FinancialEntry.clinic_id == wanted.clinic_id)
    elif not caller.has_role("admin"):
        clinics = await clinics_of(caller, tx)
        if not clinics:
            raise forbidden()
        found = found.where(FinancialEntry.clinic_id.in_(clinics))
    if wanted.status is not None:
        found = found.where(FinancialEntry.status == wanted.status)
    if wanted.from_ is not None:
        found = found.where(FinancialEntry.created_at >= _midnight(wanted.from_))
    if wanted.to is not None:
        found = found.where(FinancialEntry.created_at < _midnight(wanted.to + timedelta(days=1)))
    totals = await _totals(found, tx)
    rows = await list_rows(
        tx, found, wanted, order_by=FinancialEntry.created_at, descending=True, show=EntryOut.model_validate
    )
    page = CamelListing.of(rows)
    return EntryPage(data=page.data, next_cursor=page.next_cursor, meta=page.meta, totals=totals)


def _midnight(day: Any) -> datetime:
    return instant(day, time.min, "UTC")


async def _totals(found: Select[Any], tx: Tx) -> Totals:
    names = list(Totals.model_fields)
    rows = found.where(FinancialEntry.status != "cancelled").subquery()
    sums = (await tx.execute(select(*(func.sum(rows.c[name]) for name in names)))).one()
    return Totals.model_validate({name: total or 0 for name, total in zip(names, sums, strict=True)})


@booking.post("/admin/settlements/run", access=role("admin"))
async def run_settlement(tx: Tx) -> Settled:
    """Settle what is due now."""
    return await settle_due(tx)
