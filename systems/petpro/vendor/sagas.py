"""The flows that vendor leads: an order up to its payment, a cancellation up to its refund, a payout."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel

from freehold import Saga, Step, Tx
from systems.petpro.inventory.contract import InventoryReservationConfirmed, InventoryReservationFailed
from systems.petpro.vendor import orders
from systems.petpro.vendor.contract import OrderCancelled, OrderPaid, OrderRefunded, PayoutCompleted
from systems.petpro.vendor.declaration import vendor
from systems.petpro.vendor.order_tables import OrderRefund, Payout

PAYMENT_TIMEOUT = "payment_timeout"

# --- an order, up to its payment --------------------------------------------------------------------------------------


class Placing(BaseModel):
    """What the saga knows. `reason` is that of whichever event turned it back."""

    order_id: UUID
    reason: str | None = None


async def accept(placing: Placing, tx: Tx) -> None:
    """The order stands as it was placed: from here on, turning back means to call it off."""


async def call_off(placing: Placing, tx: Tx) -> None:
    """Cancel the order, unless somebody was faster."""
    order = await orders.hold_order(placing.order_id, tx)
    if order.status == "pending":
        orders.cancel_unpaid(order, placing.reason or PAYMENT_TIMEOUT, tx)


async def open_payment(placing: Placing, tx: Tx) -> None:
    """The stock is held: let the customer pay. Of an order that was cancelled meanwhile the stock is let go again."""
    order = await orders.hold_order(placing.order_id, tx)
    if order.status == "pending":
        orders.open_payment(order, tx)
    else:
        orders.cancel_again(order, tx)


async def close_payment(placing: Placing, tx: Tx) -> None:
    """Nobody is to pay any more."""
    orders.close_payment(await orders.hold_order(placing.order_id, tx), tx)


# What is paid in time, and by when, is decided by the order's row: the job that expires orders, the customer and the
# webhook all lock it, and each tells the saga by an event. Its own timeouts only stand behind them.
place_order = vendor.saga(
    Saga(
        "place_order",
        key="order_id",
        data=Placing,
        steps=[
            Step("accept", do=accept, undo=call_off),
            Step("hold-stock", ok=InventoryReservationConfirmed, fail=InventoryReservationFailed, timeout="1d"),
            Step("open-payment", do=open_payment, undo=close_payment, retries=3),
            Step("payment", ok=OrderPaid, fail=OrderCancelled, timeout="1d"),
        ],
    )
)

# --- money that goes back ---------------------------------------------------------------------------------------------


class Refunding(BaseModel):
    """What the saga knows."""

    refund_id: UUID
    order_id: UUID


async def close_items(refunding: Refunding, tx: Tx) -> None:
    """What was cancelled, and whose money is back, is refunded."""
    order = await orders.hold_order(refunding.order_id, tx)
    refund = await tx.get(OrderRefund, refunding.refund_id)
    if refund is None or refund.status != "done":
        return
    cancelled = [item for item in order.items if str(item.id) in refund.item_ids and item.status == "cancelled"]
    if cancelled:
        previous = order.move(cancelled, "refunded", tx.now())
        tx.publish(order.status_changed(previous))


# A cancellation is never taken back because its refund fails; whoever retries refunds goes on without the saga, too.
cancel_order = vendor.saga(
    Saga(
        "cancel_order",
        key="refund_id",
        data=Refunding,
        steps=[
            Step("refund", ok=OrderRefunded, timeout="90d", critical=False),
            Step("close-items", do=close_items, retries=10),
        ],
    )
)

# --- a vendor's money -------------------------------------------------------------------------------------------------


class Paying(BaseModel):
    """What the saga knows."""

    payout_id: UUID


async def begin_transfer(paying: Paying, tx: Tx) -> None:
    """From here on the gateway is asked to transfer it."""
    payout = await tx.get(Payout, paying.payout_id, lock=True)
    if payout is not None and payout.status == "pending":
        payout.become("processing", tx.now())


# A failed payout keeps its items and waits for an administrator, so the saga waits with it.
vendor_payout = vendor.saga(
    Saga(
        "vendor_payout",
        key="payout_id",
        data=Paying,
        steps=[
            Step("begin-transfer", do=begin_transfer, retries=10),
            Step("transfer", ok=PayoutCompleted, timeout="90d", critical=False),
        ],
    )
)
