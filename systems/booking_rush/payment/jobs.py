"""What payment does by the clock: finish what a gateway, or a crash, left unfinished."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from datetime import timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select

from freehold import Tx, Work
from systems.booking_rush.payment.charging import charge, close, give_back, inquire
from systems.booking_rush.payment.declaration import payment
from systems.booking_rush.payment.gateway import GatewayError, PaymentGateway
from systems.booking_rush.payment.lifecycle import call_off, hold_payment
from systems.booking_rush.payment.settings import PaymentSettings
from systems.booking_rush.payment.simulated import SimulatedGateway
from systems.booking_rush.payment.tables import KeptCard, Payment
from systems.booking_rush.payment.webhooks import receive

log = logging.getLogger(__name__)


@payment.every(seconds=1)
async def charge_worker(work: Work, settings: PaymentSettings, gateway: PaymentGateway) -> None:
    """Charge what a saga ordered, and again what the gateway could not do before."""
    due = Payment.status == "processing", Payment.next_attempt_at <= work.now()
    for payment_id in await _ids(work, settings.worker_batch, *due):
        if await work.run(partial(_take, payment_id)):
            await charge(payment_id, work, gateway)


async def _take(payment_id: UUID, tx: Tx) -> bool:
    """Make this attempt ours: a crash in it is left to the sweeper."""
    found = await hold_payment(payment_id, tx)
    if found.status != "processing" or found.next_attempt_at is None:
        return False
    found.next_attempt_at, found.processed_at = None, tx.now()
    return True


@payment.every(seconds=30)
async def stuck_payment_sweeper(work: Work, settings: PaymentSettings, gateway: PaymentGateway) -> None:
    """Ask the gateway about payments that are under way for too long; cancel those that nobody began in time; close at
    the gateway what was given up here.
    """
    ids = partial(_ids, work, settings.worker_batch)
    stuck = work.now() - timedelta(minutes=settings.stuck_after_minutes)
    under_way = Payment.status == "processing", Payment.next_attempt_at.is_(None), Payment.processed_at < stuck
    for payment_id in await ids(*under_way):
        await _asked(inquire(payment_id, work, gateway))
    orphaned = work.now() - timedelta(minutes=settings.orphan_after_minutes)
    for payment_id in await ids(Payment.status == "pending", Payment.created_at < orphaned):
        await work.run(partial(_cancel_orphan, payment_id))
    given_up = Payment.status.in_(("failed", "cancelled")), Payment.next_attempt_at <= work.now()
    for payment_id in await ids(*given_up):
        await _asked(close(payment_id, work, gateway))
    await work.run(_forget_cards)


async def _asked(asking: Awaitable[object]) -> None:
    """What the gateway does not say now is asked again at the next sweep."""
    try:
        await asking
    except (GatewayError, TimeoutError) as error:
        log.warning("the gateway does not say what became of a payment: %s", error)


async def _forget_cards(tx: Tx) -> None:
    await tx.execute(delete(KeptCard).where(KeptCard.kept_until < tx.now()))


async def _cancel_orphan(payment_id: UUID, tx: Tx) -> None:
    found = await hold_payment(payment_id, tx)
    if found.status == "pending" and (found.hold_ends_at is None or found.hold_ends_at < tx.now()):
        call_off(found, "hold expired", tx)


@payment.every(seconds=5)
async def refund_worker(work: Work, settings: PaymentSettings, gateway: PaymentGateway) -> None:
    """Give back what is to be given back, until the gateway has done it."""
    due = Payment.status == "refund_pending", Payment.next_attempt_at <= work.now()
    for payment_id in await _ids(work, settings.worker_batch, *due):
        await give_back(payment_id, work, gateway)


@payment.every(seconds=1)
async def simulated_webhooks(work: Work, gateway: PaymentGateway) -> None:
    """Hand in the webhooks of the simulated gateway, which has no network, by the same door as a real one's."""
    if isinstance(gateway, SimulatedGateway):
        for announcement in gateway.due_announcements():
            await receive(announcement.body, announcement.signature, work, gateway)
            gateway.announced(announcement)


async def _ids(work: Work, limit: int, *which: ColumnElement[bool]) -> list[UUID]:
    async with work.transaction(readonly=True) as tx:
        return list(await tx.scalars(select(Payment.id).where(*which).order_by(Payment.updated_at).limit(limit)))
