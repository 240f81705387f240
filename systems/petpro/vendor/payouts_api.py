"""Payouts as vendors see them and administrators make them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import select

from freehold import CamelListing, Tx, User, Work, list_rows, role, user
from systems.petpro.bodies import PageOf
from systems.petpro.vendor.declaration import vendor
from systems.petpro.vendor.order_bodies import PaidItem, PayoutOut, PayoutRun, PayoutsMade, PayoutStatusChange
from systems.petpro.vendor.order_tables import OrderItem, Payout
from systems.petpro.vendor.payouts import payout_of, run_payouts
from systems.petpro.vendor.rules import PAYOUT_TRANSITIONS, check_transition
from systems.petpro.vendor.vendors import own_vendor

admin = role("admin")


@vendor.get("/vendors/{id}/payouts", access=user, errors=[403, 404])
async def list_payouts(id: UUID, query: Annotated[PageOf, Query()], tx: Tx, caller: User) -> CamelListing[PayoutOut]:
    """The vendor's payouts with their items, newest first."""
    await own_vendor(id, caller, tx, admin=True)
    found = select(Payout).where(Payout.vendor_id == id)
    rows = await list_rows(tx, found, query, order_by=Payout.created_at, descending=True, show=lambda row: row)
    return CamelListing.of(rows.model_copy(update={"data": await _shown(rows.data, tx)}))


@vendor.get("/payouts/{id}", access=user, errors=[403, 404])
async def get_payout(id: UUID, tx: Tx, caller: User) -> PayoutOut:
    """A payout with its items."""
    payout = await payout_of(id, tx)
    await own_vendor(payout.vendor_id, caller, tx, admin=True)
    return (await _shown([payout], tx))[0]


@vendor.post("/admin/payouts/run", access=admin)
async def run(work: Work, body: PayoutRun | None = None) -> PayoutsMade:
    """Pay vendors now; all of them, or one. What was paid out before is not paid again."""
    made = await run_payouts(work.now(), work, None if body is None else body.vendor_id)
    async with work.transaction(readonly=True) as tx:
        shown = await _shown(made, tx)
    return PayoutsMade(created=shown, total=sum((payout.amount for payout in made), Decimal(0)))


@vendor.put("/admin/payouts/{id}/status", access=admin, errors=[404, 409])
async def change_status(id: UUID, body: PayoutStatusChange, tx: Tx) -> PayoutOut:
    """Let a payout be transferred (again), or say what became of it elsewhere."""
    payout = await payout_of(id, tx, lock=True)
    if payout.status != body.status:
        check_transition(payout.status, body.status, PAYOUT_TRANSITIONS)
        details = {} if body.reference_number is None else {"transfer": body.reference_number}
        if body.status == "completed":
            tx.publish(payout.complete(tx.now(), **details))
        else:
            payout.become(body.status, tx.now())
            payout.note(tries=0, **details)
        tx.audit(body.status, "payout", id)
    return (await _shown([payout], tx))[0]


async def _shown(payouts: Collection[Payout], tx: Tx) -> list[PayoutOut]:
    items = await _items({payout.id for payout in payouts}, tx)
    return [
        PayoutOut(
            id=payout.id,
            vendor_id=payout.vendor_id,
            amount=payout.amount,
            currency=payout.currency,
            status=payout.status,
            reference_number=payout.reference_number,
            transaction_details=payout.transaction_details,
            payout_date=payout.payout_date,
            created_at=payout.created_at,
            updated_at=payout.updated_at,
            items=items[payout.id],
        )
        for payout in payouts
    ]


async def _items(payout_ids: set[UUID], tx: Tx) -> Mapping[UUID, list[PaidItem]]:
    items: dict[UUID, list[PaidItem]] = {id: [] for id in payout_ids}
    for item in await tx.scalars(select(OrderItem).where(OrderItem.payout_id.in_(payout_ids)).order_by(OrderItem.id)):
        if item.payout_id is not None:
            items[item.payout_id].append(PaidItem.model_validate(item))
    return items
