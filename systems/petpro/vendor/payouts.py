"""Money for vendors: stamped on the items that it is for, so that none is paid out twice, then transferred."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from uuid import UUID

from sqlalchemy import ColumnElement, select

from freehold import Tx, Work, not_found, uuid7
from systems.petpro.gateway import GatewayDown, PaymentGateway
from systems.petpro.vendor.order_tables import CURRENCY, OrderItem, Payout
from systems.petpro.vendor.rules import take_back
from systems.petpro.vendor.sagas import Paying, vendor_payout
from systems.petpro.vendor.settings import VendorSettings
from systems.petpro.vendor.vendors import vendor_of

log = logging.getLogger(__name__)
TRIES = 3
DRAWS = 5


async def run_payouts(moment: datetime, work: Work, only: UUID | None = None) -> list[Payout]:
    """One payout for each vendor, over the items whose time had come at the moment; those that were made."""
    until = moment - timedelta(days=work.use(VendorSettings).payout_hold_days)
    due = select(OrderItem.vendor_id).where(*_eligible(until)).distinct().order_by(OrderItem.vendor_id)
    async with work.transaction(readonly=True) as tx:
        vendors = list(await tx.scalars(due if only is None else due.where(OrderItem.vendor_id == only)))
    made = [await work.run(partial(pay_out, vendor_id, until)) for vendor_id in vendors]
    return [payout for payout in made if payout is not None]


def _eligible(until: datetime) -> Sequence[ColumnElement[bool]]:
    return OrderItem.status == "delivered", OrderItem.delivered_at <= until, OrderItem.payout_id.is_(None)


async def pay_out(vendor_id: UUID, until: datetime, tx: Tx) -> Payout | None:
    """The vendor's payout over what was delivered until then; None when nothing is to be paid.

    Its row is locked first: of two runs at once, the second finds the items stamped.
    """
    await vendor_of(vendor_id, tx, lock=True)
    mine = select(OrderItem).where(OrderItem.vendor_id == vendor_id).order_by(OrderItem.id).with_for_update()
    items = list(await tx.scalars(mine.where(*_eligible(until))))
    earned = sum((item.earned for item in items), Decimal(0))
    if earned <= 0:
        return None
    owing = list(
        await tx.scalars(
            mine.where(
                OrderItem.status == "refunded",
                OrderItem.payout_id.is_not(None),
                OrderItem.taken_back < OrderItem.subtotal - OrderItem.commission_amount,
            )
        )
    )
    taken = take_back(earned, [item.earned - item.taken_back for item in owing])
    for item, amount in zip(owing, taken, strict=True):
        item.taken_back += amount
    carry = sum(taken, Decimal(0))
    payout = Payout(
        id=uuid7(tx.now()),
        vendor_id=vendor_id,
        amount=earned - carry,
        currency=CURRENCY,
        status="pending",
        reference_number=await _reference(tx.use(random.Random), tx),
        transaction_details={"earned": f"{earned:.2f}", "carry": f"{-carry:.2f}"},
        created_at=tx.now(),
        updated_at=tx.now(),
    )
    tx.add(payout)
    await tx.flush()
    for item in items:
        item.payout_id, item.updated_at = payout.id, tx.now()
    tx.publish(payout.created(len(items)))
    await tx.start(vendor_payout, Paying(payout_id=payout.id))
    return payout


async def _reference(chance: random.Random, tx: Tx) -> str:
    for _ in range(DRAWS):
        drawn = f"PAY-{chance.randrange(10**8):08d}"
        if await tx.scalar(select(Payout.id).where(Payout.reference_number == drawn)) is None:
            return drawn
    raise RuntimeError(f"{DRAWS} reference numbers in a row were taken")


async def payout_of(id: UUID, tx: Tx, *, lock: bool = False) -> Payout:
    """The payout. Raises Problem 404."""
    payout = await tx.get(Payout, id, lock=lock)
    if payout is None:
        raise not_found("The payout", "PAYOUT_NOT_FOUND")
    return payout


# --- the transfer -----------------------------------------------------------------------------------------------------


async def transfer(payout_id: UUID, work: Work, gateway: PaymentGateway) -> None:
    """Have the gateway transfer it, once for its id, and keep what came of it."""
    async with work.transaction(readonly=True) as tx:
        payout = await payout_of(payout_id, tx)
    if payout.status != "processing":
        return
    try:
        sent = await gateway.transfer(f"payout:{payout.id}", str(payout.vendor_id), payout.amount)
    except GatewayDown as error:
        await work.run(partial(_try_later, payout_id, error))
    else:
        await work.run(partial(_complete, payout_id, sent.id))


async def _complete(payout_id: UUID, transfer_id: str, tx: Tx) -> None:
    payout = await payout_of(payout_id, tx, lock=True)
    if payout.status == "processing":
        tx.publish(payout.complete(tx.now(), transfer=transfer_id))


async def _try_later(payout_id: UUID, error: GatewayDown, tx: Tx) -> None:
    """After three tries it is left to administrators."""
    payout = await payout_of(payout_id, tx, lock=True)
    if payout.status != "processing":
        return
    tries = payout.transaction_details.get("tries", 0) + 1
    payout.note(tries=tries, error=str(error))
    payout.updated_at = tx.now()
    if tries >= TRIES:
        payout.become("failed", tx.now())
        log.error("payout %s failed %d times: %s", payout_id, tries, error)
